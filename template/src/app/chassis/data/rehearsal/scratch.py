"""A scratch database that holds a backup, made and put away. May import about, database, errors."""

import os
import secrets
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.exc import SQLAlchemyError

from app.chassis.about import project_root
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings, is_postgresql
from app.chassis.errors import UnavailableError

__all__ = ["RehearsalError", "RehearsalSettings", "scratch", "taken"]


class RehearsalError(Exception):
    """No rehearsal can be held; the text says what was expected."""


class RehearsalSettings(DatabaseSettings):
    """The database, and where a copy of it may be made."""

    database_statement_timeout_seconds: float = 86_400.0
    scratch_database_url: str = ""


def taken(folder: Path) -> Path:
    """A fresh backup of the service's database.

    Raises:
        RehearsalError: in the words of ops/backup.py.
    """
    _ops("backup.py", "--quick", "--to", str(folder))
    return next(path for path in folder.iterdir() if path.suffix in (".db", ".dump"))


@asynccontextmanager
async def scratch(settings: RehearsalSettings, folder: Path, backup: Path) -> AsyncIterator[DatabaseSettings]:
    """Settings of a new database that holds a backup; it is gone afterwards.

    Raises:
        RehearsalError: it cannot be made.
    """
    if is_postgresql(settings.database_url):
        server = settings.model_copy(update={"database_url": settings.scratch_database_url or settings.database_url})
        name = f"scratch_{datetime.now(UTC):%Y%m%d}_{secrets.token_hex(6)}"
        url = make_url(server.database_url).set(database=name).render_as_string(hide_password=False)
        await _said_to(server, f"CREATE DATABASE {name} TEMPLATE template0")
    else:
        server, name, url = settings, "", f"sqlite+aiosqlite:///{folder}/scratch.db"
    try:
        arguments = ("--newer", "--no-grants", "--", str(backup))
        _ops("restore.py", *arguments, DATABASE_URL=url, BACKUP_FOLDER=str(folder))
        yield settings.model_copy(update={"database_url": url})
    finally:
        if name:
            await _said_to(server, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


async def _said_to(server: DatabaseSettings, statement: str) -> None:
    database = Database(server)
    try:
        async with database.writer.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            await connection.execute(text(statement))
    except (SQLAlchemyError, UnavailableError) as error:
        reason = error.__cause__ or error.args[0]
        raise RehearsalError(
            f"no scratch database: {reason}; expected a role that may create databases, "
            "here or where SCRATCH_DATABASE_URL says"
        ) from None
    finally:
        await database.close()


def _ops(program: str, *arguments: str, **environment: str) -> None:
    done = subprocess.run(  # noqa: S603  # our own program
        [sys.executable, str(project_root() / "ops" / program), *arguments],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RehearsalError(done.stderr.rpartition("not done: ")[2].strip())  # before it: what it was doing
