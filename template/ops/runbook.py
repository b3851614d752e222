"""The runbook at work. Standard library only: it is for the night when nothing else runs.

Usage: python3 ops/runbook.py                            lists the procedures
       python3 ops/runbook.py show NAME                  prints one; NAME may be an alert, or a part of the name
       python3 ops/runbook.py run NAME [--dry] [--yes]   runs one; asks before each step that changes something
       python3 ops/runbook.py back NAME [--dry] [--yes]  runs its rollback alone
       python3 ops/runbook.py rehearse [NAME …]          runs one or all with what they need, and takes all of it back
       python3 ops/runbook.py lint                       says what is wrong with the pages
       python3 ops/runbook.py journal                    shows what was run, when, by whom
Exit codes: 0 good, 1 a step did not do what its page says, or the pages have faults, 2 wrong use or not to be read.
"""

import argparse
import fcntl
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from itertools import groupby
from pathlib import Path

from asking import RefusedError, asked, given, named, needed
from grammar import read_all
from interrupts import signals_noted
from procedures import Procedure, anchor
from records import UnreadableError, now, read, who
from runbook_lint import faults
from stepping import JOURNAL, MEMBERS, Run
from telling import plain, say

REHEARSAL_SECONDS = 120.0
LOCK = Path("var/runbook.lock")


def tell(procedure: Procedure) -> None:
    """Print what the operator must know before the first step."""
    fields = [f"  {name}: {plain(value)}" for name, value in procedure.fields.items()]
    fields += [f"  Input: {one.name}, {one.meaning or 'a value'}, like {one.pattern}" for one in procedure.inputs]
    say("\n".join([f"{procedure.name} ({procedure.path}:{procedure.line})", *fields]))


