"""What goes around each revision that is applied: references on SQLite, and which revision failed. May import about."""

import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.about import project_root

__all__ = ["RevisionError", "keeping_references", "place_in", "telling_which", "without_references"]

_BROKEN = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'
_FATE = "it was taken back, but for what it committed itself"
_WAITED = ("55P03", "40P01")  # SQLSTATE of PostgreSQL: a lock was not had in time, a deadlock


class RevisionError(Exception):
    """A revision failed and was taken back: its file and line, and what the database says."""


async def without_references(connection: AsyncConnection) -> None:
    """SQLite changes a table by copying and dropping it, and to drop it would delete, or forbid, what refers to it.

    Source: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    raw: Any = await connection.get_raw_connection()
    await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")  # past SQLAlchemy: no transaction may be open


def keeping_references(connection: Connection) -> Any:
    """What Alembic calls after each revision, before it is saved: it fails where more rows refer to nothing by now."""
    before = _broken(connection, "what was there before any revision")
    connection.rollback()

    def look(*, ctx: Any, step: Any, **_: Any) -> None:
        nonlocal before
        revision = f"revision {step.up_revision_id}"
        after = _broken(ctx.connection, revision)
        if after.total() > before.total():  # tables may have got other names
            (table, parent), rows = next((names, rows) for names, rows in after.items() if rows > before[names])
            told = f"leaves {rows} rows of {table} that refer to no row of {parent}"
            expected = "a revision that changes or deletes them too, for on SQLite nothing cascades meanwhile"
            raise RevisionError(f"{revision} {told}; {_FATE}; expected {expected}")
        before = after

    return look


def _broken(connection: Connection, whose: str) -> Counter[tuple[str, str]]:
    """Rows that refer to nothing, by table and parent."""
    try:
        return Counter({(table, parent): rows for table, parent, rows in connection.execute(text(_BROKEN))})
    except OperationalError as error:
        raise RevisionError(f"{whose}: {error.orig}; expected references to what is unique") from error


@contextmanager
def telling_which(folder: Path) -> Iterator[None]:
    """Whatever a revision in that folder raises is told with its place.

    Raises:
        RevisionError: one failed.
    """
    try:
        yield
    except (CommandError, RevisionError):
        raise
    except Exception as error:
        place, expected = place_in(folder, error), "a revision that runs on this database"
        if place is None:
            raise
        if getattr(getattr(error, "orig", None), "sqlstate", None) in _WAITED:
            expected = "that nobody else holds a lock it needs: try again"
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        raise RevisionError(f"{place}: {type(error).__name__}: {words}; {_FATE}; expected {expected}") from error


def place_in(folder: Path, error: Exception) -> str | None:
    """File and line of the last step below the folder that led to the error."""
    places = [(Path(one.filename), one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    found = [(file, line) for file, line in places if folder in file.parents and file.name != "env.py"]
    if not found:
        return None
    file, line = found[-1]
    return f"{file.relative_to(project_root()) if project_root() in file.parents else file}:{line}"
