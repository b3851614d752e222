"""The database of the service, whichever it is. May import postgresql, settings, sqlite."""

import math

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncSession

from app.chassis.database.postgresql import postgresql_engines
from app.chassis.database.settings import DatabaseSettings, is_postgresql
from app.chassis.database.sqlite import sqlite_engines

__all__ = ["Database"]


class Database:
    """An engine that writes and one that reads; both connect at the first need and are closed with the service."""

    def __init__(self, settings: DatabaseSettings) -> None:
        self.url = settings.database_url
        self.is_postgresql = is_postgresql(self.url)
        # SQLite's commit ends by itself, and nobody could take it back.
        self.commit_seconds = settings.database_statement_timeout_seconds if self.is_postgresql else math.inf
        self.writer, self.reader = (postgresql_engines if self.is_postgresql else sqlite_engines)(settings)

    def read_session(self) -> AsyncSession:
        """Session on the reading engine; the database refuses its writes."""
        return AsyncSession(self.reader, expire_on_commit=False)

    def write_session(self) -> AsyncSession:
        """Session on the writing engine; SQLite's holds the write lock from its first statement."""
        return AsyncSession(self.writer, expire_on_commit=False)

    async def check(self) -> None:
        """Raises an error if the database does not answer."""
        async with self.reader.connect() as connection:
            await connection.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close every connection."""
        await self.reader.dispose()
        await self.writer.dispose()
