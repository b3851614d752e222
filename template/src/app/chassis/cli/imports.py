"""`python -m app import …`: rows of a file into a domain. May import data, loading."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib import import_module
from inspect import iscoroutinefunction
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from app.chassis.cli.loading import load_service

if TYPE_CHECKING:
    from app.chassis.data.imports.reader import Reader
    from app.chassis.data.imports.run import Import, Target

__all__ = ["import_rows"]


def import_rows(
    name: Annotated[str, typer.Argument(help="Domain that the rows belong to, such as items.")],
    file: Annotated[Path, typer.Argument(help="File of rows: .csv with a head, or .jsonl; UTF-8.")],
    *,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would become of the rows; store none.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Begin at the first row, whatever was done before.")] = False,
    rejects: Annotated[
        Path | None, typer.Option(help="File for the rows that are refused; default: FILE.rejects.csv.")
    ] = None,
    chunk_rows: Annotated[int, typer.Option(min=1, max=100_000, help="Rows saved together.")] = 1_000,
) -> None:
    """Bring in the rows of a file; stopped, the same command goes on. 1: some were refused, 2: it did not begin."""
    from app.chassis.data.imports.reader import ImportStoppedError, Reader, facts_of
    from app.chassis.data.imports.run import Import

    database, target = load_service().state.database, _target(name)
    rejects = rejects or file.with_name(f"{file.name}{'.dry-run' * dry_run}.rejects.csv")
    try:
        with file.open("rb") as opened:
            facts = facts_of(opened)
            required = {column for column, is_required in target.columns.items() if is_required}
            reader = Reader(opened, file.name, set(target.columns), required)
            run = Import(database, target, file, opened, facts, chunk_rows=chunk_rows, is_dry=dry_run)
            code = asyncio.run(_brought_in(run, reader, rejects, is_again=again))
    except OSError as error:
        _refuse(f"{error.filename or file}: {error.strerror}; expected a file that can be read, and its folder written")
    except ImportStoppedError as error:
        _refuse(f"{file}: {error}")
    except KeyboardInterrupt:
        print("stopped; the same command goes on where this one was", file=sys.stderr)
        code = 1
    sys.exit(code)


def _refuse(why: str) -> NoReturn:
    print(f"nothing brought in: {why}", file=sys.stderr)
    sys.exit(2)


def _target(name: str) -> "Target":
    from app.chassis.data.imports.run import Target

    folders = import_module("app.domains").__path__  # an image has no src/
    names = sorted(path.parent.name for folder in folders for path in Path(folder).glob("*/imports.py"))
    if name not in names:
        _refuse(f"no domain of that name takes rows; expected one of: {', '.join(names) or 'none has an imports.py'}")
    module: Any = import_module(f"app.domains.{name}.imports")
    row: Any = getattr(module, "Row", None)
    store = getattr(module, "store", None)
    if not hasattr(row, "model_fields") or not iscoroutinefunction(store):
        _refuse(f"app/domains/{name}/imports.py: expected a class Row(ImportRow) and async def store(work, rows)")
    return Target(name, row, store)


async def _brought_in(run: "Import", reader: "Reader", rejects: Path, *, is_again: bool) -> int:
    from app.chassis.data.imports.reader import ImportStoppedError

    stopped: Exception | None = None
    try:
        await run.begin(rejects, is_again=is_again)
        _tell_before(run)
        if run.state.finished_at is None:
            with _bar(run) as advance:
                try:
                    await run.run(reader, advance)
                except (ImportStoppedError, OSError) as error:
                    stopped = error
    finally:
        await run.database.close()
    return _told(run, rejects, stopped)


def _told(run: "Import", rejects: Path, stopped: Exception | None) -> int:
    state, verb = run.state, "would be stored" if run.is_dry else "stored"
    print(f"{run.target.name}: {state.stored_rows} rows {verb}, {state.rejected_rows} rejected")
    if state.rejected_rows and rejects.exists():
        print(f"rejected: {rejects}", file=sys.stderr)
    if stopped is not None:
        words = f"{run.path}: {stopped.strerror}" if isinstance(stopped, OSError) else stopped
        print(f"stopped behind line {state.done_lines}: {words}", file=sys.stderr)
        print("what is stored stays; the same file goes on there, a corrected one begins again", file=sys.stderr)
    return 1 if stopped or state.rejected_rows else 0


def _tell_before(run: "Import") -> None:
    state = run.state
    if state.finished_at is not None:
        when = f"{state.finished_at:%Y-%m-%d %H:%M} UTC"
        print(f"brought in on {when} as {state.name}; --again does it once more", file=sys.stderr)
    elif state.done_bytes:
        print(f"goes on behind line {state.done_lines}", file=sys.stderr)
    elif run.before is not None:
        print(f"{run.path.name} had other content the last time: all of it is read", file=sys.stderr)


@contextmanager
def _bar(run: "Import") -> Iterator[Callable[[int], None]]:
    if not sys.stderr.isatty():
        yield lambda _done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TimeRemainingColumn

    columns = BarColumn(), DownloadColumn(), TimeRemainingColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(run.target.name, total=run.facts.size, completed=run.state.done_bytes)
        yield lambda done: progress.update(task, completed=done)
