"""Processor time of a route that asks the database: the service against SQLAlchemy alone, on each engine."""

import statistics
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from answering import microseconds
from load import request_bytes
from report import Row
from service import BENCH, CannotMeasureError, Server, environment, run

__all__ = ["database"]

_CASES = {
    "GET a stored item": (request_bytes("GET", "/v1/stored/1"), 200, 1.15),
    "change a stored item": (request_bytes("POST", "/v1/stored"), 200, 1.15),
}


def database(service: Path, rounds: int, count: int) -> list[Row]:
    """Measure each case in interleaved rounds; a ratio below 1 means that the service is the cheaper one."""
    rows: list[Row] = []
    for engine in ("SQLite", "PostgreSQL"):
        with _database(engine, service) as url, ExitStack() as stack:
            run(service / ".venv/bin/python", "-m", "app", "migrate", cwd=service, DATABASE_URL=url, PYTHONPATH="src")
            ours = stack.enter_context(Server.started("service", service, DATABASE_URL=url))
            microseconds(ours, _CASES["change a stored item"][0], 1, 200)  # makes the row
            bare = stack.enter_context(Server.started("bare_stored", service, DATABASE_URL=url))
            rows += [_row(f"{case}, {engine}", ours, bare, details, rounds, count) for case, details in _CASES.items()]
    return rows


def _row(case: str, ours: Server, bare: Server, details: tuple[bytes, int, float], rounds: int, count: int) -> Row:
    request, status, most = details
    cost: dict[str, list[float]] = {"ours": [], "bare": []}
    for number in range(rounds + 1):
        pair = [("ours", ours), ("bare", bare)]
        for name, server in pair if number % 2 else reversed(pair):
            used = microseconds(server, request, count // 4, status)
            if number:  # round 0 warms up
                cost[name].append(used)
    ratios = [o / b for o, b in zip(cost["ours"], cost["bare"], strict=True)]
    note = f"{statistics.median(cost['ours']):.0f} / {statistics.median(cost['bare']):.0f} us"
    note += f", {min(ratios):.2f} to {max(ratios):.2f}"
    return Row(case, statistics.median(ratios), "ours / SQLAlchemy", most, note=note)


@contextmanager
def _database(engine: str, service: Path) -> Iterator[str]:
    if engine == "SQLite":
        for file in BENCH.glob("stored.db*"):
            file.unlink()
        yield f"sqlite+aiosqlite:///{BENCH}/stored.db"
        return
    command = [str(service / ".venv/bin/python"), "-m", "app.chassis.testing.postgresql"]
    with subprocess.Popen(
        command,
        cwd=service,
        env=environment(PYTHONPATH="src"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as server:
        assert server.stdout is not None
        url = server.stdout.readline().strip()
        if not url:
            raise CannotMeasureError("found no PostgreSQL for the platform, expected the wheel of the service's tests")
        yield url
