"""`make bench`: measures what a render costs. Exit 0 when it could measure, whatever came out; 2 when it could not.

Nothing here is a test: a shared machine decides nothing. Read docs/reference/bench.md for the method.
"""

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

from answering import answers, layers, memory
from delivering import deployments
from fleets import fleets
from limiting import limits
from load import LoadError
from opening import tokens
from report import Report, Row, tool_versions
from service import BENCH, CannotMeasureError, prepare, run
from starting import copies, first_answer, process_start, suite
from storing import database

SECTIONS = ("answers", "database", "limits", "tokens", "layers", "start", "copy", "memory", "deploy", "fleet")
_LIBRARIES = ("fastapi", "starlette", "uvicorn", "uvloop", "pydantic")


def main() -> int:
    """Measure what was asked for and print it."""
    asked = _arguments()
    if not sys.platform.startswith("linux"):
        print("found no /proc here, expected Linux", file=sys.stderr)
        return 2
    BENCH.mkdir(parents=True, exist_ok=True)
    report, started = Report(), time.monotonic()
    try:
        service = prepare()
        for section, measure in _sections(service, asked).items():
            if not asked.only or section in asked.only:
                report.add(section, measure())
        versions = tool_versions() | _service_versions(service)
    except (CannotMeasureError, LoadError, OSError) as error:
        print(f"could not measure: {error}", file=sys.stderr)
        return 2
    print(f"measured in {time.monotonic() - started:.0f} s", file=sys.stderr)
    print(report.as_json(versions) if asked.json else report.as_table(versions))
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__.splitlines()[0])
    parser.add_argument("--full", action="store_true", help="the promised numbers: 100,000 requests, more rounds")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.add_argument("--rounds", type=int, help="interleaved rounds of requests (default 9, with --full 21)")
    parser.add_argument("--count", type=int, default=2_000, help="requests of a case in a round (default 2000)")
    parser.add_argument("--only", action="append", metavar="SECTION", help=f"one of {', '.join(SECTIONS)}; may repeat")
    asked = parser.parse_args()
    if unknown := set(asked.only or ()) - set(SECTIONS):
        parser.error(f"found --only {', '.join(sorted(unknown))}, expected one of: {', '.join(SECTIONS)}")
    asked.rounds = asked.rounds or (21 if asked.full else 9)
    return asked


def _sections(service: Path, asked: argparse.Namespace) -> dict[str, Callable[[], list[Row]]]:
    few = 9 if asked.full else 5
    return {
        "answers": lambda: answers(service, asked.rounds, asked.count),
        "database": lambda: database(service, asked.rounds, asked.count),
        "limits": lambda: limits(service, asked.rounds, asked.count),
        "tokens": lambda: tokens(service, asked.rounds, asked.count),
        "layers": lambda: layers(service, asked.rounds, asked.count),
        "start": lambda: process_start(service, few) + first_answer(2) + suite(),
        "copy": lambda: copies(few),
        "memory": lambda: memory(service, 100_000 if asked.full else 20_000),
        "deploy": lambda: deployments(service, few, asked.count),
        "fleet": lambda: fleets(3 if asked.full else 1),
    }


def _service_versions(service: Path) -> dict[str, str]:
    code = (
        "import platform; from importlib.metadata import version; print('Python', platform.python_version());"
        f"[print(name, version(name)) for name in {_LIBRARIES!r}]"
    )
    lines = run(service / ".venv/bin/python", "-c", code, cwd=service).splitlines()
    return dict(line.split(" ", 1) for line in lines)


if __name__ == "__main__":
    sys.exit(main())
