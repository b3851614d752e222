"""Where files of the team name modules that would leave this service. Standard library and git only."""

import ast
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath

from leaving import OURS
from repository import git

# Ours like the folders of OURS; of the shared files only the zones are.
OUR_FILES = re.compile(
    r"src/app/(__main__\.py|__init__\.py|py\.typed)|Makefile|alembic\.ini|ruff\.chassis\.toml|mypy\.ini|pytest\.ini"
    r"|Dockerfile|\.dockerignore|compose\.yaml|\.github/workflows/chassis-[^/]*\.yml|\.gitlab-ci\.yml"
    r"|\.copier-answers\.yml"
)
SHARED = ("pyproject.toml", ".env.example")
# Prose may name what is gone; the lock is written anew.
UNREAD = (".md", ".rst", ".txt", "uv.lock")

# A string that is a path as a whole: "package.module", "package.module.Name", "package.module:Name".
PATH = re.compile(r"[^\W\d]\w*(?:\.\w+)+(?::\w+(?:\.\w+)*)?")
# The same within a line of any text, notebooks with their \n among it; `from app.chassis import name`, too.
IN_TEXT = re.compile(r"(?:(?<![\w.])|(?<=\\[nt]))((?:app|tests)\.chassis)(?:\.|\s+import\s+)(\w+(?:\.\w+)*)")

Found = set[tuple[int, str, str]]
"""Line, "imports" or "names", module."""


def is_ours(path: str) -> bool:
    """Whether a release brings it as a whole."""
    return bool(path.startswith(OURS) or OUR_FILES.fullmatch(path))


def references(leaving: set[str]) -> Iterator[str]:
    """`file:line imports module`, or `names`, for every place of the team's that these modules would break."""
    for path in sorted(set(git("ls-files", "-z").split("\0"))):
        if is_ours(path) or not Path(path).is_file():
            continue
        content = Path(path).read_bytes()
        is_module = path.endswith((".py", ".pyi"))
        if not is_module and (path.lower().endswith(UNREAD) or b"chassis" not in content or b"\0" in content):
            continue
        try:
            is_python = is_module or re.match(rb"#!.*python", content)
            found = _in_python(ast.parse(content), path, leaving) if is_python else _in_text(content, path, leaving)
        except (SyntaxError, ValueError) as error:
            if is_module:
                yield f"{path}:{getattr(error, 'lineno', None) or 1} is no Python that can be read for imports"
                continue
            found = _in_text(content, path, leaving)
        yield from (f"{path}:{line} {verb} {module}" for line, verb, module in sorted(_longest(found)))


def misplaced(ejected: Collection[str]) -> Iterator[str]:
    """`path is a link`, or a folder, for each that git holds where a file or a folder of ours belongs."""
    for entry in git("ls-files", "--stage", "-z").split("\0")[:-1]:
        path = entry.partition("\t")[2]
        above = [str(one) for one in PurePosixPath(path).parents]
        if path in ejected:
            continue
        is_here = is_ours(path) or path in SHARED or any(one.startswith(f"{path}/") for one in OURS)
        if entry.startswith("120000") and is_here:
            yield f"{path} is a link"
        for one in above:
            is_file = OUR_FILES.fullmatch(one) or one in SHARED or (one.startswith(OURS) and PurePosixPath(one).suffix)
            if is_file and one not in ejected:
                yield f"{one} is a folder"


def _longest(found: Found) -> Found:
    """Of a module and its package in one line only the module."""
    return {
        one for one in found if not any(one[0] == other[0] and other[2].startswith(f"{one[2]}.") for other in found)
    }


def _meant(name: str, leaving: set[str]) -> str:
    """The longest leaving module that this name is, or goes on from; empty if there is none."""
    parts = name.replace(":", ".").split(".")
    heads = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    return next((head for head in heads if head in leaving), "")


def _in_text(content: bytes, path: str, leaving: set[str]) -> Found:
    found: Found = set()
    in_our_zone = False
    for number, line in enumerate(content.decode("utf-8", "replace").split("\n"), 1):
        if path in SHARED and line.strip().startswith("# --- "):
            in_our_zone = line.startswith("# --- ours")
        if not in_our_zone:
            found |= {(number, "names", _meant(f"{one[1]}.{one[2]}", leaving)) for one in IN_TEXT.finditer(line)}
    return {one for one in found if one[2]}


def _in_python(tree: ast.Module, path: str, leaving: set[str]) -> Found:
    """Imports, strings that are paths as a whole, and attributes of packages that stay."""
    found: Found = set()
    known: dict[str, str] = {}
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import | ast.ImportFrom):
            for local, name in _imported(node, path):
                found.add((node.lineno, "imports", _meant(name, leaving)))
                known |= {} if _meant(local[1], leaving) else {local[0]: local[1]}
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and PATH.fullmatch(node.value):
            found.add((node.lineno, "names", _meant(node.value, leaving)))  # import_module("…"), pytest_plugins, patch
    for node in nodes:
        if isinstance(node, ast.Attribute):
            found.add((node.lineno, "names", _meant(_dotted(node, known), leaving)))
    return {one for one in found if one[2]}


def _imported(node: ast.Import | ast.ImportFrom, path: str) -> Iterator[tuple[tuple[str, str], str]]:
    """What an import calls which module from here on, and what it imports."""
    for alias in node.names:
        name = alias.name if isinstance(node, ast.Import) else f"{_absolute(node, path)}.{alias.name}"
        is_whole = alias.asname or isinstance(node, ast.ImportFrom)
        first = name.partition(".")[0]
        yield ((alias.asname or alias.name, name) if is_whole else (first, first)), name


def _absolute(node: ast.ImportFrom, path: str) -> str:
    if not node.level:
        return node.module or ""
    parts = PurePosixPath(path.removeprefix("src/")).parts[: -node.level]
    return ".".join((*parts, node.module) if node.module else parts)


def _dotted(node: ast.expr, known: dict[str, str]) -> str:
    """The path that `name.attribute.attribute` stands for; empty if the name is no imported one."""
    parts: list[str] = []
    while isinstance(node, ast.Attribute):
        parts.append(node.attr)
        node = node.value
    return ".".join((known[node.id], *reversed(parts))) if isinstance(node, ast.Name) and node.id in known else ""
