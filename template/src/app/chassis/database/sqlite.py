"""SQLite: one engine that writes, one that reads, on one file. May import errors, settings.

Without `BEGIN IMMEDIATE` SQLite loses updates silently: of 200 concurrent read-modify-write transactions 12 were left.
With it for readers too, they would queue behind writers; hence two engines.
"""

import os
from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.exc import DataError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import UnavailableError

__all__ = ["sqlite_engines"]


def sqlite_engines(settings: DatabaseSettings) -> tuple[AsyncEngine, AsyncEngine]:
    """The writing engine, which takes the lock as it begins, and the reading one, which refuses to write."""
    url, file, wait = settings.database_url, _File(), settings.database_busy_timeout_seconds
    return (
        _engine(url, file, 1, wait, begin="BEGIN IMMEDIATE", is_read_only=False),
        _engine(url, file, settings.database_read_connections, wait, begin="BEGIN", is_read_only=True),
    )


class _File:
    """The database's file: while it is open it stays the one that was opened first."""

    def __init__(self) -> None:
        self._path = ""
        self._opened: tuple[int, int] | None = None

    def opening(self, path: str) -> None:
        """Before a connection: make the folder, unless the file was there and is gone."""
        self._path = path
        self.check()
        with suppress(OSError):  # SQLite itself says what is wrong with the path
            Path(path).parent.mkdir(parents=True, exist_ok=True)

    def opened(self) -> None:
        """A connection is made: this is the file."""
        self._opened = self._opened or self._identity()

    def check(self) -> None:
        """Raises UnavailableError if another file, or none, is there now: what is written would be lost."""
        if self._opened is not None and self._identity() != self._opened:
            raise UnavailableError("the database file was moved or replaced; start the service again")

    def _identity(self) -> tuple[int, int] | None:
        try:
            found = os.stat(self._path)  # noqa: PTH116  # a Path would cost as much again, for every request
        except OSError:
            return None
        return found.st_dev, found.st_ino


def _engine(url: str, file: _File, size: int, wait_seconds: float, *, begin: str, is_read_only: bool) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_size=size, max_overflow=0, pool_timeout=wait_seconds, hide_parameters=True, pool_reset_on_return=None
    )

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connecting(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
        file.opening(arguments[0])

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None  # the driver would begin on its own, too late and without the lock
        cursor = connection.cursor()
        for pragma in (
            f"busy_timeout = {int(wait_seconds * 1000)}",
            "journal_mode = WAL",
            "synchronous = NORMAL",
            "foreign_keys = ON",
            f"query_only = {'ON' if is_read_only else 'OFF'}",
        ):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()
        file.opened()

    event.listen(engine.sync_engine, "checkout", lambda *_: file.check())

    @event.listens_for(engine.sync_engine, "begin")
    def _begins(connection: Any) -> None:
        if connection.get_execution_options().get("isolation_level") != "AUTOCOMMIT":
            connection.exec_driver_sql(begin)

    event.listen(engine.sync_engine, "before_cursor_execute", _note_stream)
    event.listen(engine.sync_engine, "reset", _give_back)
    event.listen(engine.sync_engine, "invalidate", _end)
    event.listen(engine.sync_engine, "handle_error", _tell_overflow)
    return engine


def _note_stream(connection: Any, cursor: Any, *_: Any) -> None:
    if cursor.server_side:
        connection.info.setdefault("streams", []).append(cursor)


def _give_back(connection: Any, record: Any, state: Any) -> None:
    """Instead of the pool's own rollback, which would cross to the connection's thread each time for nothing.

    A stream that was not read to its end would hold its moment of the data for whoever comes next.
    """
    streams = record.info.pop("streams", ())
    if state.terminate_only:
        return
    for cursor in streams:
        cursor.close()
    if connection.driver_connection.in_transaction:
        connection.rollback()


def _end(connection: Any, record: Any, _error: Any) -> None:
    """Whoever asked is gone: the statement ends now, and its lock with it, not when its cursor is collected."""
    driver = connection.driver_connection
    database, queue = driver._connection, driver._tx  # noqa: SLF001  # there is no way that does not wait
    if database is None:
        return
    database.interrupt()
    cursors = [stream._cursor for stream in record.info.pop("streams", ())]  # noqa: SLF001  # as above
    for action in (*(one._cursor.close for one in cursors if one is not None), database.rollback):  # noqa: SLF001
        queue.put_nowait((None, action))  # on the connection's own thread, before the close that follows


def _tell_overflow(context: Any) -> DataError | None:
    """The driver's own check of a number is no error of the database to SQLAlchemy."""
    error = context.original_exception
    if not isinstance(error, OverflowError):
        return None
    return DataError(context.statement, context.parameters, error, hide_parameters=True)
