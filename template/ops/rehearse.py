"""Rehearses on a scratch copy what is done in earnest: deployments, broken ones, rollbacks, the runbook.

Usage: python3 ops/rehearse.py [--only NAME …] [--keep]    NAME: deployments, or a procedure of the runbook
       python3 ops/rehearse.py --clear                     stops and removes the copy that was kept, or left half way
The copy has this commit, these settings with names in place of secrets, and the rows of a backup; it is removed
afterwards. The report is var/rehearsal/<time>.json. What was not rehearsed is counted and named. Standard library only.
Exit codes: 0 all that was rehearsed is good, 1 something is not, 2 nothing could be rehearsed, or wrong use.
"""

import argparse
import fcntl
import os
import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import takewhile

from grammar import read_all
from procedures import Procedure
from records import UnreadableError
from rehearsed import Item, Report
from releases import NotDeployedError
from scratch import FOLDER, Scratch, cleared, fill, made
from settings import setting
from telling import say

DEPLOYMENTS = "deployments"
MAIN, PROJECT = "src/app/main.py", "pyproject.toml"
VERSION = re.compile(r'^version = "([^"]+)"', re.MULTILINE)
ENDS = '\nraise RuntimeError("broken on purpose, by the rehearsal")\n'
FAILS = """

async def _broken(self, scope, receive, send, _whole=type(app).__call__):  # by the rehearsal
    if str(scope.get("path", "")).startswith("/v"):
        raise RuntimeError("broken on purpose")
    await _whole(self, scope, receive, send)


type(app).__call__ = _broken
"""


def said(copy: Scratch, code: int, expected: str, *command: str) -> str | None:
    """What is wrong with what a command does; None if it ends and says as expected."""
    done = copy.run(*command)
    text = done.stdout + done.stderr
    if (done.returncode == 0) != (code == 0) or expected not in text:
        lines = [line for line in text.splitlines() if line.strip() and not line.startswith("make")]
        last = (lines or ["it said nothing"])[-1][:300]
        return f"`{' '.join(command)}` ended with {done.returncode}: {last}"
    return None


def deployments(copy: Scratch, report: Report) -> None:
    """Two versions, two broken ones, a warm and a cold rollback, by the commands that are used in earnest."""
    if (driver := setting("DEPLOY_DRIVER", default="process")) != "process":
        report.note(Item(f"deployments by {driver}", None, "the copy's slots are processes"))
    project = copy.folder / PROJECT
    main = (copy.folder / MAIN).read_text("utf-8")
    was = VERSION.search(project.read_text("utf-8"))
    first = was[1] if was else "0"

    def version(number: int, more: str = "") -> None:
        project.write_text(VERSION.sub(f'version = "{first}+rehearsal.{number}"', project.read_text("utf-8"), count=1))
        (copy.folder / MAIN).write_text(main + more, encoding="utf-8")
        copy.run("uv", "lock", "--quiet") if (copy.folder / "uv.lock").exists() else None
        copy.commit(f"rehearsal {number}")

    def runs(number: int) -> str | None:
        wanted = f'"version":"{first}+rehearsal.{number}"'
        return said(copy, 0, wanted, "python3", "ops/health.py", "--show", "/readyz")

    def deploys(number: int) -> str | None:
        version(number)
        return said(copy, 0, "deployed: ", "make", "deploy") or runs(number)

    if not report.add("first deployment", lambda: deploys(1)):
        return
    report.add("second deployment", lambda: deploys(2))
    report.add("third deployment", lambda: deploys(3))
    version(4, ENDS)
    report.add(
        "version that ends at its start is refused", lambda: said(copy, 1, "not done: ", "make", "deploy") or runs(3)
    )
    version(5, FAILS)
    asked = copy.run(
        "python3", "-c", "import sys; sys.path.insert(0, 'ops'); from probing import probes; sys.exit(not probes())"
    )
    if asked.returncode == 0:
        name = "version that is ready and fails when asked is refused"
        report.add(name, lambda: said(copy, 1, " answers 5", "make", "deploy") or runs(3))
    else:
        report.note(Item("version that fails when asked", None, "no route can be asked; probes.txt may name some"))
    report.add("warm rollback", lambda: said(copy, 0, "rolled back: ", "make", "rollback") or runs(2))
    report.add("cold rollback", lambda: said(copy, 0, "rolled back: ", "make", "rollback") or runs(1))
    report.add("stop", lambda: said(copy, 0, "stopped: ", "python3", "ops/deploy.py", "down", "--forget"))
    version(6)


