# /// script
# requires-python = ">=3.11"
# dependencies = ["copier>=9.19.1,<10", "pyyaml>=6,<7", "typer>=0.29,<0.30"]
# ///
"""Many services of this template at once: what each has and would get, and the update of all of them, on branches.

Usage: uv run --script hooks/fleet.py show PATH… | update PATH…
A Typer program; fleet_list.py and fleet_report.py are its pure parts, fleet_work.py says what is done to a service.
"""

import os
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer
from fleet_crew import work
from fleet_journal import BusyError, alone
from fleet_list import Service, read_list, services
from fleet_programs import Programs, base_environment
from fleet_report import as_json, exit_code, plain, shown_line, shown_table
from fleet_service import Workshop
from fleet_update import begun, folder_of, how_to_resume, run
from fleet_work import Row, shown, untold

# Plain words, and no boxes: they break paths, and names of options where a terminal is narrow.
app = typer.Typer(help=__doc__.splitlines()[0], no_args_is_help=True, add_completion=False, rich_markup_mode=None)

CORES = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

Paths = Annotated[list[Path] | None, typer.Argument(help="Folders of services.", show_default=False)]
List = Annotated[Path | None, typer.Option("--list", help="A file of such folders, one a line; # begins a comment.")]
Jobs = Annotated[int, typer.Option(min=1, help="How many services at once; one a core.")]
Timeout = Annotated[float, typer.Option(min=1, help="What one program, a gate for example, may take.")]
Gates = Annotated[list[str] | None, typer.Option("--gate", help="A make target that must pass; may repeat.")]


def _named(paths: list[Path] | None, file: Path | None) -> list[Service]:
    named = list(paths or [])
    if file:
        try:
            named += read_list(file.read_text("utf-8"), file.parent)
        except (OSError, UnicodeDecodeError) as error:
            raise typer.BadParameter(f"found {file} unreadable ({error}), expected a folder a line") from None
    found, again = services(named)
    for path in again:
        typer.echo(f"{plain(str(path))} was named before; it counts once", err=True)
    return found


def _gates(asked: list[str] | None) -> list[str]:
    if wrong := [one for one in asked or [] if not one.strip() or one.startswith("-") or "=" in one]:
        raise typer.BadParameter(f"found --gate {wrong[0]!r}, expected a make target")
    return asked or []


def _width() -> int:
    return shutil.get_terminal_size((0, 0)).columns


def _in_order(found: list[Service], rows: list[Row]) -> list[Row]:
    known = {row["path"]: row for row in rows}
    return [known[str(one.path)] for one in found if str(one.path) in known]


@app.command()
def show(
    paths: Paths = None,
    file: List = None,
    gate: Gates = None,
    names: Annotated[bool, typer.Option("--names", help="Name the files below each row.")] = False,
    as_json_: Annotated[bool, typer.Option("--json", help="For programs.")] = False,
    jobs: Jobs = CORES,
    timeout_seconds: Timeout = 3600,
) -> None:
    """Say what each service has, what an update would do to it, and which gates fail. Changes nothing.

    Exit 0: no drift, conflict, loss or failing gate, 1: there is one, 2: wrong use, or one cannot be told.
    """
    found, gates = _named(paths, file), _gates(gate)
    if not found:
        raise typer.BadParameter("found no service, expected folders or --list FILE")
    programs, scratch = Programs(timeout_seconds), Path(tempfile.mkdtemp(prefix="fleet-"))
    try:
        shop = Workshop(scratch, programs, base_environment())

        def do(service: Service) -> Row:
            return shown(shop, service, gates)

        rows, is_interrupted = work(found, jobs, programs, do, untold, shown_line)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    if is_interrupted:
        typer.echo("not told: interrupted", err=True)
        raise typer.Exit(2)
    rows = _in_order(found, rows)
    typer.echo(as_json(rows), nl=False) if as_json_ else typer.echo(shown_table(rows, _width(), with_names=names))
    raise typer.Exit(exit_code(rows))


@app.command()
def update(
    paths: Paths = None,
    file: List = None,
    gate: Gates = None,
    report: Annotated[Path, typer.Option(help="The folder of the report.")] = Path("fleet-update"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on with what is not done in that folder.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Begin anew, though a run there was interrupted.")] = False,
    anyway: Annotated[bool, typer.Option("--anyway", help="Also where work of a team's would be lost.")] = False,
    jobs: Jobs = CORES,
    timeout_seconds: Timeout = 3600,
) -> None:
    """Update each service on a branch of its own, chassis-update-<release>, and run its gates there. Pushes nothing.

    The gates are setup, check and test unless others are named. No folder of a service is touched.
    Exit 0: all is good, 1: somebody has to look at one, 2: wrong use, or one was not done.
    """
    found, gates = _named(paths, file), _gates(gate)
    if resume and again:
        raise typer.BadParameter("found --resume and --again, expected one of them")
    if not found and not resume:
        raise typer.BadParameter("found no service, expected folders or --list FILE")
    try:
        folder = folder_of(report.absolute(), is_resumed=resume)
        with alone(folder):
            journal = begun(folder, found, gates, anyway=anyway, is_resumed=resume, is_new=again)
            code, is_interrupted = run(folder, journal, jobs, timeout_seconds)
    except (BusyError, OSError) as error:
        typer.echo(f"not done: {error}", err=True)
        raise typer.Exit(2) from None
    if is_interrupted:
        typer.echo(f"not done: interrupted; {how_to_resume(report)} goes on", err=True)
    raise typer.Exit(code)


if __name__ == "__main__":
    app()
