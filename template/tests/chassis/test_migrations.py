"""Revisions: one line of them, forwards and back, and they say what the models say, on each engine."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.util import CommandError
from sqlalchemy import (
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    String,
    Table,
    false,
    func,
    inspect,
    text,
    true,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateIndex, CreateTable

from app.chassis.about import project_root
from app.chassis.app import import_models
from app.chassis.data.locks.check import check
from app.chassis.database import Base, migrations
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate, new_revision
from app.chassis.database.revisions import pending_rooms, revisions
from app.chassis.database.settings import DatabaseSettings
from app.chassis.feature import MigrationRoom

pytestmark = [
    pytest.mark.engines("sqlite", "postgresql"),
    pytest.mark.filterwarnings("ignore:.* expression-based index"),  # SQLite shows none: they are looked for by name
]


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


def test_revisions_say_what_the_models_say(settings: DatabaseSettings, engine: str) -> None:
    """A model that changed without a revision would fail only in production."""
    import_models("app.domains")
    asyncio.run(migrate(Database(settings)))

    def compared(connection: Connection) -> Any:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        found = compare_metadata(context, Base.metadata)
        own = ("remove_table", "remove_index")  # tables of the chassis are not the team's
        return [one for one in found if not (one[0] in own and "chassis_" in str(one[1]))]

    assert asked(settings, compared) == []
    names = text("SELECT indexname FROM pg_indexes" if engine == "postgresql" else "SELECT name FROM sqlite_master")
    there = asked(settings, lambda connection: set(connection.scalars(names)))
    assert {str(one.name) for table in Base.metadata.sorted_tables for one in table.indexes} <= there


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


Models = Callable[..., None]


@pytest.fixture
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """Sets the models of a room of the test's own: tables, and what is made once they are there."""
    (tmp_path / "versions").mkdir()
    for name in ("env.py", "script.py.mako"):
        (tmp_path / name).write_bytes((project_root() / "migrations" / name).read_bytes())

    def are(*tables: Callable[[MetaData], Any]) -> None:
        metadata = MetaData(naming_convention=Base.metadata.naming_convention)
        for table in tables:
            table(metadata)
        room = MigrationRoom("team", metadata, tmp_path)
        monkeypatch.setattr(migrations, "rooms", lambda: [room])

    return are


def written() -> str:
    """The next revision's text."""
    revisions.cache_clear()
    return new_revision("next").read_text(encoding="utf-8")


def things(*columns: Column[Any], is_unique: bool = False, name: str = "things", width: int = 9) -> Any:
    """Makes a table with a name that may be unique whatever its case."""

    def make(metadata: MetaData) -> None:
        key = Column("id", Integer, primary_key=True)
        table = Table(name, metadata, key, Column("name", String(width)), *columns)
        if is_unique:
            Index(f"uq_{name}_lower", func.lower(table.c.name), unique=True)

    return make


def is_unique(settings: DatabaseSettings, name: str = "things") -> bool:
    """Whether the database refuses a name that differs by its case alone. It is emptied."""

    def insert(connection: Connection) -> bool:
        connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608  # our own name
        try:
            with connection.begin_nested():
                connection.execute(text(f"INSERT INTO {name} (id, name) VALUES (1, 'a'), (2, 'A')"))  # noqa: S608
        except IntegrityError:
            return True
        connection.execute(text(f"DELETE FROM {name}"))  # noqa: S608
        return False

    return bool(asked(settings, insert))


def test_index_over_an_expression_is_written(
    settings: DatabaseSettings, models: Models, capsys: pytest.CaptureFixture[str]
) -> None:
    """SQLite shows none, so Alembic leaves it out: two rows with one name, in production alone."""
    models(things())
    written()
    models(things(is_unique=True), things(is_unique=True, name="others"))
    assert written().count("create_index") == 2
    asyncio.run(migrate(Database(settings)))
    assert is_unique(settings)
    assert is_unique(settings, "others")
    capsys.readouterr()
    assert "create_index" not in written()
    assert "models and revisions agree" in capsys.readouterr().err
    models(things(is_unique=True, width=99))  # SQLite copies the table
    written()
    for to in ("head", "0002", "head"):
        revisions.cache_clear()
        asyncio.run(migrate(Database(settings), to))
        assert is_unique(settings), to
    asyncio.run(migrate(Database(settings), "0001"))
    assert not is_unique(settings)
    asyncio.run(migrate(Database(settings), "base"))
    assert asked(settings, tables) == {}


def test_indexes_alone_are_written_to_keep_nobody_waiting(settings: DatabaseSettings, models: Models) -> None:
    """Forwards and back outside of a transaction; `make migrate-check` has nothing to say, and both engines run it."""
    models(things(Column("size", Integer)))
    written()
    models(things(Column("size", Integer, index=True), is_unique=True))
    alone = written()
    assert alone.count("    with op.get_context().autocommit_block():\n        op.") == 2
    assert "batch_alter_table" not in alone
    assert check(migrations.rooms()[-1], {"0002"}) == ([], 0)
    for to, is_there in (("head", True), ("0001", False), ("head", True)):
        revisions.cache_clear()
        asyncio.run(migrate(Database(settings), to))
        assert is_unique(settings) == is_there
    models(things(Column("size", Integer), Column("more", Integer, index=True), is_unique=True))
    assert "autocommit_block" not in written()


def test_line_that_is_too_long_is_folded_without_a_word(
    settings: DatabaseSettings, models: Models, capfd: pytest.CaptureFixture[str]
) -> None:
    """The linter looks at a revision before the formatter does; what that will mend is no news."""
    models(things(Column("a_column_with_a_long_name", String(80), server_default="x" * 60, nullable=False)))
    assert max(map(len, written().splitlines())) <= 120
    told = capfd.readouterr()
    assert "E501" not in told.out + told.err
    asyncio.run(migrate(Database(settings)))


def test_revision_says_true_and_false_to_both_engines(settings: DatabaseSettings, models: Models) -> None:
    """What SQLite calls 0 PostgreSQL refuses; a small number comes back as small as it was."""
    models(things())
    written()
    flags = Column("no", Boolean, server_default=false()), Column("yes", Boolean, server_default=true(), nullable=False)
    models(things(*flags, Column("small", SmallInteger)))
    assert "server_default=sa.false()" in written()
    models(things())
    back = written().partition("def downgrade")[2]
    assert "sa.SmallInteger()" in back
    assert "sa.BigInteger" not in back
    revisions.cache_clear()
    asyncio.run(migrate(Database(settings)))
    asyncio.run(migrate(Database(settings), "0002"))
    asked(settings, lambda connection: connection.execute(text("INSERT INTO things (id, name) VALUES (1, 'a')")))
    row = asked(settings, lambda connection: connection.execute(text("SELECT no, yes, small FROM things")).one())
    assert tuple(row) == (False, True, None)
    columns = asked(settings, lambda connection: inspect(connection).get_columns("things"))
    assert {str(one["type"]) for one in columns if one["name"] == "small"} == {"SMALLINT"}


@pytest.mark.engines("sqlite")
def test_files_that_alembic_passes_by_are_no_revisions(tmp_path: Path) -> None:
    """A package's `__init__.py`, an editor's lock link: the service would never be ready."""
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "0001_.py").write_text("revision = '0001'\ndown_revision = None\n", encoding="utf-8")
    (versions / "__init__.py").write_text("", encoding="utf-8")
    (versions / ".#0001_.py").symlink_to("somebody@host.123")
    assert revisions(tmp_path).heads == {"0001"}
