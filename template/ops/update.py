"""Brings this service to the template's newest release: foreseen, on a branch, checked, and taken back by one command.

Usage: uv tool run --from 'copier>=9.19.1,<10' python ops/update.py [--data ci=both] [--anyway]
       … ops/update.py --dry-run [--data ci=both] [--json]    only says what comes: files, conflicts, losses, settings
       … ops/update.py --undo    back to the branch and the files of before
--data answers a question anew, with or without a newer release; --anyway goes on where something is lost.
Everything must be committed. The branch is chassis-update-<release>, and the folder's name
where that is a part of a repository; nothing is pushed. Needs Copier.
Exit codes: 0 done and good, or nothing to do; 1 conflicts, losses, or a check that fails; 2 not done.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping

import copier
from clean_tree import require_committed, require_settled
from copies import NotDoneError, tell
from foresight import Foresight, foresee
from new_answers import changed_answers
from rendering import ended, read_answers, template_in_use
from repository import NO_HOOKS, git, head, here, unmerged
from template_notes import notes
from update_proposal import branch_for, commit, locked, newest
from update_undo import Begun, undo

GATES = ("setup", "check", "test")
NOTHING = "this service has the newest release of its template"
BACK = "make update ARGS=--undo brings back what was"


def show(before: str, after: str, seen: Foresight, *, is_whole: bool) -> None:
    """Say what the update would do; which files change only where that is all that was asked."""
    print(f"from {before} to {after}: {len(seen.changed)} files change, {len(seen.conflicts)} conflict")
    for word, told in (
        ("changes", seen.changed if is_whole else ()),
        ("conflict", seen.conflicts),
        ("LOST", seen.losses),
        ("setting added", seen.settings_added),
        ("setting removed", seen.settings_removed),
        ("ejected, and other in this release", seen.ejected),
    ):
        for one in told:
            print(f"{word}: {one}")
    for one in notes(before, after):
        print(one)
    sys.stdout.flush()  # what is told from here on is told at once


def _versions(data: Mapping[str, str]) -> tuple[str, str] | None:
    """The release of before and of afterwards; None where there is nothing to do."""
    require_committed()
    require_settled()
    versions = newest()
    return versions if versions or not data else (read_answers()["_commit"].removeprefix("v"),) * 2


def dry_run(data: Mapping[str, str], *, as_json: bool) -> int:
    """Only say what would come; returns the exit code.

    Raises:
        NotDoneError: it cannot be told.
    """
    versions = _versions(data)
    if versions is None:
        print("null" if as_json else NOTHING)
        return 0
    seen = foresee(data)
    if as_json:
        branch = branch_for(versions[1])
        told = {"from": versions[0], "to": versions[1], "branch": branch if git("branch", "--list", branch) else ""}
        print(json.dumps({**told, **vars(seen), "notes": notes(*versions)}))
    else:
        show(*versions, seen, is_whole=True)
        print(f"nothing is changed; make update does it{', and asks for ARGS=--anyway' if seen.losses else ''}")
    return 1 if seen.conflicts or seen.losses else 0


def update(data: Mapping[str, str], *, anyway: bool) -> int:
    """Do it; returns the exit code.

    Raises:
        NotDoneError: it could not be done.
    """
    versions = _versions(data)
    if versions is None:
        print(NOTHING)
        return 0
    before, after = versions
    branch = _unused(branch_for(after))
    seen = foresee(data)
    show(before, after, seen, is_whole=False)
    if seen.losses and not anyway:
        told = "not done: the update would lose work of yours; put it elsewhere (updating.md), or ARGS=--anyway"
        print(told, file=sys.stderr)
        return 1
    begun = Begun(branch, here(), head())
    _unused(branch)  # that took a while: another update may have begun, and where that began must stay written down
    try:
        return _apply(begun, data, before, after)
    except BaseException:
        print(BACK, file=sys.stderr)
        raise


def _unused(branch: str) -> str:
    if git("branch", "--list", branch):
        raise NotDoneError(f"the branch {branch} is there; expected none: git switch {branch}, or delete it", 2)
    return branch


def _apply(begun: Begun, data: Mapping[str, str], before: str, after: str) -> int:
    begun.save()
    git(*NO_HOOKS, "switch", "--quiet", "--create", begun.branch)
    tell(f"updating from {before} to {after}, on the branch {begun.branch}")
    with template_in_use():
        copier.run_update(data=dict(data), skip_answered=True, defaults=True, overwrite=True, quiet=True)
    if found := unmerged():
        print("\n".join(f"conflict: {path}" for path in found), file=sys.stderr)
        print(f"settle them as docs/chassis/updating.md says, then make setup check test; or {BACK}", file=sys.stderr)
        return 1
    if wrong := locked():
        print(f"uv.lock: {wrong}; {BACK}", file=sys.stderr)
        return 1
    git("add", "--all", ".")
    commit(" ".join([f"build: update the chassis to {after}", *(f"{name}={value}" for name, value in data.items())]))
    for target in GATES:  # make hands on what it was given, and ARGS were for this program
        tell(f"make {target}")
        if subprocess.run(["make", target, "ARGS="], check=False).returncode:
            print(f"make {target} failed on the branch {begun.branch}; mend it there, or {BACK}", file=sys.stderr)
            return 1
    print(f"updated: the branch {begun.branch} is checked out and good; merge it, or {BACK}")
    return 0


def main() -> int:
    """Update, foresee or undo, as the command line says."""
    parser = argparse.ArgumentParser(
        description="Bring this service to the newest release of its template.", allow_abbrev=False
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--dry-run", action="store_true", help="only say what would come")
    which.add_argument("--undo", action="store_true", help="back to the branch and the files of before")
    parser.add_argument("--data", action="append", default=[], metavar="NAME=VALUE", help="answer a question anew")
    parser.add_argument("--anyway", action="store_true", help="also where work of the team's would be lost")
    parser.add_argument("--json", action="store_true", help="with --dry-run: for programs")
    options = parser.parse_args()
    if options.json and not options.dry_run:
        parser.error("--json goes with --dry-run")
    if options.undo and (options.data or options.anyway):
        parser.error("--undo goes alone")
    if options.undo:
        return undo()
    data = changed_answers(options.data)
    return dry_run(data, as_json=options.json) if options.dry_run else update(data, anyway=options.anyway)


if __name__ == "__main__":
    sys.exit(ended(main))
