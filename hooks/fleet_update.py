"""A run of `fleet update`: begun anew or gone on with, from its journal to its report."""

import shlex
import shutil
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import typer
from fleet_crew import work
from fleet_journal import Journal
from fleet_list import Service, services
from fleet_page import as_markdown
from fleet_programs import Programs, base_environment
from fleet_report import as_json, exit_code, line, numbers, updated_table
from fleet_service import Workshop
from fleet_work import Row, Wish, left, unknown, updated

GATES = ("setup", "check", "test")
OWN = {"logs", ".gitignore", ".lock", "journal.partial"}
FORM = 2  # of the rows in a journal: 2 has notes, drift and why a gate fails
MARK = ".fleet"
"""Stands in a scratch folder, so that no other is ever removed."""


def folder_of(report: Path, *, is_resumed: bool) -> Path:
    """Make the folder of the report; what is in it already must be a report.

    Raises:
        typer.BadParameter: it holds something else, or no run to go on with.
        OSError: it cannot be made.
    """
    known = Journal(report).asked if report.is_dir() else {}
    if is_resumed and not known:
        raise typer.BadParameter(f"found no run in {report}, expected one to go on with")
    if report.is_dir() and not known and {path.name for path in report.iterdir()} - OWN:
        raise typer.BadParameter(f"found files in {report} that are no report, expected a new folder")
    (report / "logs").mkdir(parents=True, exist_ok=True)
    (report / ".gitignore").write_text("*\n", encoding="utf-8")  # it may lie in a service, which must be clean
    return report


def begun(
    report: Path, found: Sequence[Service], gates: Sequence[str], *, anyway: bool, is_resumed: bool, is_new: bool
) -> Journal:
    """Begin a run in a folder, or go on with the one that stands there.

    Raises:
        typer.BadParameter: it is not said which, or there is none to go on with, or it was another one.
    """
    journal = Journal(report)
    if is_resumed:
        return _resumed(journal, report, found, gates, anyway=anyway)
    if journal.is_unfinished and not is_new:
        left = f"{len(journal.waiting)} of {len(journal.asked['services'])} are left"
        raise typer.BadParameter(
            f"found an interrupted run in {report} ({left}), expected --resume to go on with it, or --again"
        )
    journal.forget()
    asked = {"services": [str(one.path) for one in found], "gates": list(gates or GATES), "anyway": anyway}
    asked["form"] = FORM
    journal.begin(
        asked | {"began": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", "scratch": journal.asked.get("scratch", [])}
    )
    return journal


def _resumed(
    journal: Journal, report: Path, found: Sequence[Service], gates: Sequence[str], *, anyway: bool
) -> Journal:
    was = journal.asked
    if was.get("form") != FORM:
        raise typer.BadParameter(f"found a run of another version of this program in {report}, expected --again")
    if found and {str(one.path) for one in found} != set(was["services"]):
        raise typer.BadParameter(f"found other services than those of the run in {report}, expected the same or none")
    if (gates and list(gates) != was["gates"]) or (anyway and not was["anyway"]):
        raise typer.BadParameter(f"found other options than those of the run in {report}, expected the same or none")
    return journal


def run(report: Path, journal: Journal, jobs: int, timeout_seconds: float) -> tuple[int, bool]:
    """Update what is not done, write the report, print it; returns the exit code, and whether it was interrupted."""
    asked = journal.asked
    found, _ = services(map(Path, asked["services"]))
    waiting = set(journal.waiting)
    scratch = Path(tempfile.mkdtemp(prefix="fleet-"))
    (scratch / MARK).touch()
    leftovers = [Path(one) for one in asked["scratch"]]
    journal.begin(asked | {"scratch": [*asked["scratch"], str(scratch)]})
    for old in leftovers:
        if (old / MARK).is_file():
            shutil.rmtree(old, ignore_errors=True)
    try:
        todo = [one for one in found if str(one.path) in waiting]
        rows, is_interrupted = _done(report, journal, todo, Workshop(
            scratch, Programs(timeout_seconds), base_environment(), leftovers), jobs)  # fmt: skip
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    known = journal.done | {row["path"]: row for row in rows}
    rows = [unknown(one, "") | known.get(str(one.path), left(one)) | {"service": one.name} for one in found]
    if not is_interrupted:
        journal.begin(asked | {"scratch": []})
    _tell(report, rows, asked)
    return (2 if is_interrupted else exit_code(rows)), is_interrupted


def _tell(report: Path, rows: list[Row], asked: Row) -> None:
    _write(report / "report.json", as_json(rows, began=asked["began"], gates=asked["gates"]))
    _write(report / "report.md", as_markdown(rows, asked["gates"], asked["began"]))
    typer.echo(updated_table(rows, shutil.get_terminal_size((0, 0)).columns))
    steps = sum(int(count) for row in rows if (count := numbers(row)[-1]) != "?")
    typer.echo(f"written: {report / 'report.md'} and report.json beside it; manual steps: {steps}")


def how_to_resume(report: Path) -> str:
    """The command that goes on, for the folder that it was begun in."""
    return shlex.join(["uv", "run", "--quiet", "--script", sys.argv[0], "update", "--resume", "--report", str(report)])


def _done(report: Path, journal: Journal, todo: Sequence[Service], shop: Workshop, jobs: int) -> tuple[list[Row], bool]:
    wish = Wish(journal.asked["gates"], journal.asked["anyway"], report / "logs")

    def do(service: Service) -> Row:
        path = str(service.path)
        row = updated(shop, service, wish, journal.made.get(path), lambda made: journal.note(path, made=made))
        journal.note(path, done=row)
        return row

    return work(todo, jobs, shop.programs, do, unknown, line)


def _write(path: Path, text: str) -> None:
    partial = path.with_suffix(".partial")
    partial.write_text(text, encoding="utf-8")
    partial.replace(path)
