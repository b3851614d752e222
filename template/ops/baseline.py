"""How the service is now, and whether that is worse than it was. Standard library only.

Usage: python3 ops/baseline.py [--seconds N] [--plans]           writes var/baselines/<time>.json
       python3 ops/baseline.py compare [FILE] [--seconds N] …    measures again and compares with FILE, or the newest
What clients asked in N seconds (10) is measured; where nobody did, fixed requests: those of probes.txt, else each GET
route that wants no argument, with TOKEN as bearer where it is set. --plans asks `app plans` for each query, too.
Exit codes: 0 good, 1 WORSE, 2 it cannot be told, or wrong use.
"""

import argparse
import http.client
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from measure import SLOWER, Measure, milliseconds, percent
from probing import probe, probes
from records import UnreadableError, now
from scrape import meanwhile, scrape

FOLDER = Path("var/baselines")
SLOWER_QUERY_MS = 5.0
ENOUGH = 20  # requests in the time, below which fixed ones are sent


@dataclass(frozen=True)
class Query:
    """Milliseconds of a query's slowest call on tables full of rows, and its plans in short."""

    ms: float
    plans: list[str]


@dataclass(frozen=True)
class Baseline:
    """Measures by request: `METHOD route` of what clients asked, `GET path` of fixed requests."""

    time: str
    version: str
    traffic: str
    requests: dict[str, Measure]
    queries: dict[str, Query]

    def write(self) -> Path:
        """Put it into a file of its own.

        Raises:
            OSError: it cannot be written.
        """
        FOLDER.mkdir(parents=True, exist_ok=True)
        path = FOLDER / f"{self.time.replace(':', '').replace('+0000', 'Z')}.json"
        requests = {name: measure.to_json() for name, measure in self.requests.items()}
        queries = {name: vars(query) for name, query in self.queries.items()}
        whole = vars(self) | {"requests": requests, "queries": queries}
        path.write_text(json.dumps(whole, indent=2) + "\n", encoding="utf-8")
        return path


def read(path: Path) -> Baseline:
    """What `write` wrote.

    Raises:
        UnreadableError: it did not.
        OSError: it cannot be read.
    """
    try:
        found = json.loads(path.read_bytes())
        requests = {name: Measure.from_json(measure) for name, measure in found["requests"].items()}
        queries = {name: Query(float(one["ms"]), list(one["plans"])) for name, one in found["queries"].items()}
        return Baseline(found["time"], found["version"], found["traffic"], requests, queries)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UnreadableError(path, f"is no baseline ({error}); expected what `make baseline` writes") from None


def newest() -> Path:
    """The newest baseline.

    Raises:
        UnreadableError: there is none.
    """
    found = sorted(FOLDER.glob("*.json"))
    if not found:
        raise UnreadableError(FOLDER, "has no baseline; expected one, `make baseline` makes it")
    return found[-1]


def measured(seconds: float, *, with_plans: bool) -> Baseline:
    """Measure now.

    Raises:
        UnreadableError: nobody answers, or nothing can be asked.
    """
    first = scrape()
    time.sleep(seconds if first else 0)
    last = scrape()
    if first is None or last is None:
        raise UnreadableError("the service", "does not answer; expected it to run")
    (version,) = [labels["version"] for labels, _ in last.values("app_build_info")] or ["unknown"]
    asked, queries = meanwhile(first, last), explained() if with_plans else {}
    if sum(one.count for one in asked.values()) >= ENOUGH:
        return Baseline(
            now(), version, "clients", {name: Measure.of(one) for name, one in sorted(asked.items())}, queries
        )
    paths = probes()
    if not paths:
        raise UnreadableError(
            "probes.txt", "is not there, and no contract names a route without arguments; expected GET /path in it"
        )
    try:
        return Baseline(now(), version, "probes", {f"GET {path}": probe(path) for path in paths}, queries)
    except (OSError, http.client.HTTPException) as error:
        raise UnreadableError("the service", f"stopped answering ({error})") from None


def explained() -> dict[str, Query]:
    """What `make plans` knows of each query.

    Raises:
        UnreadableError: it could not tell.
    """
    command = [".venv/bin/python", "-m", "app", "plans", "--json"]
    environment = {**os.environ, "PYTHONPATH": "src"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    try:
        return {name: Query(one["ms"], one["plans"]) for name, one in json.loads(done.stdout).items()}
    except (ValueError, KeyError, TypeError, AttributeError):
        last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
        raise UnreadableError(
            "python -m app plans", f"did not tell: {last}; expected what `make plans` needs"
        ) from None


def told(baseline: Baseline) -> Iterator[str]:
    """A baseline for eyes."""
    yield f"{baseline.time}, version {baseline.version}, {baseline.traffic}"
    for name, one in baseline.requests.items():
        shares = ", ".join(f"{share} {milliseconds(getattr(one, share))}" for share in ("p50", "p95", "p99"))
        yield f"  {name}: {one.requests} requests, {percent(one.failed_share)} failed, {shares}"


def compared(before: Baseline, after: Baseline) -> tuple[bool, list[str]]:
    """Whether nothing is worse, and the lines that say so.

    Raises:
        UnreadableError: they have no request in common.
    """
    both = [name for name in before.requests if name in after.requests]
    if before.traffic != after.traffic or not both:
        raise UnreadableError(
            "the two", f"measure other requests ({before.traffic}, {after.traffic}); expected the same ones"
        )
    lines, is_good = [], True
    for name in both:
        worse = after.requests[name].worse_than(before.requests[name])
        is_good = is_good and not worse
        sides = f"p95 {milliseconds(before.requests[name].p95)} -> {milliseconds(after.requests[name].p95)}"
        lines.append(f"WORSE {name}: {'; '.join(worse)}" if worse else f"ok    {name}: {sides}")
    for name in (name for name in before.queries if name in after.queries):
        was, now_ = before.queries[name], after.queries[name]
        is_worse = now_.ms > was.ms * SLOWER and now_.ms > was.ms + SLOWER_QUERY_MS
        is_good = is_good and not is_worse
        plan = "" if was.plans == now_.plans else f", another plan: {'; '.join(now_.plans)}"
        lines.append(f"{'WORSE' if is_worse else 'ok   '} query {name}: {was.ms:.1f} ms -> {now_.ms:.1f} ms{plan}")
    return is_good, lines


def main(arguments: list[str] | None = None) -> int:
    """Measure, or measure and compare; returns the exit code."""
    parser = argparse.ArgumentParser(description="Measure the running service, or compare it with how it was.")
    parser.add_argument("verb", nargs="?", choices=("measure", "compare"), default="measure")
    parser.add_argument("file", nargs="?", type=Path, help="with compare: the baseline (default: the newest)")
    parser.add_argument("--seconds", type=float, default=10.0, help="measure clients for so long (default: 10)")
    parser.add_argument("--plans", action="store_true", help="also each query, on tables full of rows")
    options = parser.parse_args(arguments)
    if not 0.1 <= options.seconds <= 3600:
        parser.error("--seconds must be 0.1 to 3600")
    try:
        before = read(options.file or newest()) if options.verb == "compare" else None
        after = measured(options.seconds, with_plans=options.plans)
        print("\n".join(told(after)))
        if before is None:
            print(f"written: {after.write()}")
            return 0
        is_good, lines = compared(before, after)
    except (UnreadableError, OSError, ValueError, KeyError, OverflowError, RecursionError) as error:
        print(error, file=sys.stderr)
        return 2
    print(f"against {before.time}, version {before.version}")
    print("\n".join(lines))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
