"""Query plans: rows are made up for any model, a statement is read as it was sent, what is accepted has a reason."""

import asyncio
import enum
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import (
    JSON,
    CheckConstraint,
    Column,
    Computed,
    Date,
    Enum,
    Float,
    ForeignKey,
    Index,
    Integer,
    Interval,
    LargeBinary,
    Numeric,
    SmallInteger,
    String,
    Table,
    Time,
    UniqueConstraint,
    Uuid,
    func,
    select,
)

from app.chassis.data.plans import team as plans_team
from app.chassis.data.plans.gate import Finding, Report, explain_queries
from app.chassis.data.plans.report import summary
from app.chassis.data.plans.sql import read
from app.chassis.data.plans.team import PlansError, Volume
from app.chassis.database import Base, Key, Order, Part, ReadWork, Slice, UtcDateTime
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings

ROWS = 3_000


class Colour(enum.Enum):
    """Stored by its names."""

    RED = "red"
    BLUE = "blue"


@pytest.fixture
def tables() -> Iterator[dict[str, Table]]:
    """Tables of every kind, named as nobody should; gone from the models afterwards."""
    before = set(Base.metadata.tables)
    Table(
        "probe order",
        Base.metadata,
        Column("id", Key, primary_key=True),
        Column("select", String(3), unique=True),
        Column("e-mail", String(60), nullable=False),
        Column("colour", Enum(Colour), nullable=False),
        Column("stars", SmallInteger, CheckConstraint("stars BETWEEN 1 AND 5", name="stars"), nullable=False),
        Column("state", String(9), CheckConstraint("state IN ('open', 'closed')", name="state"), nullable=False),
        Column("price", Numeric(5, 2), CheckConstraint("price > 0", name="price"), nullable=False),
        Column("share", Float, nullable=False),
        Column("is_open", Integer, Computed("stars + 1")),
        Column("token", Uuid, nullable=False, unique=True),
        Column("at", UtcDateTime, nullable=False),
        Column("day", Date, nullable=False),
        Column("hour", Time, nullable=False),
        Column("wait", Interval, nullable=False),
        Column("more", JSON, nullable=False),
        Column("bytes", LargeBinary, nullable=False),
        Column("parent_id", Key, ForeignKey("probe order.id")),
    )
    Table(
        "probe_lines",
        Base.metadata,
        Column("order_id", ForeignKey("probe order.id"), primary_key=True),
        Column("place", Key, primary_key=True),
        Column("size", Key, nullable=False),
        UniqueConstraint("order_id", "size"),
    )
    Table(
        "probe_pairs",
        Base.metadata,
        Column("order_id", ForeignKey("probe order.id"), primary_key=True),
        Column("other_id", ForeignKey("probe order.id"), primary_key=True),
    )
    Table("probe_only", Base.metadata, Column("order_id", ForeignKey("probe order.id"), primary_key=True))
    made = {name: table for name, table in Base.metadata.tables.items() if name not in before}
    yield made
    for table in reversed(list(made.values())):
        Base.metadata.remove(table)


async def created(url: str) -> Database:
    """A database with every table of the models, and no row."""
    database = Database(DatabaseSettings(database_url=url))
    async with database.writer.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    return database


@pytest.mark.engines("sqlite", "postgresql")
def test_rows_are_made_up_for_every_kind_of_column(database_url: str, tables: dict[str, Table]) -> None:
    """Keys, references to others and to itself, checks and uniques hold; the database says so."""

    async def scenario() -> dict[str, int]:
        report = await explain_queries(await created(database_url), {}, Volume(rows={"probe order": 900}), ROWS)
        return report.rows

    counts = asyncio.run(scenario())
    assert {name: counts[name] for name in tables} == {
        "probe order": 900,
        "probe_lines": ROWS,
        "probe_pairs": ROWS,
        "probe_only": 900,  # each refers to another one
    }


@pytest.mark.thorough
@pytest.mark.engines("sqlite", "postgresql")
def test_plan_is_good_with_the_index_that_is_advised(
    new_database: Callable[[Path], str], tmp_path: Path, tables: dict[str, Table]
) -> None:
    """Whatever the names are."""
    table = tables["probe order"]

    async def by_mail(work: ReadWork) -> Sequence[Any]:
        return (await work.session.execute(select(table.c.id).where(table.c["e-mail"] == "x"))).all()

    async def advice(url: str) -> list[str]:
        report = await explain_queries(await created(url), {"probe.by_mail": by_mail}, Volume(), ROWS)
        return [one.advice for one in report.findings.values()]

    assert asyncio.run(advice(new_database(tmp_path / "without"))) == ['add: Index("ix_probe order_e-mail", "e-mail")']
    Index("ix_probe order_e-mail", table.c["e-mail"])
    assert asyncio.run(advice(new_database(tmp_path / "with"))) == []


