"""Services of every release, with edits as teams make them, and what an update must leave of those."""

import re
import shutil
from collections.abc import Mapping
from pathlib import Path

import yaml
from conftest import ROOT, commit_all, git
from ownership import Owners, owner_of, owners
from release_notes import read
from rendered import files, text

VERSIONS = [one.version for one in read()]
NEWEST = VERSIONS[-1]
MARK = "the team was here"
BINARY = bytes(range(256)) * 16
NEEDED = (".git", "Makefile", "README", "ops", "pyproject", "{{_copier_conf")
# How a line of a team's own looks in a file that is no Python, TOML, YAML or shell.
COMMENTS = {".md": "<!-- {} -->", ".mako": "## {}", ".json": None, ".lock": None, ".png": None}


def released(folder: Path) -> Path:
    """Return the template with all its releases, the working tree as the newest."""
    git(ROOT, "clone", "--quiet", "--no-checkout", str(ROOT), str(folder))
    git(folder, "checkout", "--quiet", git(ROOT, "rev-parse", "HEAD").strip())
    for name in git(folder, "ls-files", "-z").split("\0"):
        if name and not (ROOT / name).is_file():
            (folder / name).unlink()
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", "--no-verify", "--message", "the working tree")
    for one in read():
        git(folder, "tag", f"v{one.version}", one.commit or "HEAD")
    return folder


def lessen(template: Path, *besides: str) -> None:
    """Leave of a template's files those that its programs need and a few `besides`: then an update takes seconds."""
    for path in (template / "template").iterdir():
        if not path.name.startswith((*NEEDED, *besides)):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    commit_all(template, "less")
    git(template, "tag", "--force", "1.0.0")


def owners_at(template: Path, version: str) -> Owners:
    """Return whose each path is, as a release says."""
    return owners(yaml.safe_load(git(template, "show", f"v{version}:copier.yml")))


def edit(service: Path, lists: Owners) -> dict[str, list[str]]:
    """Edit a service as a team does in a year; returns the lines that are the team's, by path.

    Every file of theirs changed, a line in every zone of theirs, a file of theirs deleted, a binary added, a file
    reformatted.
    """
    kept = {}
    for path in map(str, files(service)):
        owner = owner_of(path, lists)
        if owner == "theirs" and _append(service / path):
            kept[path] = (service / path).read_text().splitlines()
        elif owner == "shared" and path != ".copier-answers.yml":
            _append(service / path)
            kept[path] = [line for line in (service / path).read_text().splitlines() if MARK in line]
    reformatted = service / "src/app/settings.py"
    reformatted.write_text(re.sub(r"^( +)", r"\1\1", reformatted.read_text(), flags=re.MULTILINE))
    kept["src/app/settings.py"] = reformatted.read_text().splitlines()
    (service / "logo.bin").write_bytes(BINARY)
    (service / "AGENTS.md").unlink()
    del kept["AGENTS.md"]
    return kept


def _append(path: Path) -> bool:
    """Write a line of the team's at the end, as a comment of the file's kind; whether it takes one."""
    comment = COMMENTS.get(path.suffix, "# {}")
    if comment is None or text(path) is None:
        return False
    path.write_text(path.read_text() + comment.format(MARK) + "\n")
    return True


def lost(service: Path, kept: Mapping[str, list[str]]) -> list[str]:
    """Name each line of the team's that is not in its file any more."""
    found = []
    for path, lines in kept.items():
        there = (service / path).read_text().splitlines() if (service / path).is_file() else []
        found += [f"{path}: {line}" for line in lines if line not in there]
    return found


def other_than(fresh: Path, service: Path, lists: Owners) -> list[str]:
    """Name each path of ours that is not what a fresh render has."""
    found = []
    for path in sorted({*map(str, files(fresh)), *map(str, files(service))}):
        is_ours = owner_of(path, lists) == "ours" if not path.endswith("logo.bin") else False
        both = [(root / path).read_bytes() if (root / path).is_file() else None for root in (fresh, service)]
        found += [path] if is_ours and both[0] != both[1] else []
    return found


def unmerged(service: Path) -> list[str]:
    """Name the files that an update could not merge."""
    return [path for path in git(service, "diff", "--name-only", "--diff-filter=U", "-z").split("\0") if path]
