"""Both engines keep the same promises: reads, writes, constraints, failures. And nothing of a row is logged."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from sqlalchemy import (
    CheckConstraint,
    Column,
    ForeignKey,
    Numeric,
    String,
    Table,
    UniqueConstraint,
    func,
    insert,
    select,
    text,
)
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm.exc import StaleDataError

from app.chassis.database import Base, Key, ReadWork, UtcDateTime, WriteWork, when_violated
from app.chassis.database.engine import Database
from app.chassis.database.failures import told
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import ConflictError, ServiceError

pytestmark = pytest.mark.engines("sqlite", "postgresql")

VALUE = "a-planted-value"  # looked for where no value may be
Tables = tuple[Table, Table]


@pytest.fixture(scope="module")
def tables() -> Iterator[Tables]:
    """Two tables of a team, gone from the models afterwards."""
    parents = Table("probe_parents", Base.metadata, Column("id", Key, primary_key=True))
    children = Table(
        "probe_children",
        Base.metadata,
        Column("id", Key, primary_key=True),
        Column("parent_id", Key, ForeignKey("probe_parents.id")),
        Column("name", String(30), nullable=False),
        Column("size", Key, nullable=False, default=0),
        Column("at", UtcDateTime),
        Column("price", Numeric(5, 2)),
        UniqueConstraint("name", "size"),
        CheckConstraint("size >= 0", name="size_not_negative"),
    )
    yield parents, children
    Base.metadata.remove(children)
    Base.metadata.remove(parents)


@pytest.fixture
def database(database_url: str, tables: Tables) -> Database:
    """An empty database with both tables."""

    async def create() -> None:
        database = Database(DatabaseSettings(database_url=database_url))
        async with database.writer.begin() as connection:
            await connection.run_sync(Base.metadata.create_all, tables)
        await database.close()

    asyncio.run(create())
    return Database(DatabaseSettings(database_url=database_url, database_busy_timeout_seconds=0.5))


def run(database: Database, scenario: Callable[[], Awaitable[Any]]) -> Any:
    """What the scenario returns; the database is closed whatever happens."""

    async def closing() -> Any:
        try:
            return await scenario()
        finally:
            await database.close()

    return asyncio.run(closing())


def refused(database: Database, *statements: Any) -> tuple[ServiceError | None, str]:
    """What the caller is told of a work with these statements, and the trace that a log would hold."""

    async def scenario() -> None:
        async with WriteWork.on(database) as work:
            for statement in statements:
                await work.session.execute(statement)

    with pytest.raises(SQLAlchemyError) as caught:
        run(database, scenario)
    return told(caught.value), "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(
    ("rows", "kind", "fields"),
    [
        ([{}, {}], "conflict", [("/name", "unique"), ("/size", "unique")]),
        ([{"parent_id": 7}], "conflict", [("/parent_id", "foreign_key")]),
        ([{"size": -1}], "validation_failed", [("/size", "check")]),
        ([{"name": None}], "validation_failed", [("/name", "not_null")]),
        ([{"size": 2**70}], "validation_failed", [("/size", "overflow")]),
    ],
)
def test_broken_constraint_is_told_by_field(
    database: Database, tables: Tables, rows: list[dict[str, Any]], kind: str, fields: list[tuple[str, str]]
) -> None:
    """The same code, place and rule on every engine, and no value in words or trace."""
    statements = [insert(tables[1]).values({"name": VALUE, "size": 0} | row) for row in rows]
    error, trace = refused(database, *statements)
    assert error is not None
    assert (error.code, [(one.pointer, one.code) for one in error.fields]) == (kind, fields)
    assert VALUE not in trace


@pytest.mark.engines("postgresql")
@pytest.mark.parametrize(
    ("row", "field"),
    [
        ({"name": VALUE * 3}, ("/name", "too_long")),
        ({"price": Decimal("99999.99")}, ("/price", "overflow")),
        ({"price": Decimal("-999.995")}, ("/price", "overflow")),
    ],
)
def test_what_does_not_fit_is_told_where_it_is_refused(
    database: Database, tables: Tables, row: dict[str, Any], field: tuple[str, str]
) -> None:
    """PostgreSQL holds a value to its column; SQLite takes it, so the schema of the route must say it too."""
    error, trace = refused(database, insert(tables[1]).values({"name": VALUE, "price": 1} | row))
    assert error is not None
    assert [(one.pointer, one.code) for one in error.fields] == [field]
    assert VALUE not in trace


def test_what_is_referred_to_is_not_deleted(database: Database, tables: Tables) -> None:
    """A delete has no field to blame."""
    parents, children = tables
    error, _ = refused(
        database,
        insert(parents).values(id=1),
        insert(children).values(name="a", parent_id=1),
        parents.delete().where(parents.c.id == 1),
    )
    assert isinstance(error, ConflictError)
    assert (error.fields, error.detail) == ((), "something else refers to it")


def test_constraint_can_be_told_in_the_words_of_a_domain(database: Database, tables: Tables) -> None:
    """By its name; what breaks another one stays what it is."""

    class TakenError(ConflictError):
        code = "conflict"

    async def add(constraint: str) -> None:
        async with WriteWork.on(database) as work:
            await work.session.execute(insert(tables[1]).values(name="a"))
            with when_violated(constraint, TakenError):
                await work.session.execute(insert(tables[1]).values(name="a"))

    async def scenario() -> None:
        with pytest.raises(TakenError):
            await add("uq_probe_children_name_size")
        with pytest.raises(SQLAlchemyError):
            await add("uq_of_another")

    run(database, scenario)


def test_row_that_somebody_else_changed_is_a_conflict() -> None:
    """What `version_id_col` finds is no mistake of the program."""
    assert isinstance(told(StaleDataError("1 row expected, 0 matched")), ConflictError)


def test_moment_comes_back_in_utc(database: Database, tables: Tables) -> None:
    """Whatever zone it was given in; a naive one is refused before the database sees it."""
    moment = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=timezone(timedelta(hours=-7)))

    async def scenario() -> datetime:
        async with WriteWork.on(database) as work:
            await work.session.execute(insert(tables[1]).values(name="a", at=moment))
        async with ReadWork.on(database) as reading:
            found: datetime = (await reading.session.execute(select(tables[1].c.at))).scalar_one()
        return found

    found = run(database, scenario)
    assert (found, found.tzinfo) == (moment, UTC)
    with pytest.raises(SQLAlchemyError, match="naive datetime"):
        run(database, lambda: _insert(database, tables, at=datetime(2030, 1, 1)))  # noqa: DTZ001  # that is the point


async def _insert(database: Database, tables: Tables, **values: Any) -> None:
    async with WriteWork.on(database) as work:
        await work.session.execute(insert(tables[1]).values({"name": "a"} | values))


def test_reader_sees_one_moment_and_cannot_write(database: Database, tables: Tables) -> None:
    """What is saved meanwhile does not show before the next look."""

    async def scenario() -> list[int]:
        count, seen = select(func.count()).select_from(tables[1]), []
        async with ReadWork.on(database) as reading:
            seen.append(await reading.session.scalar(count))
            await _insert(database, tables)
            seen.append(await reading.session.scalar(count))
        async with ReadWork.on(database) as reading:
            seen.append(await reading.session.scalar(count))
            with pytest.raises(SQLAlchemyError, match=r"readonly|read-only"):
                await reading.session.execute(insert(tables[1]).values(name="b"))
        return seen

    assert run(database, scenario) == [0, 0, 1]


def test_reader_that_waits_gives_its_connection_back(database: Database, tables: Tables) -> None:
    """And sees the data anew afterwards; changes are never saved in part."""

    async def ask() -> None:
        async with ReadWork.on(database) as look:
            assert await look.session.scalar(select(func.count()).select_from(tables[1])) == 0
            assert database.reader.pool.checkedout() == 1  # type: ignore[attr-defined]  # of a pool that counts
            await look.release()
            assert database.reader.pool.checkedout() == 0  # type: ignore[attr-defined]
            await _insert(database, tables, name="late")
            assert await look.session.scalar(select(func.count()).select_from(tables[1])) == 1
        with pytest.raises(RuntimeError, match="this work is over"):
            assert look.session
        async with WriteWork.on(database) as work:
            with pytest.raises(RuntimeError, match="saves once"):
                await work.release()

    run(database, ask)


def test_keys_have_64_bits_unless_told_otherwise(database: Database, tables: Tables) -> None:
    """On either engine, and so has every `Mapped[int]`; a `Mapped[datetime]` keeps its zone."""
    assert Base.type_annotation_map[int] is Key
    assert Base.type_annotation_map[datetime] is UtcDateTime
    run(database, lambda: _insert(database, tables, id=2**62, size=2**62))


def test_wrong_statement_is_a_mistake_of_the_program(database: Database) -> None:
    """It passes by itself on no engine, so nobody is told to try again; a value in it stays out of the words."""
    for statement in ("SELEC 1", "SELECT nothing FROM nowhere", "INSERT INTO nowhere VALUES (1)"):
        assert refused(database, text(statement))[0] is None
