"""The questions of whoever is woken: is it up, is it slow, did the last deployment change anything. Standard library.

Usage: python3 ops/status.py [--seconds N] [--json]      looks at the answers of N seconds (5)
One line a question: yes or no, or UNKNOWN where nothing can be said, such as whether it is slow where nobody asks.
Exit codes: 0 all is well, 1 something is not, 2 nothing is bad but something cannot be told, or wrong use.
"""

import argparse
import json
import math
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from deploys import deploys
from health import default_url, probe
from measure import Measure, milliseconds, percent
from records import UnreadableError
from scrape import Page, answers, meanwhile, scrape, total
from settings import setting

# Results after which the version before runs.
LEFT = frozenset(("refused", "rolled_back"))


@dataclass(frozen=True)
class Line:
    """An answer: `is_good` is None where it cannot be told."""

    question: str
    word: str
    is_good: bool | None
    detail: str


@dataclass(frozen=True)
class Pages:
    """The metrics at the beginning and at the end of the time that is looked at; None where nobody answers."""

    first: Page | None
    last: Page | None
    seconds: float


def up(_: Pages) -> Line:
    """Whether the service may get traffic."""
    code, words = probe(default_url())
    return Line("is it up", {0: "yes", 1: "NO"}.get(code, "UNKNOWN"), {0: True, 1: False}.get(code), words)


def slow(pages: Pages) -> Line:
    """Whether answers take long, or fail."""
    question = "is it slow"
    if pages.first is None or pages.last is None:
        return Line(question, "UNKNOWN", None, "its metrics are not to be had")
    measure = Measure.of(total(meanwhile(pages.first, pages.last)))
    if not measure.requests:
        ever = Measure.of(total(answers(pages.last)))
        detail = f"no request in {pages.seconds:.1f} s; {ever.requests} since the start, p95 {milliseconds(ever.p95)}"
        return Line(question, "UNKNOWN", None, detail)
    detail = (
        f"p95 {milliseconds(measure.p95)}, {measure.requests / pages.seconds:.1f} requests a second, "
        f"{percent(measure.failed_share)} failed"
    )
    if measure.failed_share * 100 > number("STATUS_ERROR_PERCENT", "1"):
        return Line(question, "FAILING", False, detail)
    is_slow = measure.p95 is not None and measure.p95 > number("STATUS_SLOW_SECONDS", "0.5")
    return Line(question, "SLOW" if is_slow else "no", not is_slow, detail)


def deployed(pages: Pages) -> Line:
    """Whether the last deployment changed what clients see."""
    question = "did the last deployment change anything"
    record = deploys()
    if not record:
        return Line(question, "UNKNOWN", None, "no deployment is recorded")
    last = record[-1]
    age = (datetime.now(UTC) - datetime.fromisoformat(last.time)).total_seconds()
    told = f"{last.version} {last.result}, {ago(age)}"
    running = [labels["version"] for labels, _ in pages.last.values("app_build_info")] if pages.last else []
    if last.result != "ok":
        told = f"{told}: {last.reason or 'no reason given'}"
        if last.result in LEFT and running and last.version not in running:
            return Line(question, "no", True, f"{told}; {', '.join(running)} runs")
        return Line(question, last.result.replace("_", " ").upper(), False, told)
    if running and running != [last.version]:
        return Line(question, "YES", False, f"{told}; {', '.join(running)} runs")
    if last.before is None or last.after is None or not (last.before.requests and last.after.requests):
        return Line(question, "UNKNOWN", None, f"{told}; nothing was measured on both sides of it")
    worse = last.after.worse_than(last.before)
    sides = f"p95 {milliseconds(last.before.p95)} before, {milliseconds(last.after.p95)} after"
    return Line(question, "YES" if worse else "no", not worse, f"{told}; {'; '.join(worse) or sides}")


# A feature with a question of its own adds it here, by the metrics it has.
QUESTIONS: tuple[Callable[[Pages], Line], ...] = (up, slow, deployed)


def number(name: str, default: str) -> float:
    """A setting that is a number.

    Raises:
        UnreadableError: it is none.
    """
    try:
        found = float(setting(name, default))
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise UnreadableError(name, f"{setting(name, default)!r} is no number; expected such as {default}")
    return found


def ago(seconds: float) -> str:
    """A time for eyes."""
    for size, unit in ((86_400, "days"), (3_600, "hours"), (60, "minutes")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


def pages_of(seconds: float) -> Pages:
    """Ask for metrics twice, so long apart."""
    begun, first = time.monotonic(), scrape()
    if first:
        time.sleep(seconds)
    return Pages(first, scrape(), time.monotonic() - begun)


def main(arguments: list[str] | None = None) -> int:
    """Answer every question; returns the exit code."""
    parser = argparse.ArgumentParser(description="Is it up, is it slow, did the last deployment change anything.")
    parser.add_argument("--seconds", type=float, default=5.0, help="look at the answers of so long (default: 5)")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args(arguments)
    if not 0.1 <= options.seconds <= 3600:
        parser.error("--seconds must be 0.1 to 3600")
    try:
        pages = pages_of(options.seconds)
        lines = [ask(pages) for ask in QUESTIONS]
    except (UnreadableError, OSError, ValueError, KeyError, OverflowError, RecursionError) as error:
        print(error, file=sys.stderr)
        return 2
    code = (
        1 if any(line.is_good is False for line in lines) else 2 if any(line.is_good is None for line in lines) else 0
    )
    if options.json:
        print(json.dumps({"exit": code, "lines": [asdict(line) for line in lines]}, ensure_ascii=False))
        return code
    width = max(len(line.question) for line in lines)
    for line in lines:
        print(f"{line.question:{width}}  {line.word:7}  {line.detail}")
    return code


if __name__ == "__main__":
    sys.exit(main())
