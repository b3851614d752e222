"""Who owns a path of a rendered service: ours, shared or theirs.

A Typer program over pure functions. It reads the one list, `ownership` in copier.yml, and may import nothing
of the template. No render needs it.
"""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated

import typer
import yaml
from pathspec import PathSpec

COPIER_YML = Path(__file__).resolve().parent.parent / "copier.yml"

# What a working copy holds that nobody rendered: never part of an answer.
UNOWNED_FOLDERS = {
    ".git",
    ".tools",
    "var",
    ".venv",
    "__pycache__",
    ".pytest_cache",
    ".mypy_cache",
    ".ruff_cache",
    ".hypothesis",
}

Owners = Mapping[str, PathSpec]


class UnownedPathError(LookupError):
    """A path that no list names, or that two lists name: copier.yml has to decide."""


def owners(config: Mapping) -> Owners:
    """Compile the `ownership` answer of a parsed copier.yml, owner by owner."""
    lists = config["ownership"]["default"]
    return {owner: PathSpec.from_lines("gitignore", patterns) for owner, patterns in lists.items()}


def owner_of(path: str, lists: Owners) -> str:
    """Name the one owner of a path relative to the service's root, with forward slashes.

    Raises:
        UnownedPathError: no list or more than one list matches.
    """
    found = [owner for owner, patterns in lists.items() if patterns.match_file(path)]
    if len(found) != 1:
        raise UnownedPathError(f"{path}: found {' and '.join(found) or 'no owner'}, expected exactly one in copier.yml")
    return found[0]


def rendered_paths(root: Path) -> Iterator[str]:
    """Yield every file below a rendered service, sorted, without caches and version control."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and UNOWNED_FOLDERS.isdisjoint(relative.parts):
            yield relative.as_posix()


def load_owners(copier_yml: Path = COPIER_YML) -> Owners:
    """Read copier.yml and compile its ownership lists."""
    return owners(yaml.safe_load(copier_yml.read_text(encoding="utf-8")))


def report(paths: Iterable[str], lists: Owners) -> int:
    """Print `owner  path` a line; return 1 if a path has no single owner, else 0."""
    code = 0
    for path in paths:
        try:
            typer.echo(f"{owner_of(path, lists):<7} {path}")
        except UnownedPathError as error:
            typer.echo(str(error), err=True)
            code = 1
    return code


def main(
    paths: Annotated[list[str] | None, typer.Argument(help="Paths relative to the service's root.")] = None,
    rendered: Annotated[Path | None, typer.Option(help="List every file of this rendered service.")] = None,
) -> None:
    """Say who owns a path of a rendered service. Exit 0: each has one owner, 1: one has not, 2: wrong use."""
    if bool(paths) == (rendered is not None):
        raise typer.BadParameter("found neither paths nor --rendered, or both; expected one of them")
    if rendered is not None and not rendered.is_dir():
        raise typer.BadParameter(f"found no folder {rendered}, expected a rendered service")
    raise typer.Exit(report(rendered_paths(rendered) if rendered else paths or [], load_owners()))


if __name__ == "__main__":
    typer.run(main)
