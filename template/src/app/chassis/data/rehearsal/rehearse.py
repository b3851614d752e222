"""Migrates a copy of real data up, down and up again, and says what became of it.

May import census, database, errors.
"""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from app.chassis.data.rehearsal.census import Tables, census
from app.chassis.database.applying import RevisionError, place_in
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.revisions import revisions, rooms
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import UnavailableError

__all__ = ["MOMENTS", "Rehearsal", "Step", "rehearse"]

T = TypeVar("T")

MOMENTS = ("before", "up", "down", "up again")


@dataclass(frozen=True, slots=True)
class Step:
    """One revision, taken in one direction."""

    revision: str
    direction: str
    seconds: float
    failure: str = ""


@dataclass(slots=True)
class Rehearsal:
    """What happened; `tables` has a census for each of MOMENTS that was reached."""

    start: str
    steps: list[Step] = field(default_factory=list)
    tables: dict[str, Tables] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)


async def rehearse(settings: DatabaseSettings) -> Rehearsal:
    """Take the team's pending revisions one by one, up, down and up, on a database that nobody needs.

    Raises:
        CommandError: the database is at a revision that this release does not have.
    """
    folder = rooms()[-1].folder
    start, pending = await _asked(settings, lambda connection: _pending(connection, folder))
    before = await _asked(settings, census)
    done = Rehearsal(start, tables={"before": before})
    path = [start or "base", *pending]
    for direction in MOMENTS[1:]:
        is_down = direction == "down"
        pairs = list(zip(path[1:], path[:-1] if is_down else path[1:], strict=True))
        for revision, target in reversed(pairs) if is_down else pairs:
            if not await _take(settings, done, Step(revision, direction, 0.0), target):
                return done
        done.tables[direction] = await _asked(settings, census)
        done.tables.pop("now", None)
        if is_down:
            done.findings += _not_back(done.tables["before"], done.tables["down"])
    for name, was in done.tables["up"].items():
        now = done.tables["up again"].get(name)
        if now is None or now.rows != was.rows:
            done.findings.append(f"{name}: {now.rows if now else 'no'} rows of {was.rows} after down and up again")
    return done


async def _take(settings: DatabaseSettings, done: Rehearsal, step: Step, target: str) -> bool:
    """One step; whether it succeeded. Rows are counted after each first step up, to tell which revision lost them."""
    began, failure = time.perf_counter(), ""
    before = done.tables.pop("now", done.tables["before"])
    try:
        await _migrate(settings, target)
    except Exception as error:  # noqa: BLE001  # a revision is the team's code and may do anything
        failure = _words(error)
    done.steps.append(Step(step.revision, step.direction, round(time.perf_counter() - began, 3), failure))
    if failure:
        done.findings.append(f"revision {step.revision} failed ({step.direction}): {failure}")
    elif step.direction == "up":
        done.tables["now"] = await _asked(settings, census)
        done.findings += _lost(step.revision, before, done.tables["now"])
    return not failure


async def _migrate(settings: DatabaseSettings, target: str) -> None:
    await migrate(Database(settings), target)


def _pending(connection: Connection, folder: Path) -> tuple[str, list[str]]:
    """Where the team's tables stand, and the revisions beyond it, oldest first."""
    heads = MigrationContext.configure(connection).get_current_heads()
    connection.rollback()
    if revisions(folder).is_ahead(frozenset(heads)):
        raise CommandError(f"the copy is at {', '.join(heads)}, which this release does not have")
    scripts = ScriptDirectory(str(folder))
    found = [script.revision for script in scripts.iterate_revisions("heads", heads or "base")]
    return ", ".join(heads), found[::-1]


async def _asked(settings: DatabaseSettings, question: Callable[[Connection], T]) -> T:
    database = Database(settings)
    try:
        async with database.reader.connect() as connection:
            return await connection.run_sync(question)
    finally:
        await database.close()


def _words(error: Exception) -> str:
    """What the database or the revision said, without a value of a row."""
    if isinstance(error, RevisionError) and isinstance(error.__cause__, Exception):
        error = error.__cause__  # its text is the team's, and may hold one
    if isinstance(error, DBAPIError):
        return re.sub(r"<class '[^']*'>: ", "", str(error.orig)).splitlines()[0]
    if isinstance(error, CommandError | RevisionError | UnavailableError):
        return str(error)
    place = place_in(rooms()[-1].folder, error)
    return f"{type(error).__name__} in {Path(place).name}" if place else type(error).__name__


def _lost(revision: str, before: Tables, after: Tables) -> list[str]:
    found = []
    for name, was in before.items():
        rows = after[name].rows if name in after else None
        if rows is None and was.rows:
            found.append(f"revision {revision} (up) takes {name} away, with {was.rows} rows")
        elif rows is not None and rows < was.rows:
            found.append(f"revision {revision} (up): {name} has {rows} rows of {was.rows}")
    return found


def _not_back(before: Tables, down: Tables) -> list[str]:
    """What is not as it was, after up and down."""
    found = []
    for name, was in before.items():
        now = down.get(name)
        if now is None or now.rows != was.rows:
            found.append(f"{name}: {now.rows if now else 'no'} rows of {was.rows} come back after up and down")
        elif now.columns != was.columns:
            found.append(f"{name}: other columns after up and down")
        elif now.types != was.types:
            types = zip(was.columns, was.types, now.types, strict=True)
            others = ", ".join(f"{column} {here} in place of {there}" for column, there, here in types if there != here)
            found.append(f"{name}: {others} after up and down")
        elif now.checksum != was.checksum:
            pairs = zip(was.columns, was.sums, now.sums, strict=True)
            changed = ", ".join(column for column, there, here in pairs if there != here)
            found.append(f"{name}: other values in {changed or 'its rows'} after up and down")
    return found + [f"{name}: left behind by down" for name in down if name not in before]