def test_count_of_all_is_told_with_what_a_list_can_do(database_url: str, tables: dict[str, Table]) -> None:
    """It names the argument and the entry; with the argument the plan is good."""
    key = tables["probe order"].c.id

    async def counted(work: ReadWork, part: Part) -> Slice[int]:
        return await Order(key).slice(work, select(key), part)

    async def bounded(work: ReadWork, part: Part) -> Slice[int]:
        return await Order(key).slice(work, select(key), part, count_to=500)

    async def scenario() -> dict[str, str]:
        queries = {"probe.counted": counted, "probe.bounded": bounded}
        report = await explain_queries(await created(database_url), queries, Volume(), ROWS)
        return {one.query: one.advice for one in report.findings.values()}

    advice = 'instead: count_to= of Order.slice, which counts no further; or accept "counted.total" in plans.toml'
    assert asyncio.run(scenario()) == {"probe.counted.total": advice}


def test_entry_that_lets_nothing_pass_is_told_with_its_reason() -> None:
    """Its query is gone, its plan is good, or nobody knows."""
    report = Report(["a.kept", "a.broken"], {}, failed={"a.broken": "KeyError"})
    names = ("a.kept.total", "a.gone", "a.broken")
    reports = {"sqlite": report, "postgresql": report}
    found = summary(reports, {name: (Path("plans.toml"), "a reason") for name in names})
    assert [line for line in found.lines if line.startswith("lets")] == [
        "lets nothing pass: a.kept.total in plans.toml: its plan is good on sqlite and postgresql: remove the entry",
        "lets nothing pass: a.gone in plans.toml: no query of that name",
        "lets nothing pass: a.broken in plans.toml: it was not checked",
    ]


@pytest.mark.parametrize(("bad", "told"), [(0, "every plan is good"), (1, "1 bad plan"), (2, "2 bad plans")])
def test_last_line_counts_the_bad_plans(bad: int, told: str) -> None:
    """In words that fit the number."""
    keys = [("a.one", "scan", str(number)) for number in range(bad)]
    report = Report(["a.one"], {}, findings={key: Finding(key[0], "", "", "") for key in keys})
    assert summary({"sqlite": report}, {}).lines[-1] == told


def test_query_that_fails_is_told(database_url: str) -> None:
    """Nobody knows what else it would have asked."""

    async def broken(work: ReadWork) -> None:
        await work.session.scalar(select(func.count()).select_from(Base.metadata.tables["nothing"]))

    async def scenario() -> dict[str, str]:
        return (await explain_queries(await created(database_url), {"probe.broken": broken}, Volume(), ROWS)).failed

    assert asyncio.run(scenario()) == {"probe.broken": "KeyError: 'nothing'"}


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (
            '[[accepted]]\nquery = "a"\nreason = "short"',
            "accepted.1.reason is too short; expected at least 10 characters",
        ),
        ('[[accepted]]\nquery = "a"', "accepted.1.reason is missing"),
        ('[[accept]]\nquery = "a"', "accept is not known here"),
        ("accepted = ", "cannot be read"),
    ],
)
def test_accepted_plans_that_cannot_be_used_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str, told: str
) -> None:
    """By file and place, with what is expected."""
    file = tmp_path / "src/app/domains/things/plans.toml"
    file.parent.mkdir(parents=True)
    file.write_text(content)
    monkeypatch.setattr(plans_team, "project_root", lambda: tmp_path)
    with pytest.raises(PlansError, match=rf"src/app/domains/things/plans.toml: {told}"):
        plans_team.read_accepted()


@pytest.mark.parametrize(
    ("statement", "conditions"),
    [
        ("SELECT a FROM t WHERE t.a = ? AND (t.b > $1::BIGINT OR c LIKE 'x')", ["a equal", "b range", "c pattern"]),
        (
            "SELECT a FROM t AS u WHERE lower(u.a) = ? AND u.b BETWEEN ? AND ? AND d IS NOT NULL",
            ["a wrapped", "b range", "d other"],
        ),
        (
            'DELETE FROM "t t" WHERE "t t"."a-b" IN (?, ?) AND x NOT IN (SELECT y FROM z WHERE q = 1)',
            ["a-b equal", "x other"],
        ),
        (
            "UPDATE t SET a=? WHERE (t.a, t.b) > (?, ?) AND CAST(t.c AS VARCHAR) = ?",
            ["a range", "b range", "c wrapped"],
        ),
        ("-- WHERE z = 1\n/* AND ('*/ SELECT a FROM t WHERE b = '--'", ["b equal"]),
        ("INSERT INTO t (a) SELECT u.a FROM u WHERE u.b = ?", ["b equal"]),
        ("SELECT ((((", []),
        (")))) WHERE ' \"", []),
    ],
)
def test_statement_is_read_as_it_was_sent(statement: str, conditions: list[str]) -> None:
    """Columns and how they are compared, of the outermost question first; what is no SQL has none."""
    blocks = read(statement)
    assert [f"{one.name[1]} {one.kind}" for block in blocks[:1] for one in block.conditions] == conditions
