"""Moves the database forwards and back: first each chassis room, then the team's tables.

May import about, applying, autogenerate, engine, feature, revisions, settings.

A chassis room keeps its own tables, revisions and version table; the team's autogenerate never sees `chassis_*`.
"""

import asyncio
import re
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from pathlib import Path
from typing import Any

from alembic import command, context
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.about import project_root
from app.chassis.database.applying import keeping_references, telling_which, without_references
from app.chassis.database.autogenerate import complete, rendered
from app.chassis.database.engine import Database
from app.chassis.database.revisions import TEAM, revisions, rooms, version_table
from app.chassis.database.settings import DatabaseSettings
from app.chassis.feature import MigrationRoom
from app.chassis.settings import load_settings

__all__ = ["config_of", "migrate", "new_revision", "run_env"]

_TURN = 0x706C756D62  # any number that other programs on the same database do not take
_TURN_SECONDS = 0.2


def config_of(room: MigrationRoom, connection: Connection | None = None) -> Config:
    """Alembic's settings for the revisions of a room."""
    config = Config(str(project_root() / "alembic.ini"))
    config.set_main_option("script_location", str(room.folder).replace("%", "%%"))
    config.attributes["room"] = room
    config.attributes["connection"] = connection
    return config


def run_env() -> None:
    """Body of every `env.py`: runs the revisions on the connection given, or on the one of `DATABASE_URL`.

    Offline it writes the SQL of PostgreSQL.
    """
    room = context.config.attributes.get("room") or rooms()[-1]
    connection = context.config.attributes.get("connection")
    if connection is not None or context.is_offline_mode():
        _run(connection, room)
        return
    asyncio.run(_with_database(Database(load_settings(DatabaseSettings)), lambda sync: _run(sync, room)))


def _run(connection: Connection | None, room: MigrationRoom) -> None:
    def is_ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "table" or not (name or "").startswith("chassis_") or room.name != TEAM

    after_each = None
    if connection is not None and connection.dialect.name == "sqlite":
        after_each = keeping_references(connection)
    context.configure(
        connection=connection,
        dialect_name="postgresql",  # for want of a connection
        literal_binds=connection is None,
        target_metadata=room.metadata,
        version_table=version_table(room),
        include_name=is_ours,
        render_item=rendered,
        render_as_batch=True,  # SQLite changes a column by copying the table
        compare_server_default=True,
        process_revision_directives=complete,
        on_version_apply=after_each,
        transactional_ddl=True,  # both engines can; SQLite only if it is told to
        transaction_per_migration=True,  # so that a revision may step out of its own: CREATE INDEX CONCURRENTLY
    )
    with context.begin_transaction():
        context.run_migrations()


async def _with_database(database: Database, action: Any) -> Any:
    try:
        async with database.writer.connect() as connection:
            await (_take_turns if database.is_postgresql else without_references)(connection)
            return await connection.run_sync(action)
    finally:
        await database.close()


async def _take_turns(connection: AsyncConnection) -> None:
    """Replicas that start at once migrate one by one; a statement may take its time.

    Who waited within a statement would hold a snapshot, for which `CREATE INDEX CONCURRENTLY` of the first one waits.
    """
    await connection.execute(text("SET statement_timeout = 0"))
    while not await connection.scalar(text(f"SELECT pg_try_advisory_lock({_TURN})")):
        await connection.commit()
        await asyncio.sleep(_TURN_SECONDS)
    await connection.commit()


async def migrate(database: Database, to: str = "head") -> list[str]:
    """Bring every chassis room to its head and the team to revision `to`, forwards or back.

    Args:
        database: Closed afterwards.
        to: `head`, `base`, a revision, or `-1` for one step back. Chassis rooms never go back.

    Returns:
        A line "room: from -> to" for the team, and for each chassis room that moved. What a newer release migrated is
        left as it is.
    """

    def action(connection: Connection) -> list[str]:
        moved = [(room, _move(connection, room, to if room.name == TEAM else "head")) for room in rooms()]
        return [told for room, (told, is_news) in moved if is_news or room.name == TEAM]

    lines: list[str] = await _with_database(database, action)
    return lines


@contextmanager
def _each_once() -> Iterator[None]:
    """Of two revisions with one number, two people's, Alembic would leave one out and only warn."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Revision .* is present more than once")
            warnings.filterwarnings("ignore", ".* expression-based index")  # SQLite shows none: autogenerate.py looks
            yield
    except UserWarning as warning:
        raise CommandError(f"{warning}: give the later one the next number") from None


@_each_once()
def _move(connection: Connection, room: MigrationRoom, to: str) -> tuple[str, bool]:
    before, config = _current(connection, room), config_of(room, connection)
    if before and revisions(room.folder).is_ahead(frozenset(before.split(", "))):
        if to != "head":
            raise CommandError(f"the database is at {before}, which this release does not have")
        return f"{room.name}: {before}, of a newer release: left as it is", True
    move = command.downgrade if _is_back(config, before, to) else command.upgrade
    with telling_which(room.folder):
        move(config, to)
    after = _current(connection, room)
    return f"{room.name}: {before or 'nothing'} -> {after or 'nothing'}", before != after


def _is_back(config: Config, current: str | None, to: str) -> bool:
    if to == "base" or to.startswith("-"):
        return True
    if current is None or to in ("head", current):
        return False
    before = ScriptDirectory.from_config(config).iterate_revisions(current, "base")
    return to in {script.revision for script in before}


def _current(connection: Connection, room: MigrationRoom) -> str | None:
    found = MigrationContext.configure(connection, opts={"version_table": version_table(room)})
    current = ", ".join(found.get_current_heads()) or None
    connection.rollback()  # Alembic begins a transaction for each revision, and none may be open
    return current


def new_revision(message: str) -> Path:
    """Write the team's next revision: what the models say beyond the revisions so far, found on a scratch database."""
    room = rooms()[-1]
    with tempfile.TemporaryDirectory() as folder:
        scratch = DatabaseSettings(database_url=f"sqlite+aiosqlite:///{folder}/scratch.db")

        def action(connection: Connection) -> Any:
            for each in rooms():
                command.upgrade(config_of(each, connection), "head")
            return command.revision(
                config_of(room, connection), message, autogenerate=True, rev_id=_next_id(room.folder)
            )

        with (
            _each_once(),
            redirect_stdout(sys.stderr),
        ):  # Alembic chats; what our commands print is for programs to read
            script = asyncio.run(_with_database(Database(scratch), action))
    return Path(script.path)


def _next_id(folder: Path) -> str:
    numbers = (
        int(name.group(1)) for path in folder.glob("versions/*.py") if (name := re.match(r"(\d{4})_", path.name))
    )
    return f"{max(numbers, default=0) + 1:04d}"
