"""Lists by cursor: no row twice, none left out, whatever happens between pages; and no cursor but our own."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator, Sequence
from datetime import UTC, date, datetime
from string import ascii_letters, digits
from typing import Annotated, Any
from uuid import UUID

import pytest
from fastapi import Query
from fastapi.dependencies.utils import get_dependant
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import AliasChoices, BaseModel, Field
from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    Enum,
    Float,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    delete,
    insert,
    select,
    text,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.database import Base, Key, Order, Part, ReadWork, UtcDateTime
from app.chassis.database.engine import Database
from app.chassis.database.keyset import Position
from app.chassis.database.settings import DatabaseSettings
from app.chassis.database.sortable import read_value
from app.chassis.errors import InvalidError
from app.chassis.http.cursor import Cursor, filters_of, read_cursor, write_cursor
from app.chassis.testing import Client
from app.chassis.testing.probes import NUMBERS

both = pytest.mark.engines("sqlite", "postgresql")
Walked = Callable[[Callable[[Database], Awaitable[Any]]], Any]
_numbers = itertools.count()
MOST_PAGES, ENDLESS = 100, "the walk has no end"
MOMENT = datetime(2030, 1, 31, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture(scope="module")
def table() -> Iterator[Table]:
    """A table of a team, gone from the models afterwards."""
    made = Table(
        "probe_rows",
        Base.metadata,
        Column("id", Key, primary_key=True),
        Column("rank", Key, nullable=False, default=0),
        Column("at", UtcDateTime, nullable=False, default=MOMENT),
        Column("day", Date, nullable=False, default=date(2030, 1, 31)),
        Column("code", Uuid, nullable=False, default=UUID(int=7)),
        Column("name", String(80), nullable=False, default="ä"),
        Column("note", String(80)),
        Column("small", Integer, nullable=False, default=0, server_default="0"),
        Column("ratio", Float, nullable=False, default=0.5),
        Column("naive", DateTime, nullable=False, default=datetime(2030, 1, 31)),  # noqa: DTZ001  # that is the point
        Column("long", Text, nullable=False, default=""),
        Column("kind", Enum("a", "b", name="probe_kind"), nullable=False, default="a"),
        UniqueConstraint("name", "id"),
    )
    yield made
    Base.metadata.remove(made)


@pytest.fixture
def walked(database_url: str, table: Table) -> Iterator[Walked]:
    """Runs a scenario on a database with that table, empty; all on one loop, so that connections are kept."""
    database = Database(DatabaseSettings(database_url=database_url))
    with asyncio.Runner() as runner:

        async def create() -> None:
            async with database.writer.begin() as connection:
                await connection.run_sync(Base.metadata.create_all, [table])

        async def emptied(scenario: Callable[[Database], Awaitable[Any]]) -> Any:
            async with database.writer.begin() as connection:
                await connection.execute(delete(table))
            return await scenario(database)

        runner.run(create())
        yield lambda scenario: runner.run(emptied(scenario))
        runner.run(database.close())


ORDERS: dict[str, Callable[[Table], Order]] = {
    "down": lambda table: Order(table.c.rank.desc(), table.c.id.desc()),
    "up": lambda table: Order(table.c.rank, table.c.id.asc()),
    "mixed": lambda table: Order(table.c.rank.desc(), table.c.day.asc(), table.c.id.desc()),
}
changes = st.lists(st.tuples(st.booleans(), st.integers(0, 30)), max_size=4)


@both
@pytest.mark.parametrize("way", ORDERS)
@settings(max_examples=25, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(ranks=st.lists(st.integers(0, 3), max_size=14), between=st.lists(changes, max_size=8), limit=st.integers(1, 4))
def test_walk_meets_every_row_once_whatever_happens_meanwhile(
    walked: Walked, table: Table, way: str, ranks: list[int], between: list[list[tuple[bool, int]]], limit: int
) -> None:
    """Rows, many of one rank, are inserted and deleted between pages: none is met twice, none that stayed is missed."""

    async def scenario(database: Database) -> tuple[list[str], set[str], int]:
        async with database.writer.begin() as connection:
            kept = {await _inserted(connection, table, rank) for rank in ranks}
        seen: list[str] = []
        part, pauses = Part(limit), iter(between)
        for _ in range(MOST_PAGES):
            async with ReadWork.on(database) as work:
                found = await ORDERS[way](table).slice(work, select(table.c.name), part)
            seen += found.rows
            if found.end is None:
                return seen, kept, found.total
            part = Part(limit, after=found.end, total=found.total)
            async with database.writer.begin() as connection:
                for is_new, number in next(pauses, ()):
                    if is_new:
                        await _inserted(connection, table, number % 4)
                    elif kept:
                        gone = sorted(kept)[number % len(kept)]
                        kept.discard(gone)
                        await connection.execute(delete(table).where(table.c.name == gone))
        raise AssertionError(ENDLESS)

    seen, kept, total = walked(scenario)
    assert len(seen) == len(set(seen))
    assert kept <= set(seen)
    assert total == len(ranks)


async def _inserted(connection: AsyncConnection, table: Table, rank: int) -> str:
    """Name of the new row: SQLite gives the key of the newest one again once that is deleted."""
    name = f"row {next(_numbers)}"
    await connection.execute(insert(table).values(rank=rank, name=name))
    return name


@both
@pytest.mark.parametrize("name", ["at", "day", "code", "name"])
def test_walk_by_any_sortable_type_goes_through_a_cursor(walked: Walked, table: Table, name: str) -> None:
    """A moment, a date, a UUID and a text come back from the cursor as they went in, ties and all."""
    values: dict[str, Sequence[Any]] = {
        "at": [MOMENT, MOMENT, MOMENT.replace(microsecond=0), MOMENT.replace(year=9999)],
        "day": [date(1, 1, 1), date(9999, 12, 31), date(2030, 1, 1), date(2030, 1, 1)],
        "code": [UUID(int=0), UUID(int=2**128 - 1), UUID(int=5), UUID(int=5)],
        "name": ["ä", "a", "Z", "ä", "' OR 1=1", "🧵" * 80, ""],
    }
    order = Order(table.c[name], table.c.id)

    async def scenario(database: Database) -> tuple[list[int], list[int]]:
        async with database.writer.begin() as connection:
            await connection.execute(insert(table), [{name: value} for value in values[name]])
            statement = select(table.c.id).order_by(table.c[name], table.c.id)
            whole = list(await connection.scalars(statement))
        seen: list[int] = []
        part = Part(1)
        async with ReadWork.on(database) as work:
            for _ in range(MOST_PAGES):
                found = await order.slice(work, select(table.c.id), part)
                seen += found.rows
                if found.end is None:
                    return whole, seen
                text = write_cursor(Cursor(found.end, 2, found.total), b"list")
                part = Part(1, after=read_cursor(text, b"list").after, total=found.total)
        raise AssertionError(ENDLESS)

    whole, seen = walked(scenario)
    assert seen == whole
    assert len(whole) == len(values[name])


@both
def test_count_stops_where_it_is_told_to(walked: Walked, table: Table) -> None:
    """A large table is counted no further; a part that knows the number counts nothing."""

    async def scenario(database: Database) -> list[int]:
        async with database.writer.begin() as connection:
            await connection.execute(insert(table), [{"rank": 1}] * 9)
        order, found = Order(table.c.id), []
        async with ReadWork.on(database) as work:
            for part, most in ((Part(2), None), (Part(2), 4), (Part(2, total=77), None)):
                found.append((await order.slice(work, select(table), part, count_to=most)).total)
        return found

    assert walked(scenario) == [9, 4, 77]


@both
@pytest.mark.parametrize(
    ("name", "value", "is_text_of_sqlite"),
    [
        ("id", 2**63, False),
        ("id", "7", False),
        ("name", 7, False),
        ("name", "a\0b", False),
        ("at", 7, False),
        ("at", "2030-01-31T12:00:00", True),
        ("at", "0001-01-01T00:00:00+23:59", True),
        ("at", "today", True),
        ("day", "2030-02-31", True),
        ("code", "x", True),
    ],
)
def test_position_that_the_database_cannot_hold_is_refused(  # a row of the table and two fixtures
    walked: Walked, table: Table, engine: str, name: str, value: int | str, *, is_text_of_sqlite: bool
) -> None:
    """However a cursor was forged, it is the cursor that is told, and no engine fails; SQLite compares any text."""
    order = Order(table.c.id) if name == "id" else Order(table.c[name], table.c.id)
    after = Position(order.name, (value,) if name == "id" else (value, 1))

    async def scenario(database: Database) -> None:
        async with ReadWork.on(database) as work:
            await order.slice(work, select(table), Part(2, after=after))

    if is_text_of_sqlite and engine == "sqlite":
        walked(scenario)
        return
    with pytest.raises(InvalidError) as caught:
        walked(scenario)
    assert [(one.place, one.pointer) for one in caught.value.fields] == [("query", "/cursor")]


@both
@pytest.mark.parametrize("way", ["up", "down", "mixed"])
def test_walk_meets_rows_that_somebody_else_wrote(walked: Walked, table: Table, way: str) -> None:
    """Moments that the database made, or a program without SQLAlchemy: no row twice, none left out."""
    at, key = table.c.at, table.c.id
    order = {"up": Order(at, key), "down": Order(at.desc(), key.desc()), "mixed": Order(at.desc(), key)}[way]
    forms = ("CURRENT_TIMESTAMP", "'2030-01-31 12:00:00'", "'2030-01-31 12:00:00.5'", "'2030-01-31 12:00:00.000000'")
    columns = "rank, at, day, code, name, ratio, naive, long, kind"
    rest = "'2030-01-31', '00000000000000000000000000000007', 'a', 0.5, '2030-01-31 00:00:00', '', 'a'"

    async def scenario(database: Database) -> list[int]:
        async with database.writer.begin() as connection:
            for number, form in enumerate(forms * 3):
                row = f"{number}, {form}, {rest}"
                await connection.execute(text(f"INSERT INTO probe_rows ({columns}) VALUES ({row})"))  # noqa: S608  # ours
            await connection.execute(insert(table), [{"rank": 12}, {"rank": 13, "at": MOMENT.replace(microsecond=0)}])
        found, part = list[int](), Part(2)
        async with ReadWork.on(database) as work:
            for _ in range(MOST_PAGES):
                slice_ = await order.slice(work, select(table.c.rank), part)
                found += slice_.rows
                if slice_.end is None:
                    return found
                part = Part(2, after=slice_.end)
        raise AssertionError(ENDLESS)

    assert sorted(walked(scenario)) == list(range(14))


def test_number_that_sqlite_holds_can_be_walked_over(walked: Walked, table: Table) -> None:
    """A column of 32 bits has 64 there."""

    async def scenario(database: Database) -> list[int]:
        async with database.writer.begin() as connection:
            await connection.execute(insert(table), [{"small": 3_000_000_000}, {"small": 3_000_000_001}])
        order = Order(table.c.small, table.c.id)
        async with ReadWork.on(database) as work:
            first = await order.slice(work, select(table.c.small), Part(1))
            second = await order.slice(work, select(table.c.small), Part(1, after=first.end))
        return [*first.rows, *second.rows]

    assert walked(scenario) == [3_000_000_000, 3_000_000_001]


@both
def test_cursor_of_another_order_is_refused(walked: Walked, table: Table) -> None:
    """The same table sorted another way is another list."""

    async def scenario(database: Database) -> None:
        async with ReadWork.on(database) as work:
            await Order(table.c.id).slice(work, select(table), Part(2, after=Position("probe_rows.id desc", (1,))))

    with pytest.raises(InvalidError):
        walked(scenario)


@pytest.mark.parametrize("names", [("note", "id"), ("ratio", "id"), ("naive", "id"), ("long", "id"), ("kind", "id")])
def test_order_refuses_a_column_that_cannot_be_walked(table: Table, names: tuple[str, ...]) -> None:
    """Null, what is not exact, what is too long for a URL, and what engines sort differently."""
    with pytest.raises(TypeError, match=f"found {names[0]} in an order"):
        Order(*(table.c[name] for name in names))


def test_order_refuses_to_end_without_a_key(table: Table) -> None:
    """Rows that are equal would be met twice or never."""
    with pytest.raises(TypeError, match="expected a key at its end"):
        Order(table.c.rank)
    with pytest.raises(TypeError, match="expected a key at its end"):
        Order()


CURSOR = Cursor(Position("probe_rows.id", (7, "ä")), 2, 30)


def test_cursor_is_read_as_it_was_written() -> None:
    """And is made of characters that a URL takes as they are."""
    text = write_cursor(CURSOR, b"list")
    assert read_cursor(text, b"list") == CURSOR
    assert text.replace("-", "a").replace("_", "a").isalnum()


@settings(max_examples=300, deadline=None, database=None)
@given(place=st.integers(0, 200), character=st.sampled_from("AQgwZ09-_"), cut=st.integers(0, 200))
def test_cursor_that_was_changed_is_refused(place: int, character: str, cut: int) -> None:
    """One character more, less or other."""
    text = write_cursor(CURSOR, b"list")
    place %= len(text)
    for other in (text[:place] + character + text[place + 1 :], text[: cut % len(text)], text + character):
        if other != text:
            with pytest.raises(InvalidError):
                read_cursor(other, b"list")


@pytest.mark.parametrize("name", ["a", "ab", "abc"])
def test_cursor_has_one_form(name: str) -> None:
    """Its last character holds bits that say nothing; no other one is taken for it."""
    text = write_cursor(Cursor(Position(name, (7,)), 2, 30), b"list")
    for character in set(ascii_letters + digits + "-_") - {text[-1]}:
        with pytest.raises(InvalidError):
            read_cursor(text[:-1] + character, b"list")


@settings(max_examples=200, deadline=None, database=None)
@given(content=st.text(alphabet="ABCabc019-_", max_size=60))
def test_cursor_that_is_none_is_refused(content: str) -> None:
    """Whatever the letters."""
    with pytest.raises(InvalidError):
        read_cursor(content, b"list")


def test_cursor_of_another_list_is_refused(client: Client) -> None:
    """Another path or another filter; what is no filter may differ."""
    cursor = client.request("GET", "/-probe/numbers?step=3").json["meta"]["page"]["next_cursor"]
    for path, status in [
        (f"/-probe/numbers?step=3&cursor={cursor}", 200),
        (f"/-probe/numbers?cursor={cursor}&step=3&limit=7&page=1&_=99", 200),
        (f"/-probe/numbers?cursor={cursor}", 422),
        (f"/-probe/numbers?step=4&cursor={cursor}", 422),
        (f"/-probe/numbers/again?step=3&cursor={cursor}", 422),
    ]:
        answer = client.request("GET", path)
        assert answer.status == status, path
        if status == 422:
            assert [(one["in"], one["pointer"]) for one in answer.error["fields"]] == [("query", "/cursor")]


@pytest.mark.parametrize("cursor", ["", "a", "AAAA", "%00", "%FF", "a" * 5000, "=", "a.b"])
def test_anything_else_is_no_cursor(client: Client, cursor: str) -> None:
    """Refused where it stands, never a failure."""
    answer = client.request("GET", f"/-probe/numbers?cursor={cursor}")
    assert answer.status == (400 if cursor == "%00" else 422)


def test_page_beside_a_cursor_is_refused(client: Client) -> None:
    """Nobody can know which of the two was meant; a client that sends the default page may."""
    cursor = client.request("GET", "/-probe/numbers").json["meta"]["page"]["next_cursor"]
    answer = client.request("GET", f"/-probe/numbers?page=2&cursor={cursor}")
    assert (answer.status, answer.error["fields"][0]["pointer"]) == (422, "/page")


def test_links_go_on_by_cursor_where_pages_end(client: Client) -> None:
    """rel=next leads beyond the last page that has a number; the next page by number names the cursor instead."""
    answer = client.request("GET", "/-probe/numbers?page=1000&limit=100&step=2")
    links = _links(answer.headers["link"])
    assert "cursor=" in links["next"]
    following = client.request("GET", links["next"])
    assert following.data[0] == {"number": 200_000}
    page = following.json["meta"]["page"]
    assert (page["page"], page["total"], page["pages"]) == (1001, NUMBERS, 2000)
    assert set(_links(following.headers["link"])) == {"first", "next"}
    refused = client.request("GET", "/-probe/numbers?page=1001&limit=100").error["fields"][0]
    assert (refused["pointer"], refused["code"]) == ("/page", "less_than_equal")
    assert "next_cursor" in refused["expected"]


def test_next_goes_by_cursor_from_the_first_page_on(client: Client) -> None:
    """Pages by number shift when things come and go; the last page is told only where it can be asked for."""
    answer = client.request("GET", "/-probe/numbers?page=2&limit=100")
    links = _links(answer.headers["link"])
    assert set(links) == {"first", "prev", "next"}
    assert "cursor=" in links["next"]
    assert client.request("GET", links["next"]).data[0] == {"number": 200}


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Uuid(), 5),
        (Uuid(), "5"),
        (Date(), 20300131),
        (UtcDateTime(), 0),
        (UtcDateTime(), "0001-01-01T00:00:00+23:59"),
        (SmallInteger(), 2**15),
        (Integer(), -(2**31) - 1),
        (BigInteger(), 2**63),
        (BigInteger(), "1"),
        (String(9), 1),
        (String(9), "a\0"),
    ],
)
def test_forged_value_never_reaches_the_database(kind: Any, value: int | str) -> None:
    """It is what the column could not hold."""
    with pytest.raises(ValueError, match=r".+"):
        read_value(Column("probe", kind), value)


class Filters(BaseModel):
    """Filters of a list in one model."""

    by: int = Field(0, validation_alias=AliasChoices("by", "sorted-by"))


def test_cursor_is_bound_to_filters_by_every_name() -> None:
    """Whatever a route calls them."""

    def route(whole: Annotated[Filters, Query()]) -> None:
        """All of the query in a model."""

    def other(one: Annotated[int, Query(validation_alias="an-other")] = 0) -> None:
        """One by itself."""

    assert {"by", "sorted-by"} <= filters_of(get_dependant(path="/", call=route))
    assert "an-other" in filters_of(get_dependant(path="/", call=other))


def test_last_page_has_no_cursor(client: Client) -> None:
    """That is how a client knows."""
    answer = client.request("GET", "/-probe/numbers/again")
    assert answer.json["meta"]["page"]["next_cursor"] is None
    assert "next" not in _links(answer.headers["link"])


def _links(value: str) -> dict[str, str]:
    return {name[5:-1]: target.strip("<>") for target, name in (part.strip().split("; ") for part in value.split(","))}
