"""Revisions: one line of them, forwards and back, and they say what the models say, on each engine."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.schema import CreateIndex, CreateTable

from app.chassis.about import project_root
from app.chassis.app import import_models
from app.chassis.database import Base
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.revisions import pending_rooms, revisions
from app.chassis.database.settings import DatabaseSettings

pytestmark = pytest.mark.engines("sqlite", "postgresql")


@pytest.fixture
def settings(database_url: str) -> DatabaseSettings:
    """A database of its own."""
    return DatabaseSettings(database_url=database_url)


def asked(settings: DatabaseSettings, question: Callable[[Connection], Any]) -> Any:
    """What a function of a connection returns."""

    async def ask() -> Any:
        database = Database(settings)
        try:
            async with database.writer.begin() as connection:
                return await connection.run_sync(question)
        finally:
            await database.close()

    return asyncio.run(ask())


def tables(connection: Connection) -> dict[str, str]:
    """Name and definition of every table and index of the team."""
    found = MetaData()
    found.reflect(connection)
    made = {
        table.name: [str(CreateTable(table).compile(connection)), *(str(CreateIndex(one)) for one in table.indexes)]
        for table in found.sorted_tables
    }
    return {
        name: "".join(sorted(lines)) for name, lines in made.items() if not name.startswith(("chassis_", "alembic_"))
    }


def test_revisions_have_one_head() -> None:
    """Two heads mean two people wrote a revision at the same time: merge them."""
    assert len(revisions(project_root() / "migrations").heads) <= 1


def test_revisions_go_forwards_back_and_forwards(settings: DatabaseSettings) -> None:
    """Down from the head to nothing and up again ends where it began."""
    asyncio.run(migrate(Database(settings)))
    before = asked(settings, tables)
    asyncio.run(migrate(Database(settings), "base"))
    assert asked(settings, tables) == {}
    asyncio.run(migrate(Database(settings)))
    assert asked(settings, tables) == before


def test_revisions_say_what_the_models_say(settings: DatabaseSettings) -> None:
    """A model that changed without a revision would fail only in production."""
    import_models("app.domains")
    asyncio.run(migrate(Database(settings)))

    def compared(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Base.metadata)
        own = ("remove_table", "remove_index")  # tables of the chassis are not the team's
        return [one for one in found if not (one[0] in own and "chassis_" in str(one[1]))]

    assert asked(settings, compared) == []


def test_older_release_serves_what_a_newer_one_migrated(settings: DatabaseSettings) -> None:
    """Rolling back a release needs no change of the database: it is ready, migrates nothing, and goes nowhere else."""
    asyncio.run(migrate(Database(settings)))

    def of_another_release(connection: Connection) -> None:
        connection.execute(text("DELETE FROM alembic_version"))
        connection.execute(text("INSERT INTO alembic_version VALUES ('9999')"))

    asked(settings, of_another_release)

    async def pending() -> list[str]:
        database = Database(settings)
        try:
            return await pending_rooms(database)
        finally:
            await database.close()

    assert asyncio.run(pending()) == []
    assert asyncio.run(migrate(Database(settings)))[-1] == "team: 9999, of a newer release: left as it is"
    with pytest.raises(CommandError, match="9999, which this release does not have"):
        asyncio.run(migrate(Database(settings), "base"))
