"""What must hold of the working tree before Copier writes to it. Needs Copier."""

import os
import shlex
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from copies import NotDoneError
from references import is_ours, misplaced
from rendering import ANSWERS, listed
from repository import git

MARKER = "<<<<<<< before updating"


def require_committed() -> None:
    """Raise NotDoneError unless git holds everything as it is."""
    why = ""
    try:
        is_tracked = bool(git("ls-files", "--", str(ANSWERS)))
    except subprocess.CalledProcessError as error:  # no repository, or one of somebody else
        is_tracked, why = False, f" ({error.stderr.decode(errors='replace').strip().partition(chr(10))[0]})"
    if not is_tracked:
        expected = "expected a repository that is yours, with everything committed"
        raise NotDoneError(f"git does not hold this service{why}; {expected}", 2)
    if left := git("status", "--porcelain", "--", ".").splitlines():
        few = ", ".join(line[3:] for line in left[:3]) + (f" and {len(left) - 3} more" if len(left) > 3 else "")
        raise NotDoneError(f"not everything is committed (git status): {few}; commit or stash it, then try again", 2)
    for entry in git("ls-files", "-v", "-z", "--", ".").split("\0")[:-1]:
        if (told := entry[0]) == "S" or told.islower():
            flag = "--no-skip-worktree" if told in "Ss" else "--no-assume-unchanged"
            is_absent = told in "Ss" and not os.path.lexists(entry[2:])
            way = "git sparse-checkout disable" if is_absent else f"git update-index {flag} {shlex.quote(entry[2:])}"
            raise NotDoneError(f"git is told not to look at {entry[2:]}; {way}, then try again", 2)


def require_in_place(answers: Mapping[str, Any]) -> None:
    """Raise NotDoneError where a link or a folder stands for a file of ours: Copier writes through it, or stops."""
    for found in misplaced(answers.get("ejected") or {}):
        raise NotDoneError(f"{found} here; expected what is ours in its place: see updating.md", 2)


def require_held(old: Path, new: Path) -> None:
    """Raise NotDoneError where git ignores what is ours by one of these renders.

    Copier would go over a file that is here, and no commit would hold one that comes.
    """
    held = set(git("ls-files", "-z").split("\0"))
    there, coming = listed(old), listed(new)
    hidden = {path for path in there | coming if path not in held and os.path.lexists(path)}
    refuse_ignored(path for path in hidden | set(_ignored(coming - there - held)) if is_ours(path))


def _ignored(paths: set[str]) -> list[str]:
    asked = os.fsencode("".join(f"{path}\0" for path in paths))
    done = subprocess.run(["git", "check-ignore", "-z", "--stdin"], input=asked, capture_output=True, check=False)
    return os.fsdecode(done.stdout).split("\0")[:-1]


def refuse_ignored(paths: Iterable[str]) -> None:
    """Raise NotDoneError if there are any."""
    if found := ", ".join(sorted(paths)):
        why = "git check-ignore -v says by which line; expected none for what is ours"
        raise NotDoneError(f"git ignores {found}, which the template has; {why}", 2)


def require_settled() -> None:
    """Raise NotDoneError where an earlier update's markers were committed: another would nest its own in them."""
    done = subprocess.run(
        ["git", "grep", "-G", "--no-color", "--name-only", f"^{MARKER}"], capture_output=True, text=True, check=False
    )
    if done.stdout:
        found = ", ".join(done.stdout.split("\n")[:-1])
        raise NotDoneError(f"markers of an earlier update stand in {found}; settle them as updating.md says", 2)
