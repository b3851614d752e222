"""Runs the checklist and tells what it found. May import checks, target."""

from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from app.chassis.audit.checks import Check, Finding
from app.chassis.audit.target import NoAnswerError, Target

__all__ = ["Result", "as_json", "as_lines", "exit_code", "run_checks"]

Result = tuple[Check, Finding]
_ORDER = {"FAIL": 0, "UNKNOWN": 1, "pass": 2}


def run_checks(target: Target, checks: Sequence[Check]) -> list[Result]:
    """Each check with what it found; a check that cannot tell, for whatever reason, never passes."""
    _ = target.contracts  # made once, before threads ask for it
    with ThreadPoolExecutor(4) as pool:
        return list(zip(checks, pool.map(lambda one: _run(one, target), checks), strict=True))


def _run(one: Check, target: Target) -> Finding:
    try:
        return one.run(target)
    except NoAnswerError as error:
        return Finding("UNKNOWN", "the service", str(error))
    except Exception as error:  # noqa: BLE001  # files and answers may hold anything
        return Finding("UNKNOWN", "not finished", f"the check failed with {type(error).__name__}")


def exit_code(results: Sequence[Result], *, is_strict: bool) -> int:
    """0: no FAIL. 1: a FAIL. 2: asked to be strict, and something could not be told."""
    verdicts = {finding.verdict for _, finding in results}
    return 1 if "FAIL" in verdicts else 2 if is_strict and "UNKNOWN" in verdicts else 0


def as_lines(results: Sequence[Result]) -> list[str]:
    """One line a check, what failed first; then the counts."""
    wide = max((len(one.title) for one, _ in results), default=0)
    area = max((len(one.area) for one, _ in results), default=0)
    lines = [
        f"{found.verdict:7}  {one.area:{area}}  {one.title:{wide}}  {one.owasp:5}  {found.found}"
        f" (probed: {found.probed}; expected: {one.expected}; set in: {one.where})"
        for one, found in sorted(results, key=lambda result: _ORDER[result[1].verdict])
    ]
    counts = Counter(found.verdict for _, found in results)
    could_not = "; UNKNOWN is not pass: look at each" if counts["UNKNOWN"] else ""
    return [*lines, f"{counts['FAIL']} FAIL, {counts['UNKNOWN']} UNKNOWN, {counts['pass']} pass{could_not}"]


def as_json(target: Target, results: Sequence[Result]) -> dict[str, Any]:
    """The same for machines."""
    told = ("name", "area", "owasp", "title", "expected", "where")
    return {
        "url": target.url,
        "counts": Counter(found.verdict for _, found in results),
        "checks": [
            {name: getattr(one, name) for name in told}
            | {"verdict": found.verdict, "probed": found.probed, "found": found.found}
            for one, found in results
        ],
    }
