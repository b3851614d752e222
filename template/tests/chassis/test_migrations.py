"""Revisions: one line of them, forwards and back, and they say what the models say."""

import asyncio
import sqlite3
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import create_engine

from app.chassis.about import project_root
from app.chassis.app import import_models
from app.chassis.database import Base
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.revisions import pending_rooms, revisions
from app.chassis.database.settings import DatabaseSettings


@pytest.fixture
def settings(tmp_path: Path) -> DatabaseSettings:
    """A database of its own."""
    return DatabaseSettings(database_url=f"sqlite+aiosqlite:///{tmp_path}/test.db")


def tables(folder: Path) -> dict[str, str]:
    """Name and definition of every table but Alembic's own."""
    with sqlite3.connect(folder / "test.db") as connection:
        found = connection.execute(
            "SELECT name, sql FROM sqlite_master WHERE type IN ('table', 'index') AND sql NOT NULL"
        )
        rows = found.fetchall()
    connection.close()
    return {name: sql for name, sql in rows if not name.endswith("_version")}


def test_revisions_have_one_head() -> None:
    """Two heads mean two people wrote a revision at the same time: merge them."""
    assert len(revisions(project_root() / "migrations").heads) <= 1


def test_revisions_go_forwards_back_and_forwards(tmp_path: Path, settings: DatabaseSettings) -> None:
    """Down from the head to nothing and up again ends where it began."""
    asyncio.run(migrate(Database(settings)))
    before = tables(tmp_path)
    asyncio.run(migrate(Database(settings), "base"))
    assert tables(tmp_path) == {}
    asyncio.run(migrate(Database(settings)))
    assert tables(tmp_path) == before


def test_revisions_say_what_the_models_say(tmp_path: Path, settings: DatabaseSettings) -> None:
    """A model that changed without a revision would fail only in production."""
    import_models("app.domains")
    asyncio.run(migrate(Database(settings)))
    engine = create_engine(f"sqlite:///{tmp_path}/test.db")
    with engine.connect() as connection:
        found = compare_metadata(MigrationContext.configure(connection, opts={"compare_type": True}), Base.metadata)
    engine.dispose()
    assert found == []


def test_older_release_serves_what_a_newer_one_migrated(tmp_path: Path, settings: DatabaseSettings) -> None:
    """Rolling back a release needs no change of the database: it is ready, migrates nothing, and goes nowhere else."""
    asyncio.run(migrate(Database(settings)))
    with sqlite3.connect(tmp_path / "test.db") as connection:
        connection.execute("DELETE FROM alembic_version")
        connection.execute("INSERT INTO alembic_version VALUES ('9999')")
    connection.close()

    async def pending() -> list[str]:
        database = Database(settings)
        try:
            return await pending_rooms(database)
        finally:
            await database.close()

    assert asyncio.run(pending()) == []
    assert asyncio.run(migrate(Database(settings))) == ["team: 9999, of a newer release: left as it is"]
    with pytest.raises(CommandError, match="9999, which this release does not have"):
        asyncio.run(migrate(Database(settings), "base"))
