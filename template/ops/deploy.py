"""Puts a release in the place of the one that runs, and takes it back. Standard library, and nginx or Docker.

Usage: python3 ops/deploy.py deploy [--anyway]                the commit that is checked out
       python3 ops/deploy.py rollback [RELEASE] [--anyway]    the last good one, or that version, commit or id
       python3 ops/deploy.py rollback [RELEASE] --check       whether it is safe: 0 it is, 1 it is not, 2 unknown
       python3 ops/deploy.py list                             the releases that are kept, and which gets the requests
       python3 ops/deploy.py up | down [--forget]             start what was deployed, stop it; forget all releases
Exit codes: 0 done; 1 refused or failed, and as it was before; 2 wrong use, or something cannot be read.
"""

import argparse
import os
import signal
import sys

import deploying
from deploys import deploys
from driving import Driver
from records import UnreadableError
from releases import NotDeployedError
from settings import setting
from slot_compose import Containers
from slot_process import Processes
from slots import State, load
from switching import DONE, ENDS, Switching, unstoppable
from telling import say
from wayback import noted, verdict

DRIVERS = {"process": Processes, "compose": Containers}
MOST_WATCH_SECONDS = 3600.0


def driver() -> Driver:
    """What the settings name.

    Raises:
        NotDeployedError: they name none.
    """
    name = setting("DEPLOY_DRIVER", "process")
    if name not in DRIVERS:
        raise NotDeployedError(f"DEPLOY_DRIVER: {name!r} is none; expected {' or '.join(DRIVERS)}", 2)
    return DRIVERS[name]()


def watch_seconds() -> float:
    """How long clients are measured before and after.

    Raises:
        NotDeployedError: the setting is no such time.
    """
    text = setting("DEPLOY_WATCH_SECONDS", "10.0")
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 <= found <= MOST_WATCH_SECONDS:
        raise NotDeployedError(f"DEPLOY_WATCH_SECONDS: {text!r} is no time; expected seconds from 0 to 3600", 2)
    return found


def check(state: State, to: str | None) -> int:
    """Say whether a rollback is safe; 0 it is, 1 it is not, 2 it cannot be told."""
    older, newer = deploying.target(state, to), state.of(state.active)
    is_safe, lines = verdict(older.commit, (newer or older).commit, older.version, noted())
    say("\n".join(lines))
    return 2 if is_safe is None else 0 if is_safe else 1


def listing(state: State) -> None:
    """Say which releases are kept, the newest last."""
    for one in state.releases.values():
        slot = next((slot for slot, held in state.slots.items() if held == one.id), None)
        place = f"{slot}, gets the requests" if slot and slot == state.active else f"{slot}, warm" if slot else "cold"
        say(f"{one.id}  {one.version}  {place}")
    if state.work:
        say(f"{state.work.verb} {state.work.id} is under way, or was ended half way: the next command settles it")


def changes(options: argparse.Namespace) -> None:
    """Do what changes something, alone."""
    here, watch = driver(), watch_seconds()
    here.require()
    with deploying.alone():
        if options.verb != "down":
            here.require_same_place()
        if options.verb in DONE:
            deploys()  # a record that cannot be read is told before anything is done
        all_of_it = Switching(
            here, known(is_forgotten=options.verb == "down" and options.forget), f"make {options.verb}"
        )
        all_of_it.recover()
        if options.verb == "deploy":
            deploying.deploy(all_of_it, watch, anyway=options.anyway)
        elif options.verb == "rollback":
            deploying.rollback(all_of_it, options.release, os.environ.get("REASON"), anyway=options.anyway)
        elif options.verb == "up":
            deploying.up(all_of_it)
        else:
            deploying.down(all_of_it, forget=options.forget)


def known(*, is_forgotten: bool) -> State:
    """What was deployed; what is forgotten need not be readable.

    Raises:
        UnreadableError: it cannot be read.
    """
    try:
        return load()
    except UnreadableError:
        if is_forgotten:
            return State()
        raise


def interrupted(*_: object) -> None:
    """A signal ends it as Ctrl-C does; a second one does not disturb what takes it back."""
    unstoppable()
    raise KeyboardInterrupt


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="Deploy, roll back, start and stop the service behind its proxy.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    for verb in ("deploy", "rollback", "list", "up", "down"):
        verbs.add_parser(verb)
    verbs.choices["rollback"].add_argument(
        "release", nargs="?", help="a version, commit or id (default: the last good one)"
    )
    verbs.choices["down"].add_argument("--forget", action="store_true", help="what was deployed is removed")
    for verb in ("deploy", "rollback"):
        verbs.choices[verb].add_argument("--anyway", action="store_true", help="also where a rollback is not safe")
    verbs.choices["rollback"].add_argument("--check", action="store_true", help="only say whether it is safe")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "rollback" and options.check:
            return check(load(), options.release)
        if options.verb == "list":
            listing(load())
            return 0
        for each in ENDS:
            signal.signal(each, interrupted)
        changes(options)
    except NotDeployedError as error:
        print(f"not done: {error}", file=sys.stderr)
        return error.code
    except KeyboardInterrupt:
        words = "it is as it was before" if options.verb in DONE else "the same command goes on with it"
        print(f"not done: interrupted; {words}", file=sys.stderr)
        return 1
    except (UnreadableError, OSError, ValueError, KeyError, RecursionError) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
