"""New databases for tests, on each engine. May import testing."""

import asyncio
import os
import secrets
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]

from app.chassis.testing.postgresql import PostgresqlServer

__all__ = ["ENGINES", "Databases", "execute"]

ENGINES = ("sqlite", "postgresql")


class Databases:
    """Makes databases; PostgreSQL is started at the first need: `TEST_DATABASE_URL`, else one of our own."""

    def __init__(self) -> None:
        self._server: PostgresqlServer | None = None
        self._url = os.environ.get("TEST_DATABASE_URL", "")
        self._is_lent = bool(self._url)
        self._names: list[str] = []

    def new(self, engine: str, folder: Path) -> str:
        """URL of an empty database; SQLite's is a file in `folder`.

        Raises:
            ServerMissingError: there is no PostgreSQL.
        """
        if engine == "sqlite":
            return f"sqlite+aiosqlite:///{folder}/test.db"
        if not self._url:
            self._server = PostgresqlServer()
            self._url = self._server.url
        name = f"test_{secrets.token_hex(6)}"
        execute(self._url, f"CREATE DATABASE {name}")
        self._names.append(name)
        head, _, options = self._url.partition("?")
        return f"{head.rpartition('/')[0]}/{name}{'?' * bool(options)}{options}"

    def close(self) -> None:
        """Stop what was started; on a server of others drop what was made there."""
        if self._is_lent:
            for name in self._names:
                execute(self._url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        elif self._server is not None:
            self._server.close()


def execute(url: str, statement: str) -> list[Any]:
    """Rows of a statement that PostgreSQL is asked past the service."""

    async def asked() -> list[Any]:
        connection = await asyncpg.connect(url.replace("+asyncpg", "", 1))
        try:
            return list(await connection.fetch(statement))
        finally:
            await connection.close()

    return asyncio.run(asked())
