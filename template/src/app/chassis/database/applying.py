"""What goes around each revision that is applied: references on SQLite, and which revision failed. May import about."""

import os
import re
import traceback
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from alembic.util import CommandError
from sqlalchemy import Connection, event, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.about import project_root

__all__ = ["RevisionError", "keeping_references", "place_in", "telling_which", "without_references"]

_BROKEN = 'SELECT "table", parent, fkid, count(*), count(rowid) FROM pragma_foreign_key_check GROUP BY 1, 2, 3'
_REFERRING = 'SELECT "from" FROM pragma_foreign_key_list(:child) WHERE id = :key ORDER BY seq'
_ENDS = re.compile(r"\s*(COMMIT|END|ROLLBACK)\b(?!\s+(TRANSACTION\s+)?TO\b)", re.IGNORECASE)
_WAITED = ("55P03", "40P01")  # SQLSTATE of PostgreSQL: a lock was not had in time, a deadlock
_Orphans = Counter[tuple[str, str, tuple[str, ...]]]


class RevisionError(Exception):
    """A revision failed: its file and line, what the database says, and what became of what it did."""


async def without_references(connection: AsyncConnection) -> None:
    """SQLite changes a table by copying and dropping it, and to drop it would delete, or forbid, what refers to it.

    Source: https://www.sqlite.org/lang_altertable.html#otheralter
    """
    raw: Any = await connection.get_raw_connection()
    await raw.driver_connection.execute("PRAGMA foreign_keys = OFF")  # past SQLAlchemy: no transaction may be open


def keeping_references(connection: Connection) -> Any:
    """What Alembic calls after each revision, before it is saved: it fails where rows refer to nothing by now."""
    try:
        before = _tables(connection), _orphans(connection)
    except OperationalError as error:
        raise RevisionError(f"before any revision: {error.orig}; expected references that SQLite can follow") from None
    connection.rollback()

    def look(*, ctx: Any, step: Any, **_: Any) -> None:
        nonlocal before
        after = _tables(ctx.connection), _orphans(ctx.connection)
        for (child, parent), rows in _added(before, after).items():
            told = f"leaves {rows} rows of {child} that refer to no row of {parent}"
            expected = "a revision that changes or deletes them too, for on SQLite nothing cascades meanwhile"
            raise RevisionError(f"revision {step.up_revision_id} {told}; expected {expected}")
        before = after

    return look


def _tables(connection: Connection) -> set[str]:
    return set(connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'table'")))


def _orphans(connection: Connection) -> _Orphans:
    """Rows that refer to nothing, by table, parent and the values that refer; a table without rowid tells no values."""
    found, quote = _Orphans(), connection.dialect.identifier_preparer.quote_identifier
    for child, parent, key, rows, known in connection.execute(text(_BROKEN)).all():
        names = {"child": child, "key": key}
        columns = ", ".join(f"CAST(held.{quote(name)} AS TEXT)" for name in connection.scalars(text(_REFERRING), names))
        if known < rows:
            found[child, parent, ()] += rows
            continue
        broken = "SELECT rowid FROM pragma_foreign_key_check(:child) WHERE fkid = :key"
        asked = f"SELECT {columns} FROM {quote(child)} AS held WHERE _rowid_ IN ({broken})"  # noqa: S608  # quoted
        found.update((child, parent, tuple(values)) for values in connection.execute(text(asked), names))
    return found


def _added(before: tuple[set[str], _Orphans], after: tuple[set[str], _Orphans]) -> Counter[tuple[str, str]]:
    """Rows that refer to nothing since then, by table and parent. A table that got another name is known by values."""
    kept, was, added = before[0] & after[0], _Orphans(), Counter[tuple[str, str]]()
    for (child, parent, values), rows in before[1].items():
        was[child if child in kept else "", parent if parent in kept else "", values] += rows
    for (child, parent, values), rows in after[1].items():
        same = child if child in kept else "", parent if parent in kept else "", values
        if rows > was[same]:
            added[child, parent] += rows - was[same]
        was[same] -= min(rows, was[same])
    return added


class _Watch:
    """Which revision works on a connection, by the files that are running, and which left its transaction."""

    def __init__(self, folder: Path, connection: Connection) -> None:
        self.running, self._is_saved = "", True
        self._outside: set[str] = set()
        self._prefix = f"{folder}{os.sep}"
        event.listen(connection, "begin", self._begins)
        event.listen(connection, "before_cursor_execute", self._sends)
        event.listen(connection, "commit", self._commits)

    @property
    def fate(self) -> str:
        """What became of what the revision did."""
        if self.running in self._outside:
            return "it left its transaction, so what it did until then and outside stays: look before it is run again"
        return "it was taken back"

    def _file(self) -> str:
        names = [frame.f_code.co_filename for frame, _ in traceback.walk_stack(None)]
        return next((one for one in names[::-1] if one.startswith(self._prefix) and not one.endswith("env.py")), "")

    def _begins(self, _connection: Connection) -> None:
        if self._is_saved and not self._file():
            self.running = ""

    def _sends(self, _connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        file = self._file()
        self.running = file or self.running
        if file and _ENDS.match(statement):
            self._outside.add(file)

    def _commits(self, _connection: Connection) -> None:
        file = self._file()
        self._is_saved = not file  # else it is Alembic that saves it, which may fail too
        if file:
            self.running = file
            self._outside.add(file)


@contextmanager
def telling_which(folder: Path, connection: Connection) -> Iterator[None]:
    """Whatever a revision in that folder raises, or leaves behind, is told with its place.

    Raises:
        RevisionError: one failed.
    """
    watch = _Watch(folder, connection)
    try:
        yield
    except CommandError:
        raise
    except RevisionError as error:
        raise RevisionError(f"{error}; {watch.fate}" if watch.running else str(error)) from None
    except Exception as error:
        place, expected = place_in(folder, error), "a revision that runs on this database"
        if place is None and not watch.running:
            raise
        if place is None:
            place, expected = (
                f"{_short(Path(watch.running))}, at its end",
                "one that leaves references and search_path in order",
            )
        if getattr(getattr(error, "orig", None), "sqlstate", None) in _WAITED:
            expected = "that nobody else holds a lock it needs: try again"
        words = " ".join(str(getattr(error, "orig", None) or error).split())
        raise RevisionError(f"{place}: {type(error).__name__}: {words}; {watch.fate}; expected {expected}") from error


def place_in(folder: Path, error: Exception) -> str | None:
    """File and line of the last step below the folder that led to the error."""
    places = [(Path(one.filename), one.lineno) for one in traceback.extract_tb(error.__traceback__)]
    if isinstance(error, SyntaxError) and error.filename:
        places.append((Path(error.filename), error.lineno))
    found = [(file, line) for file, line in places if folder in file.parents and file.name != "env.py"]
    return f"{_short(found[-1][0])}:{found[-1][1]}" if found else None


def _short(file: Path) -> Path:
    return file.relative_to(project_root()) if project_root() in file.parents else file
