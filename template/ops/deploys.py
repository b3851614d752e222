"""The record of deployments, a line each. Standard library only.

Usage: python3 ops/deploys.py                     lists them
       python3 ops/deploys.py record --version 1.2.0 --result ok [--command TEXT] [--reason TEXT]
            adds one, of the commit that is checked out
Exit codes: 0 good, 2 wrong use, or a line of the record is not to be read.
"""

import argparse
import subprocess
import sys
from contextlib import suppress
from dataclasses import asdict, dataclass, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from measure import Measure
from records import UnreadableError, append, now, read, who
from settings import setting

RESULTS = ("ok", "refused", "rolled_back", "failed")


@dataclass(frozen=True)
class Deploy:
    """One deployment. `before` and `after` are measures of the answers on both sides of it, where there were any.

    `id` is what `/readyz` showed, None of one that was recorded by hand.
    """

    time: str
    who: str
    version: str
    commit: str | None
    command: str
    result: str
    reason: str | None
    seconds: float | None
    before: Measure | None
    after: Measure | None
    id: str | None = None


MEMBERS = frozenset(field.name for field in fields(Deploy))


def record_path() -> Path:
    """Where the record is."""
    return Path(setting("DEPLOYS_FILE", "var/deploys.jsonl"))


def add(deploy: Deploy) -> None:
    """Write a line behind the others; raises as `records.append` does."""
    append(record_path(), asdict(deploy))


def deploys() -> list[Deploy]:
    """All deployments, the oldest first.

    Raises:
        UnreadableError: a line is none of the record's.
        OSError: it cannot be read.
    """
    return [_deploy(place, members) for place, members in read(record_path(), MEMBERS, {"id"})]


def _deploy(place: str, members: dict[str, Any]) -> Deploy:
    if members["result"] not in RESULTS:
        raise UnreadableError(place, f"has the result {members['result']!r}; expected one of {', '.join(RESULTS)}")
    try:
        has_zone = datetime.fromisoformat(members["time"]).tzinfo is not None
        sides = {
            name: None if members[name] is None else Measure.from_json(members[name]) for name in ("before", "after")
        }
    except (ValueError, TypeError) as error:
        raise UnreadableError(place, str(error)) from None
    if not has_zone:
        raise UnreadableError(place, f"has the time {members['time']!r}; expected one with its zone")
    return Deploy(**members | sides)


def commit() -> str | None:
    """The commit that is checked out; None where there is no git, or no repository."""
    with suppress(OSError):
        command = ["git", "rev-parse", "--verify", "--quiet", "HEAD"]
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip() or None
    return None


def main(arguments: list[str] | None = None) -> int:
    """List the record or add to it; returns the exit code."""
    parser = argparse.ArgumentParser(description="The record of deployments.")
    record = parser.add_subparsers(dest="verb").add_parser("record")
    record.add_argument("--version", required=True)
    record.add_argument("--result", required=True, choices=RESULTS)
    record.add_argument("--command", default="recorded by hand")
    record.add_argument("--reason")
    options = parser.parse_args(arguments)
    try:
        if options.verb:
            one = options
            add(Deploy(now(), who(), one.version, commit(), one.command, one.result, one.reason, None, None, None))
            return 0
        for deploy in deploys():
            reason = "".join(each if each.isprintable() else " " for each in deploy.reason or "")
            print(deploy.time, deploy.version, deploy.result, reason, sep="  ")
    except (UnreadableError, OSError, ValueError, KeyError, OverflowError, RecursionError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
