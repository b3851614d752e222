"""The releases, their notes, and whether the notes tell all that changed.

A Typer program over pure functions; docs/releases.toml is its list. No render needs it.
"""

import subprocess
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Annotated, Any

import typer
from surface import KINDS, Surface, owners_of, surface_of, tree_of

ROOT = Path(__file__).resolve().parent.parent
LIST = Path("docs/releases.toml")
TOLD = {"questions", "settings", "targets", "urls", "names"}  # what leaves is named in the words, too
app = typer.Typer(help=__doc__, no_args_is_help=True, add_completion=False)


@dataclass(frozen=True)
class Release:
    """A release: its commit (the newest has none yet), what a service sees, and what came, went or has a new name."""

    version: str
    commit: str | None
    sees: tuple[str, ...]
    manual: tuple[str, ...] = ()
    added: Mapping[str, list[str]] = field(default_factory=dict)
    removed: Mapping[str, list[str]] = field(default_factory=dict)
    renamed: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def words(self) -> str:
        """All that is said in sentences."""
        return "\n".join((*self.sees, *self.manual))


class ReleasesError(Exception):
    """The list cannot be used: what was found, and what is expected."""


def read(root: Path = ROOT) -> list[Release]:
    """Return the releases, the oldest first.

    Raises:
        ReleasesError: the list is no such list.
    """
    try:
        rows = tomllib.loads((root / LIST).read_text(encoding="utf-8"))["release"]
        found = [_release(row) for row in rows]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleasesError(f"{LIST}: found {error!r}, expected a list of [[release]]") from None
    versions = [order(one.version) for one in found]
    if versions != sorted(set(versions)):
        raise ReleasesError(f"{LIST}: found versions that do not rise, expected the oldest first, each once")
    if without := [one.version for one in found[:-1] if not one.commit]:
        raise ReleasesError(f"{LIST}: found no commit of {without[0]}, expected one: only the newest has none")
    return found


def order(version: str) -> tuple[int, ...]:
    """Compare versions as numbers."""
    return tuple(map(int, version.split(".")))


def _release(row: Mapping[str, Any]) -> Release:
    unknown = row.keys() - Release.__dataclass_fields__.keys()
    if unknown:
        raise ValueError(f"unknown {min(unknown)}")
    for part in ("added", "removed", "renamed"):
        if kinds := row.get(part, {}).keys() - set(KINDS):
            raise ValueError(f"{row['version']}: {part}.{min(kinds)}")
    words = {name: tuple(row.get(name, ())) for name in ("sees", "manual")}
    changes = {name: row.get(name, {}) for name in ("added", "removed", "renamed")}
    return Release(row["version"], row.get("commit"), **words, **changes)


def problems(release: Release, before: Surface, after: Surface) -> Iterator[str]:
    """Say what the notes of a release leave out of what changed, and what they tell that did not."""
    for kind in KINDS:
        came, went = after[kind] - before[kind], before[kind] - after[kind]
        added, removed = list(release.added.get(kind, ())), list(release.removed.get(kind, ()))
        renamed = release.renamed.get(kind, {})
        yield from _uncovered(release, kind, "added", came, [*added, *renamed.values()])
        yield from _uncovered(release, kind, "removed", went, [*removed, *renamed])
        for name in sorted(went) if kind in TOLD else ():
            if name.rpartition(":")[2] not in release.words:
                yield f"{release.version}: {kind}: {name} went, and no sentence of the notes names it"
    if not release.sees:
        yield f"{release.version}: found no words, expected `sees`: what a service will see"


def _uncovered(release: Release, kind: str, part: str, names: frozenset[str], patterns: list[str]) -> Iterator[str]:
    for name in sorted(names):
        if not any(fnmatchcase(name, pattern) for pattern in patterns):
            yield f"{release.version}: {part}.{kind}: found no {name}, expected it in the notes"
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            yield f"{release.version}: {part}.{kind}: found {pattern!r}, but nothing such was {part}"


def taken_away(version: str, before: Mapping[str, str], after: Mapping[str, str]) -> Iterator[str]:
    """Say which files an update would take from a team: shared ones that went, theirs that are so no more.

    A file of theirs may leave the template: no update looks at it.
    """
    for path, owner in before.items():
        if owner == "shared" and after.get(path) != "shared":
            now = after.get(path, "it gone")
            yield f"{version}: {path} was shared: found {now}, expected it to stay so by that name"
        elif owner == "theirs" and after.get(path, owner) != owner:
            yield f"{version}: {path} was theirs: found it {after[path]}, expected a file of ours by another name"


def all_problems(releases: list[Release], root: Path = ROOT) -> list[str]:
    """Compare each release with the one before it; the newest is the working tree."""
    trees = [tree_of(one.commit, root) for one in releases]
    seen = [(surface_of(tree), owners_of(tree)) for tree in trees]
    found = []
    for one, (surface, owned), (now, owned_now) in zip(releases[1:], seen, seen[1:], strict=False):
        found += [*problems(one, surface, now), *taken_away(one.version, owned, owned_now)]
    return found


def page(releases: list[Release]) -> str:
    """Write the notes as Markdown, the newest first."""
    lines = []
    for one in reversed(releases):
        lines += [f"## {one.version}", "", *(f"- {text}" for text in one.sees), ""]
        lines += ["By hand:", "", *(f"1. {text}" for text in one.manual), ""] if one.manual else []
        for part in ("added", "removed"):
            told = {kind: names for kind, names in getattr(one, part).items() if kind != "files"}
            lines += [f"- {part} {kind}: {', '.join(f'`{name}`' for name in names)}" for kind, names in told.items()]
        lines += [f"- renamed: `{old}` is `{new}`" for kind in one.renamed.values() for old, new in kind.items()]
        lines += [""] if lines[-1] else []
    return "\n".join(lines).rstrip("\n")


@app.command()
def check() -> None:
    """Compare each release with the one before. Exit 0: the notes tell all, 1: they do not, 2: it cannot be told."""
    try:
        found = all_problems(read())
    except (ReleasesError, OSError, subprocess.CalledProcessError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from None
    for text in found:
        typer.echo(text, err=True)
    raise typer.Exit(1 if found else 0)


@app.command()
def notes(since: Annotated[str, typer.Option(help="Only releases after this one.")] = "0") -> None:
    """Print the notes as Markdown, the newest release first."""
    typer.echo(page([one for one in read() if order(one.version) > order(since)]))


if __name__ == "__main__":
    app()
