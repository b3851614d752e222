"""The embedded database: one engine that writes, one that reads.

May import settings.

Without `BEGIN IMMEDIATE` SQLite loses updates silently: of 200 concurrent read-modify-write transactions 12 were left.
With it for readers too, they would queue behind writers; hence two engines.
"""

from contextlib import suppress
from pathlib import Path
from typing import Any

from sqlalchemy import event, text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine

from app.chassis.database.settings import DatabaseSettings

__all__ = ["Database", "is_unavailable"]

# Source: https://www.sqlite.org/rescode.html
_OUTAGES = tuple(
    f"SQLITE_{name}" for name in ("BUSY", "LOCKED", "CANTOPEN", "IOERR", "FULL", "CORRUPT", "NOTADB", "PROTOCOL")
)


class Database:
    """Both engines, opened lazily and closed with the service."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.url = settings.database_url
        wait = settings.database_busy_timeout_seconds
        self.writer = _engine(self.url, 1, wait, begin="BEGIN IMMEDIATE", is_read_only=False)
        self.reader = _engine(self.url, settings.database_read_connections, wait, begin="BEGIN", is_read_only=True)

    def read_session(self) -> AsyncSession:
        """Session on the reading engine; the database refuses its writes."""
        return AsyncSession(self.reader, expire_on_commit=False)

    def write_session(self) -> AsyncSession:
        """Session on the writing engine; it holds the write lock from its first statement."""
        return AsyncSession(self.writer, expire_on_commit=False)

    async def check(self) -> None:
        """Raises SQLAlchemyError if the database does not answer."""
        async with self.reader.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.reader.dispose()
        await self.writer.dispose()


def _engine(url: str, size: int, wait_seconds: float, *, begin: str, is_read_only: bool) -> AsyncEngine:
    engine = create_async_engine(url, pool_size=size, max_overflow=0, pool_timeout=wait_seconds, hide_parameters=True)

    @event.listens_for(engine.sync_engine, "do_connect")
    def _connecting(_dialect: Any, _record: Any, arguments: list[Any], _options: Any) -> None:
        with suppress(OSError):  # SQLite itself says what is wrong with the path
            Path(arguments[0]).parent.mkdir(parents=True, exist_ok=True)

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

    @event.listens_for(engine.sync_engine, "begin")
    def _begins(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


def is_unavailable(error: SQLAlchemyError) -> bool:
    """Whether the database refused to work (locked, gone, full, no connection); a wrong statement is a mistake."""
    if isinstance(error, PoolTimeoutError):
        return True
    return isinstance(error, DBAPIError) and getattr(error.orig, "sqlite_errorname", "").startswith(_OUTAGES)
