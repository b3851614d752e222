"""What a check is and what it finds; the checklist itself is `checklist.toml`. May import target."""

import tomllib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module, resources
from typing import Literal

from app.chassis.audit.target import Target

__all__ = ["Check", "Finding", "Verdict", "areas", "checklist", "judged"]

Verdict = Literal["pass", "FAIL", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check says: its verdict, what was probed, what was found there."""

    verdict: Verdict
    probed: str
    found: str


@dataclass(frozen=True, slots=True)
class Check:
    """One line of the checklist, and the function that runs it."""

    name: str
    area: str
    owasp: str
    title: str
    expected: str
    where: str
    asks: bool
    run: Callable[[Target], Finding]


@cache
def checklist() -> tuple[Check, ...]:
    """Every check, in the order in which it is told: `[area.function]` is that function of the area's module."""
    table = tomllib.loads(resources.files(__package__).joinpath("checklist.toml").read_text(encoding="utf-8"))
    return tuple(
        Check(f"{area}.{name}", area, run=getattr(import_module(f"{__package__}.{area}"), name), **told)
        for area, checks in table.items()
        for name, told in checks.items()
    )


def areas() -> list[str]:
    """Names of the areas."""
    return list(dict.fromkeys(one.area for one in checklist()))


def judged(probed: str, bad: Sequence[str], unclear: Sequence[str], good: str) -> Finding:
    """FAIL if anything is bad, else UNKNOWN if anything is unclear, else pass; the first twenty are named."""
    some = bad or unclear
    more = f" and {len(some) - 20} more" if len(some) > 20 else ""
    return Finding("FAIL" if bad else "UNKNOWN" if unclear else "pass", probed, "; ".join(some[:20]) + more or good)
