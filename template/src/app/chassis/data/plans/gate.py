"""Explains every query of the team on tables full of rows, on one engine.

May import advice, arguments, calls, database, facts, run, team, volume, watch.
"""

import inspect
import pkgutil
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from sqlalchemy import func, select, text

from app.chassis.data.plans.advice import advise
from app.chassis.data.plans.arguments import Samples
from app.chassis.data.plans.calls import Call, calls_of
from app.chassis.data.plans.facts import Look
from app.chassis.data.plans.run import run
from app.chassis.data.plans.team import PlansError, Volume
from app.chassis.data.plans.volume import fill
from app.chassis.data.plans.watch import Watch, facts_of
from app.chassis.database.columns import Base
from app.chassis.database.engine import Database

__all__ = ["Finding", "Report", "explain_queries", "queries_of"]

_SAMPLES = 20
_WORDS = {
    "scan": "reads {rows:,} rows of {table}",
    "sort": "sorts {rows:,} rows of {table}",
    "skip": "goes through all of an index of {table}, whose first column it does not ask for",
}
Query = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Finding:
    """A plan that is bad: of which query, what it does, the plan in short, what would help."""

    query: str
    told: str
    plan: str
    advice: str


@dataclass(slots=True)
class Report:
    """What was seen on one engine. Notes are plans that no index makes better."""

    queries: Collection[str]
    rows: dict[str, int]
    fill_seconds: float = 0.0
    findings: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    notes: dict[tuple[str, str, str], Finding] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    silent: list[str] = field(default_factory=list)
    used: set[str] = field(default_factory=set)
    statements: int = 0
    seconds: dict[str, float] = field(default_factory=dict)
    """What the slowest call of a query took, of the database alone."""
    plans: dict[str, list[str]] = field(default_factory=dict)


def queries_of(domains: str) -> dict[str, Query]:
    """Every public async function of each domain's `queries.py` by its name, `items.newest_items`."""
    root, found = import_module(domains), {}
    for package in pkgutil.iter_modules(root.__path__, f"{domains}."):
        folder = import_module(package.name)
        if any(one.name == "queries" for one in pkgutil.iter_modules(getattr(folder, "__path__", ()))):
            module = import_module(f"{package.name}.queries")
            for name, one in vars(module).items():
                is_query = inspect.iscoroutinefunction(one) or inspect.isasyncgenfunction(one)
                if is_query and not name.startswith("_") and f"{one.__module__}.".startswith(f"{module.__name__}."):
                    found[f"{package.name.rpartition('.')[2]}.{name}"] = one
    return found


async def explain_queries(database: Database, queries: Mapping[str, Query], volume: Volume, rows: int) -> Report:
    """Fill the migrated, empty database, call every query and judge its plans. The database is closed afterwards.

    Raises:
        PlansError: rows or arguments cannot be made up.
    """
    if unknown := sorted(set(volume.arguments) - set(queries)):
        raise PlansError(f"tests/volume.py: ARGUMENTS: no query {', '.join(unknown)}; expected domain.function")
    try:
        started = time.monotonic()
        report = Report(list(queries), await fill(database, volume, rows))
        await _analyze(database)
        report.fill_seconds = time.monotonic() - started
        async with database.writer.connect() as connection:
            watch = Watch(database, await facts_of(connection, report.rows))
            samples = Samples({name: await _samples(connection, name) for name in report.rows}, report.rows)
        for name, query in queries.items():
            await _look_at(
                name, query, calls_of(name, query, samples, volume.arguments.get(name, ())), report, watch, database
            )
        return report
    finally:
        await database.close()


async def _analyze(database: Database) -> None:
    """Count what is there, as a database in use does by itself."""
    statement = "VACUUM (ANALYZE)" if database.is_postgresql else "ANALYZE"
    async with database.writer.connect() as connection:
        if database.is_postgresql:
            await connection.execution_options(isolation_level="AUTOCOMMIT")
            await connection.execute(text("SET statement_timeout = 0"))
        await connection.execute(text(statement))
        await connection.commit()


async def _samples(connection: Any, name: str) -> list[Mapping[str, Any]]:
    """Rows from the middle of a table, the fullest first."""
    table = Base.metadata.tables[name]
    half = (await connection.scalar(select(func.count()).select_from(table)) or 0) // 2
    found = await connection.execute(select(table).order_by(*table.primary_key.columns).offset(half).limit(_SAMPLES))
    rows = [{column.name: value for column, value in zip(table.columns, row, strict=True)} for row in found]
    return sorted(rows, key=lambda row: sum(value is None for value in row.values()))


async def _look_at(
    name: str, query: Query, calls: Sequence[Call], report: Report, watch: Watch, database: Database
) -> None:
    sent, left = set[str](), list(calls)
    while left:
        call = left.pop(0)
        outcome = await run(query, call, watch, database)
        if outcome.error:
            report.failed[name] = outcome.error
        left += call.following(outcome.answer)
        sent |= set(watch.sent)
        report.seconds[name] = max(report.seconds.get(name, 0.0), watch.seconds)
        for look, is_unknown, part in watch.looks:
            report.plans.setdefault(name, []).append(look.told)
            _judge(f"{name}.{part}" if part else name, look, report, is_weak=is_unknown or call.is_deep)
    report.statements += len(sent)
    if not sent and name not in report.failed:
        report.silent.append(name)


def _judge(name: str, look: Look, report: Report, *, is_weak: bool) -> None:
    """A plan for unknown values or a far page is worse by nature: it counts only where an index is missing.

    So does a sort: the database has the index and knows that a sort is quicker.
    """
    report.used |= look.used
    for step in look.steps:
        advice = advise(step, look, Base.metadata)
        if is_weak and advice.is_range:
            continue  # how many rows pass an unknown bound is a guess
        told = _WORDS[step.kind].format(rows=step.rows, table=step.table)
        key = (name, step.kind, step.table)
        kept = report.notes if advice.is_there and (is_weak or step.kind == "sort") else report.findings
        kept.setdefault(key, Finding(name, told, look.told, advice.told_of(name, look)))