@contextmanager
def alone(procedure: Procedure) -> Iterator[None]:
    """Nobody else changes this service by a procedure meanwhile; the lock ends with the process.

    Raises:
        RefusedError: somebody does.
    """
    LOCK.parent.mkdir(exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise RefusedError(f"another procedure runs here: {file.read()}; expected it to be ended first") from None
        file.truncate(0)
        file.write(f"{procedure.name!r} since {now()} by {who()}, process {os.getpid()}")
        file.flush()
        yield
        file.truncate(0)


def run(procedure: Procedure, *, back: bool, dry: bool, yes: bool) -> int:
    """Run it, or its rollback; after a step that failed its rollback follows."""
    tell(procedure)
    commands = procedure.rollback if back else procedure.commands
    if not commands:
        raise RefusedError(f"{procedure.name!r} has no commands for that; {procedure.fields.get('Rollback', '')}")
    if dry:
        for number, command in enumerate(commands, 1):
            print("\n".join(filter(None, ["", command.above, f"step {number} of {len(commands)}: {command.text}"])))
        return 0
    is_person = sys.stdin.isatty()
    if not (yes or is_person) and any(command.changes for command in commands):
        raise RefusedError("before each step that changes something you are asked, and nobody answers; --yes does all")
    # Asked for when a command wants it: what the commands before it show may be what to choose from.
    later = [each for each in procedure.inputs if is_person and not os.environ.get(each.name)]
    used = "\n".join(command.text for command in commands)
    wanted = [each for each in procedure.inputs if each not in later and (not back or each.name in used)]
    one = Run(procedure, given(wanted, may_ask=False), None if yes else asked, later=later)
    one.expect_to_be_left()
    if back:
        is_back = one.take_back() and not one.skipped
        say("\ntaken back" if is_back else "\nnot taken back as the page says: look at every step above")
        return 0 if is_back else 1
    is_done = False
    with suppress(KeyboardInterrupt):  # between two steps
        is_done = one.do()
    if is_done:
        back_by = f"; it is taken back by: python3 ops/runbook.py back {anchor(procedure.name)}"
        but = f", but for {one.skipped} that you skipped" if one.skipped else ""
        say(f"\ndone: {procedure.name}{but}{back_by if one.has_changed else ''}")
        return 0
    one.skipped = 0
    if not one.has_changed:
        say("\nnot done; nothing was changed")
    elif one.take_back() and not one.skipped:
        say("\nnot done; taken back")
    else:
        say("\nnot done, and not taken back as the page says: look at every step above")
    return 1


def rehearse(procedures: list[Procedure], names: list[str], *, yes: bool) -> int:
    """Run each with what it needs, then take all of it back; what only a person can rehearse is counted."""
    if sys.stdin.isatty() and not yes:
        raise RefusedError("a rehearsal changes what is here and asks nothing; --yes does it")
    chosen = [named(procedures, name) for name in names] or procedures
    by_hand = [one for one in chosen if "Rehearsed" in one.fields]
    left = [one for one in chosen if one not in by_hand]
    bad, done, came = [], 0, signals_noted()
    while left and not came:
        procedure = left.pop(0)
        tell(procedure)
        all_of_it = [*needed(procedures, procedure), procedure]
        runs = [Run(one, given(one.inputs, may_ask=False), seconds=REHEARSAL_SECONDS, came=came) for one in all_of_it]
        is_good = all(one.do() for one in runs)
        for one in (one for one in reversed(runs) if one.has_begun):
            is_good = one.take_back() and is_good
        bad += [] if is_good else [procedure.name]
        done += 1
        print(f"{'ok' if is_good else 'FAIL'}: {procedure.name}\n", flush=True)
    if came:
        say(f"interrupted; not rehearsed any more: {', '.join(one.name for one in left) or 'none'}")
    print(f"{done} of {len(chosen)} rehearsed, {len(bad)} FAIL")
    for one in by_hand:
        print(f"  {one.name}: {one.fields['Rehearsed']}")
    return 1 if bad or came else 0


def listing(procedures: list[Procedure]) -> Iterator[str]:
    """Every procedure with its occasion, by page."""
    for path, of_page in groupby(procedures, key=lambda one: one.path):
        yield f"\n{path}"
        yield from (f"  {one.name}: {one.fields.get('When', '')}" for one in of_page)
    yield '\nto see one: make runbook SHOW="name"; to run it: make runbook RUN="name"'


def told(verb: str, procedures: list[Procedure]) -> int:
    """Print what `verb` asks for and return the exit code."""
    if verb == "lint":
        found = faults(procedures)
        print("\n".join(found) or f"{len(procedures)} procedures, no fault")
        return 1 if found else 0
    if verb == "journal":
        for _, line in read(JOURNAL, MEMBERS):
            is_good = "as expected" if line["as_expected"] else "NOT as expected"
            print(line["time"], line["who"], line["page"], line["part"], line["command"], is_good, sep="  ")
        return 0
    print("\n".join(listing(procedures)).lstrip("\n"))
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="List, show, run and check the procedures of the runbook.")
    verbs = parser.add_subparsers(dest="verb")
    for verb in ("list", "lint", "journal"):
        verbs.add_parser(verb)
    for verb in ("show", "run", "back"):
        verbs.add_parser(verb).add_argument("name", help="a procedure, an alert, or a part of a procedure's name")
    for verb in ("run", "back"):
        verbs.choices[verb].add_argument("--dry", action="store_true", help="print the steps and run none")
        verbs.choices[verb].add_argument("--yes", action="store_true", help="ask nothing")
    verbs.add_parser("rehearse").add_argument("names", nargs="*")
    verbs.choices["rehearse"].add_argument("--yes", action="store_true", help="at a terminal: it asks nothing")
    options = parser.parse_args(arguments)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")
    try:
        procedures = read_all()
        if options.verb == "show":
            print(named(procedures, options.name).text.rstrip())
            return 0
        if options.verb in {"run", "back"}:
            procedure = named(procedures, options.name)
            with nullcontext() if options.dry or not procedure.changes else alone(procedure):
                return run(procedure, back=options.verb == "back", dry=options.dry, yes=options.yes)
        return (
            rehearse(procedures, options.names, yes=options.yes)
            if options.verb == "rehearse"
            else told(options.verb, procedures)
        )
    except (UnreadableError, RefusedError, OSError, UnicodeError) as error:
        print(error, file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
