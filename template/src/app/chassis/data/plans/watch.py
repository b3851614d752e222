"""Explains each statement as it is sent, on its own connection and with its own values.

May import database, facts, postgresql, sql, sqlite.
"""

import json
import re
import time
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, event, inspect, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.data.plans.facts import Facts, Look
from app.chassis.data.plans.postgresql import generic, look_at_postgresql
from app.chassis.data.plans.sql import read
from app.chassis.data.plans.sqlite import look_at_sqlite
from app.chassis.database.engine import Database

__all__ = ["Watch", "facts_of"]

# Behind comments; several rows that are written at once are a SELECT, too, but of values.
_ASKS = re.compile(
    r"(?is)(\s|--[^\n]*+|(?>/\*.*?\*/))*+"
    r"(SELECT|UPDATE|DELETE|WITH|\(|(INSERT|REPLACE)\b(?!.*\(VALUES\b).*\bSELECT\b)"
)


class Watch:
    """While it is on, gathers a look at every statement; each is explained before it runs, however long that takes."""

    def __init__(self, database: Database, facts: Facts) -> None:
        self._facts, self._is_postgresql = facts, database.is_postgresql
        self._is_on = False
        self._until = 0.0
        self.sent: list[str] = []
        self.looks: list[tuple[Look, bool, str]] = []
        """Each look, whether its values were unknown, and which part of the query it is, if that has a name."""
        self.seconds = self._begun = 0.0  # what the statements took, without the looks
        self._part = ""
        for engine in [database.writer] if database.is_postgresql else [database.writer, database.reader]:
            event.listen(engine.sync_engine, "before_cursor_execute", self._sends)
            event.listen(engine.sync_engine, "after_cursor_execute", self._sent)

    def start(self, seconds: float) -> None:
        """Forget what was seen and look from now on; after so many seconds SQLite gives up."""
        self._is_on, self.sent, self.looks, self.seconds = True, [], [], 0.0
        self._until = time.monotonic() + seconds

    def stop(self) -> None:
        """Look no more."""
        self._is_on = False

    def _sends(
        self, connection: Connection, _cursor: Any, statement: str, parameters: Any, of: Any, many: bool
    ) -> None:
        self._begun = time.perf_counter()
        if not self._is_on or not _ASKS.match(statement) or statement in self.sent:
            return
        self._is_on = False  # what is asked here is not to be looked at
        self.sent.append(statement)
        self._part = str(of.execution_options.get("part_of_query", ""))
        try:
            values = tuple(parameters[0] if many else parameters)
            if self._is_postgresql:
                self._explain_postgresql(connection, statement, values)
            else:
                self._explain_sqlite(connection, statement, values)
        finally:
            self._is_on, self._begun = True, time.perf_counter()

    def _sent(self, *_: Any) -> None:
        if self._is_on:
            self.seconds += time.perf_counter() - self._begun

    def _explain_sqlite(self, connection: Connection, statement: str, values: Sequence[Any]) -> None:
        def execute(sql: str, parameters: Sequence[Any]) -> Sequence[Any]:
            return connection.exec_driver_sql(sql, tuple(parameters)).all()

        # Its thread would go on after whoever waited is gone.
        raw: Any = connection.connection.dbapi_connection
        raw.run_async(lambda own: own.set_progress_handler(lambda: time.monotonic() > self._until, 100_000))
        look = look_at_sqlite(execute, statement, values, read(statement), self._facts)
        self.looks.append((look, False, self._part))

    def _explain_postgresql(self, connection: Connection, statement: str, values: Sequence[Any]) -> None:
        def run(sql: str, parameters: Sequence[Any] = ()) -> Any:
            return connection.exec_driver_sql(sql, tuple(parameters))

        blocks = read(statement)
        run("SAVEPOINT plans")
        try:
            run("SET LOCAL max_parallel_workers_per_gather = 0")
            plan = _plan(run(f"EXPLAIN (FORMAT JSON) {statement}", values))
            self.looks.append((look_at_postgresql(plan, blocks, self._facts), False, self._part))
            told, places = generic(statement, values)
            if places:
                run("SET LOCAL plan_cache_mode = force_generic_plan")
                run(f"PREPARE plans AS {told}")
                plan = _plan(run(f"EXPLAIN (FORMAT JSON) EXECUTE plans({', '.join(['NULL'] * places)})"))
                run("DEALLOCATE plans")
                self.looks.append((look_at_postgresql(plan, blocks, self._facts), True, self._part))
        finally:
            run("ROLLBACK TO SAVEPOINT plans")


def _plan(result: Any) -> dict[str, Any]:
    told = result.scalar_one()
    plan: dict[str, Any] = (json.loads(told) if isinstance(told, str | bytes) else told)[0]["Plan"]
    return plan


async def facts_of(connection: AsyncConnection, rows: dict[str, int]) -> Facts:
    """What the database itself says of its indexes, after ANALYZE."""

    def facts_in(sync: Connection) -> Facts:
        found: dict[str, tuple[str, Sequence[str | None]]] = {}
        keys: dict[str, Sequence[str]] = {}
        look = inspect(sync)
        for table in rows:
            key = look.get_pk_constraint(table)
            keys[table] = key["constrained_columns"]
            rules: list[Any] = [*look.get_indexes(table), *look.get_unique_constraints(table)]
            found |= {one["name"]: (table, one["column_names"]) for one in rules if one["name"]}
            if key["name"]:
                found[key["name"]] = (table, keys[table])
        return Facts(rows, found, keys)

    facts = await connection.run_sync(facts_in)
    if connection.dialect.name == "sqlite" and rows:
        told = await connection.execute(text("SELECT idx, stat FROM sqlite_stat1 WHERE idx IS NOT NULL"))
        facts.shares = {name: [int(one) for one in stat.split()[1:] if one.isdigit()] for name, stat in told}
    return facts
