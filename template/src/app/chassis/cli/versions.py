"""`python -m app api …`: how an API version begins. May import about."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import typer

from app.chassis.about import project_root

__all__ = ["api"]

api = typer.Typer(no_args_is_help=True, help="Begin an API version.", rich_markup_mode=None)
_FOLDER = re.compile(r"v([1-9][0-9]{0,3})")


@api.callback()
def _group() -> None:
    """Begin an API version."""


@api.command("new-version")
def new_version() -> None:
    """Copy the newest folder of src/app/api to the next number, to be changed while the old one is served on."""
    folder = project_root() / "src/app/api"
    numbers = sorted(int(found[1]) for path in folder.iterdir() if (found := _FOLDER.fullmatch(path.name)))
    if not numbers:
        typer.echo(f"no version to begin from; expected a folder {folder / 'v1'}", err=True)
        raise typer.Exit(1)
    for line in _begin(folder, numbers[-1], numbers[-1] + 1):
        typer.echo(line)


def _begin(folder: Path, old: int, new: int) -> Iterator[str]:
    target, partial = folder / f"v{new}", folder / f".v{new}.partial"
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(folder / f"v{old}", partial, ignore=shutil.ignore_patterns("__pycache__"))
    for path in sorted(partial.rglob("*.py")):
        source = path.read_text(encoding="utf-8")
        path.write_text(re.sub(rf"\bapp\.api\.v{old}\b", f"app.api.v{new}", source), encoding="utf-8")
    about = f'"""Version {new} of the API. Every `routes.py` below is found by its name."""\n'
    (partial / "__init__.py").write_text(about, encoding="utf-8")  # what was said of the old one is not true of this
    partial.rename(target)
    for path in sorted(target.rglob("*.py")):
        yield f"wrote {path.relative_to(project_root())}"
    if contract := _recorded_of(old, new):
        shown = contract.relative_to(project_root())
        yield f"wrote {shown}, what v{old} answers; run `make contract` after a change"
    yield f"v{old} is served on. When callers shall leave it, declare DEPRECATED in src/app/api/v{old}/__init__.py"


def _recorded_of(old: int, new: int) -> Path | None:
    """The recorded cases of the old version, said of the new one; `make contract` adds its openapi.json."""
    source, target = (project_root() / "contract" / f"v{number}" for number in (old, new))
    files = sorted(source.glob("*/*.json"))
    if not files or target.exists():
        return None
    for file in files:
        copy = target / file.parent.name / file.name
        copy.parent.mkdir(parents=True, exist_ok=True)
        content = file.read_text(encoding="utf-8").replace(f"/v{old}/", f"/v{new}/")
        copy.write_text(content.replace(f'"api_version": "v{old}"', f'"api_version": "v{new}"'), encoding="utf-8")
    return target