def wrong_of(lines: list[str]) -> str:
    """The first step that did not do what its page says, and what it said in place of that; empty if none is told."""
    at = next((number for number, line in enumerate(lines) if line.startswith("not ")), None)
    if at is None:
        return ""
    words = lines[at].removesuffix("; expected")
    if "found" not in lines[at:]:
        return words
    found = takewhile(lambda line: line.startswith("    "), lines[lines.index("found", at) + 1 :])
    return f"{words}; found: {' | '.join(line.strip() for line in found)}"[:500]


def procedure(copy: Scratch, report: Report, one: Procedure) -> None:
    """One procedure of the runbook, with what it needs, and back."""
    if "Rehearsed" in one.fields:
        report.note(Item(one.name, None, one.fields["Rehearsed"]))
        return
    commit = copy.run("git", "rev-parse", "HEAD").stdout.strip()
    backups = sorted(copy.folder.glob("var/backups/*.db"))
    known = {
        "RELEASE": commit,
        "HOLDER": "0",
        "LIMIT": "1200/minute",
        "BACKUPS": "var/backups",
        "ELSEWHERE": str((copy.folder / "var/elsewhere").resolve()),
    }
    known |= {"BACKUP": str(backups[-1].relative_to(copy.folder))} if backups else {}
    given = known | {each.name: os.environ[each.name] for each in one.inputs if each.name in os.environ}
    if missing := [each.name for each in one.inputs if each.name not in given]:
        report.note(Item(one.name, None, f"needs {', '.join(missing)} in the environment"))
        return

    def rehearse() -> str | None:
        done = copy.run("python3", "ops/runbook.py", "rehearse", one.name, **given)
        if done.returncode == 0:
            return None
        return wrong_of(done.stdout.splitlines()) or done.stderr.strip() or "it did not do what its page says"

    report.add(one.name, rehearse)


@contextmanager
def copied(report: Report, *, keep: bool) -> Iterator[Scratch]:
    """A scratch copy, its differences told; gone afterwards, unless it is to be kept."""
    FOLDER.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (FOLDER / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotDeployedError("another rehearsal is under way; expected its end first", 2) from None
        yield from _copied(report, keep=keep)


def _copied(report: Report, *, keep: bool) -> Iterator[Scratch]:
    copy = made()
    report.differences = copy.differences
    say("\n".join(f"other in the copy: {name}: {words}" for name, words in sorted(copy.differences.items())))
    begun = time.monotonic()
    try:
        why = fill(copy)
        seconds = round(time.monotonic() - begun, 2)
        report.note(Item("rows of the service", None if why else True, why or "copied by a backup", seconds))
        yield copy
    finally:
        if keep:
            say(f"kept: {copy.folder}")
        else:
            copy.clear()


def main(arguments: list[str] | None = None) -> int:
    """Rehearse; returns the exit code."""
    parser = argparse.ArgumentParser(description="Rehearse deployments, rollbacks and the runbook on a scratch copy.")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="deployments, or procedures of the runbook")
    parser.add_argument("--clear", action="store_true", help="only remove the copy that was left")
    parser.add_argument("--keep", action="store_true", help="leave the copy where it is, with what runs in it")
    options = parser.parse_args(arguments)
    try:
        if options.clear:
            was_there = (FOLDER / "copy").exists()
            cleared()
            say(f"{'removed: ' if was_there else 'nothing was left in '}{FOLDER / 'copy'}")
            return 0
        procedures = read_all()
        chosen = options.only or [DEPLOYMENTS, *(one.name for one in procedures)]
        if unknown := [name for name in chosen if name not in {DEPLOYMENTS, *(one.name for one in procedures)}]:
            parser.error(
                f"{unknown[0]!r} is no procedure; expected {DEPLOYMENTS}, or a name as `make runbook` lists it"
            )
        report = Report()
        with copied(report, keep=options.keep) as copy:
            if DEPLOYMENTS in chosen:
                deployments(copy, report)
            for one in (one for one in procedures if one.name in chosen):
                procedure(copy, report, one)
        report.write()
    except (NotDeployedError, UnreadableError, OSError, ValueError) as error:
        print(f"nothing was rehearsed: {error}", file=sys.stderr)
        return 2
    done = [one for one in report.items if one.is_good is not None]
    bad = [one.name for one in done if not one.is_good]
    print(f"{len(done)} of {len(report.items)} rehearsed, {len(bad)} FAIL{': ' * bool(bad)}{', '.join(bad)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
