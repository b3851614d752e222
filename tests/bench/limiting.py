"""What the limiter costs: in the process in microseconds, on Valkey as a ratio to one round trip of the client."""

import json
import statistics
from pathlib import Path

from report import Row
from service import run

__all__ = ["limits"]

# Issue of record: so much a decision in the process, and so many round trips a decision on the server.
_IN_PROCESS_US, _ON_SERVER = 5.0, 1.5
Rounds = list[list[float]]


def limits(service: Path, rounds: int, calls: int) -> list[Row]:
    """Measure decisions in one process of the rendered service's environment; every round by itself."""
    python = service / ".venv/bin/python"
    found: dict[str, Rounds] = json.loads(
        run(python, "bare/limiter.py", str(rounds), str(calls), cwd=service, limit_seconds=600)
    )
    loop = statistics.median(used for used, _ in found["nothing"])
    rows = []
    for name in ("memory, one window", "memory, two windows", "memory, refused"):
        used = [one - loop for one, _ in found[name]]
        target = None if "refused" in name else _IN_PROCESS_US
        rows.append(Row(name, statistics.median(used), "us", target, note=f"{min(used):.1f} to {max(used):.1f}"))
    for name in ("Valkey, one window", "Valkey, two windows"):
        rows += [_ratio(name, found, 0, "processor", None), _ratio(name, found, 1, "clock", _ON_SERVER)]
    return rows


def _ratio(name: str, found: dict[str, Rounds], which: int, clock: str, most: float | None) -> Row:
    pairs = [(one[which], trip[which]) for one, trip in zip(found[name], found["GET of the client"], strict=True)]
    ratios = [one / trip for one, trip in pairs]
    us = " / ".join(f"{statistics.median(column):.0f}" for column in zip(*pairs, strict=True))
    note = f"{us} us, {min(ratios):.2f} to {max(ratios):.2f}"
    return Row(f"{name}, {clock}", statistics.median(ratios), "of one GET", most, note=note)
