"""What a token costs: remembered in microseconds, looked at for the first time as a ratio to the library alone."""

import json
import statistics
from pathlib import Path

from report import Row
from service import run

__all__ = ["tokens"]

_REMEMBERED_US = 5.0


def tokens(service: Path, rounds: int, calls: int) -> list[Row]:
    """Measure the guard and the verifier in one process of the rendered service's environment."""
    python = service / ".venv/bin/python"
    found: dict[str, list[float]] = json.loads(
        run(python, "bare/door.py", str(rounds), str(calls), cwd=service, limit_seconds=600)
    )
    remembered = [one - base for one, base in zip(found["remembered"], found["nothing"], strict=True)]
    ratios = [one / alone for one, alone in zip(found["first look"], found["joserfc alone"], strict=True)]
    us = f"{statistics.median(found['first look']):.0f} / {statistics.median(found['joserfc alone']):.0f} us"
    spread = f"{min(remembered):.1f} to {max(remembered):.1f}"
    return [
        Row("a token that is remembered", statistics.median(remembered), "us", _REMEMBERED_US, note=spread),
        Row("a first look, ES256", statistics.median(ratios), "of joserfc", None, note=us),
    ]
