"""Processor time an answer costs: the rendered service against bare FastAPI on the same uvicorn, over sockets."""

import json
import statistics
from contextlib import ExitStack
from pathlib import Path

from clocks import cpu_ns, resident_bytes
from load import drive, request_bytes
from report import Row
from service import CannotMeasureError, Server, run

__all__ = ["answers", "layers", "memory", "microseconds"]

_ITEM = json.dumps({"name": "Brass plumb bob", "quantity": 12, "note": "from the shelf"}).encode("ascii")
_BAD = json.dumps({"name": "Brass plumb bob", "quantity": "many"}).encode("ascii")
# name -> request, status, requests a round as a share of the usual count, least ratio
_CASES = {
    "GET one item": (request_bytes("GET", "/v1/bench/items/1"), 200, 1.0, 0.75),
    "POST one item": (request_bytes("POST", "/v1/bench/items", _ITEM), 201, 0.7, None),
    "422, one field wrong": (request_bytes("POST", "/v1/bench/items", _BAD), 422, 0.7, None),
    "404, no such route": (request_bytes("GET", "/v1/nowhere/at/all"), 404, 0.7, None),
    "GET a list of 50": (request_bytes("GET", "/v1/bench/items"), 200, 0.4, None),
}


def answers(service: Path, rounds: int, count: int) -> list[Row]:
    """Measure every case in interleaved rounds; a ratio above 1 means that the service is the cheaper one."""
    with ExitStack() as stack:
        servers = [
            stack.enter_context(Server.started("service", service)),
            stack.enter_context(Server.started("bare", service)),
            stack.enter_context(Server.started("bare-telemetry-off", service, BENCH_TELEMETRY="off")),
        ]
        cost: dict[tuple[str, str], list[float]] = {}
        for number in range(rounds + 1):
            # Another order each round, so that nobody always runs after the same neighbour.
            for case, (request, status, share, _) in _CASES.items():
                for server in servers[number % 3 :] + servers[: number % 3]:
                    used = microseconds(server, request, int(count * share), status)
                    if number:  # round 0 warms up
                        cost.setdefault((case, server.name), []).append(used)
    return [row for case, details in _CASES.items() for row in _rows(case, cost, details[3])]


def microseconds(server: Server, request: bytes, count: int, status: int) -> float:
    """Measure the processor time of one request."""
    before = cpu_ns(server.pid)
    drive(server.port, request, count, status)
    return (cpu_ns(server.pid) - before) / count / 1000


def _rows(case: str, cost: dict[tuple[str, str], list[float]], least: float | None) -> list[Row]:
    ours, bare, silent = (cost[case, name] for name in ("service", "bare", "bare-telemetry-off"))
    ratios = [b / o for b, o in zip(bare, ours, strict=True)]
    silent_ratio = statistics.median(s / o for s, o in zip(silent, ours, strict=True))
    note = f"{statistics.median(bare):.1f} / {statistics.median(ours):.1f} us, {min(ratios):.2f} to {max(ratios):.2f}"
    note += f"; telemetry off {silent_ratio:.2f}"
    return [Row(case, statistics.median(ratios), "bare / ours", least, is_ceiling=False, note=note)]


def layers(service: Path, rounds: int, calls: int) -> list[Row]:
    """Measure each layer in one process of the rendered service's environment."""
    python = service / ".venv/bin/python"
    found = json.loads(run(python, "bare/layers.py", str(rounds), str(calls), cwd=service, limit_seconds=600))
    costs = {name: cost for name, cost, _ in found["layers"]}
    bare = costs["bare FastAPI"]
    rows = [
        Row(name, cost, "us", note=f"{added:+.1f} us; bare / this {bare / cost:.2f}")
        for name, cost, added in found["layers"]
    ]
    return rows + [Row(f"of the edge: {name}", saved, "us") for name, saved in found["pieces"]]


def memory(service: Path, count: int) -> list[Row]:
    """Resident memory before and after many requests to a warm service."""
    request, status, _, _ = _CASES["GET one item"]
    with Server.started("service", service) as server:
        drive(server.port, request, 5_000, status)
        before = resident_bytes(server.pid)
        drive(server.port, request, count, status)
        after = resident_bytes(server.pid)
    if not before:
        raise CannotMeasureError("found no resident memory in /proc")
    grown = (after - before) / 2**20
    note = f"{before / 2**20:.1f} MiB after 5,000 requests, then {count:,} more; promised for 100,000"
    return [Row("memory growth", grown, "MiB", 2.0, note=note)]
