"""What a release promises by name: its questions, settings, make targets, URLs, public names and files.

Read from the text of the template at a commit, without rendering it. No render needs it.
"""

import ast
import io
import re
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from pathlib import Path

import yaml
from ownership import owner_of, owners

KINDS = ("questions", "settings", "targets", "urls", "names", "files")
Tree = Mapping[str, bytes]
Surface = Mapping[str, frozenset[str]]

_SETTING = re.compile(r"^# ?([A-Z][A-Z0-9_]+)=|^#?([A-Z][A-Z0-9_]+)=", re.MULTILINE)
_TARGET = re.compile(r"^([a-z][a-z-]*):.*## ", re.MULTILINE)
_ROUTE = re.compile(r"@\w+\.(?:get|post|put|patch|delete)\(\s*\"(/[^\"]*)\"")
_CONDITION = re.compile(r"\{%.*?%\}")
_PARTS = ("copier.yml", "template")


def tree_of(commit: str | None, root: Path) -> Tree:
    """Read copier.yml and the template at a commit; None is the working tree, with what is not committed.

    Raises:
        subprocess.CalledProcessError: git does not have the commit.
    """
    if commit is None:
        command = ["git", "ls-files", "-z", "-co", "--exclude-standard", "--", *_PARTS]
        listed = subprocess.run(command, cwd=root, capture_output=True, check=True)
        paths = [path for path in listed.stdout.decode().split("\0") if path and (root / path).is_file()]
        return {path: (root / path).read_bytes() for path in paths}
    packed = subprocess.run(["git", "archive", commit, "--", *_PARTS], cwd=root, capture_output=True, check=True)
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}


def surface_of(tree: Tree) -> Surface:
    """Name all that the template of this tree promises, kind by kind."""
    config = yaml.safe_load(tree["copier.yml"])
    files = {_rendered(path): data for path, data in tree.items() if path.startswith("template/")}
    return {
        "questions": frozenset(_questions(config)),
        "settings": frozenset(one or other for one, other in _SETTING.findall(_text(files, ".env.example"))),
        "targets": frozenset(
            name
            for path in files
            if path == "Makefile" or path.startswith("ops/make/")
            for name in _TARGET.findall(_text(files, path))
        ),
        "urls": frozenset(
            url
            for path in files
            if path.startswith("src/app/chassis/") and "/testing" not in path  # routes of the suite are no promise
            for url in _ROUTE.findall(_text(files, path))
        ),
        "names": frozenset(_names(files)),
        "files": frozenset(_ours(files, config)),
    }


def owners_of(tree: Tree) -> dict[str, str]:
    """Name the owner of each path that the template of this tree renders."""
    lists = owners(yaml.safe_load(tree["copier.yml"]))
    paths = (_rendered(path) for path in tree if path.startswith("template/"))
    return {path: owner_of(path, lists) for path in paths}


def _questions(config: Mapping) -> Iterator[str]:
    for name, details in config.items():
        if not name.startswith("_") and details.get("when") is not False:
            yield name


def _rendered(path: str) -> str:
    """Where a file of the template lands in a service."""
    path = _CONDITION.sub("", path.removeprefix("template/").removesuffix(".jinja"))
    return path.replace("{{_copier_conf.answers_file}}", ".copier-answers.yml")


def _text(files: Tree, path: str) -> str:
    return files.get(path, b"").decode("utf-8", "replace")


def _names(files: Tree) -> Iterator[str]:
    """What modules of the chassis list in `__all__`, as `module:name`."""
    for path in files:
        if path.startswith("src/app/chassis/") and path.endswith(".py"):
            module = path.removeprefix("src/").removesuffix(".py").removesuffix("/__init__").replace("/", ".")
            yield from (f"{module}:{name}" for name in _all_of(_text(files, path)))


def _all_of(text: str) -> list[str]:
    try:
        body = ast.parse(text).body
    except SyntaxError:  # a composer, with Jinja in it: nobody imports from it
        return []
    for node in body:
        match node:
            case ast.Assign(targets=[ast.Name(id="__all__")], value=ast.List(elts=found) | ast.Tuple(elts=found)):
                return [one.value for one in found if isinstance(one, ast.Constant)]
    return []


def _ours(files: Tree, config: Mapping) -> Iterator[str]:
    lists = owners(config)
    return (path for path in files if owner_of(path, lists) != "theirs")
