"""What goes around each revision that is applied: references on SQLite, and which revision failed. May import about."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.about import project_root

__all__ = ["RevisionError", "keeping_references", "place_in", "telling_which", "without_references"]

_BROKEN = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check GROUP BY 1, 2'


class RevisionError(Exception):
    """A revision failed and was taken back: its file and line, and what the database says."""


async def without_references(connection: AsyncConnection) -> None:
    """SQLite changes a table by copying and dropping it, and to drop it would delete, or forbid, what refers to it.

    Source: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    raw: Any = await connection.get_raw_connection()
    await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")  # past SQLAlchemy: no transaction may be open


def keeping_references(connection: Connection) -> Any:
    """What Alembic calls after each revision, before it is saved: it fails where rows refer to nothing by now."""
    before = _broken(connection)
    connection.rollback()

    def look(*, ctx: Any, step: Any, **_: Any) -> None:
        for (table, parent), rows in _broken(ctx.connection).items():
            if rows > before.get((table, parent), 0):
                told = f"leaves {rows} rows of {table} that refer to no row of {parent}"
                expected = "a revision that changes or deletes them too, for on SQLite nothing cascades meanwhile"
                raise RevisionError(f"revision {step.up_revision_id} {told}; it was taken back; expected {expected}")

    return look


def _broken(connection: Connection) -> dict[tuple[str, str], int]:
    return {(table, parent): rows for table, parent, rows in connection.execute(text(_BROKEN))}


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
        place = place_in(folder, error)
        if place is None:
            raise
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        told = f"{place}: {type(error).__name__}: {words}"
        raise RevisionError(f"{told}; it was taken back; expected a revision that runs on this database") from error


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
