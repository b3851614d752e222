"""What must hold of the working tree before Copier writes to it, and afterwards. Needs Copier."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from copies import NotDoneError
from references import is_ours, misplaced
from rendering import ANSWERS
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
        if entry[0] == "S" or entry[0].islower():
            way = "git update-index --no-skip-worktree --no-assume-unchanged"
            raise NotDoneError(f"git is told not to look at {entry[2:]}; {way} on it, commit, then try again", 2)


def require_in_place(answers: Mapping[str, Any]) -> None:
    """Raise NotDoneError where a link or a folder stands for a file of ours: Copier writes through it, or stops."""
    for found in misplaced(answers.get("ejected") or {}):
        raise NotDoneError(f"{found} here; expected what is ours in its place: see updating.md", 2)


@contextmanager
def nothing_hidden(there: Path) -> Iterator[None]:
    """Put back what Copier writes of ours where git ignores it, for a commit would lack it, and raise NotDoneError."""
    before = _hidden(there)
    written: set[str] = set()
    try:
        yield
    finally:
        written |= {path for path, held in _hidden(there).items() if before.get(path) != held}
        for path in written:
            (there / path).write_bytes(before[path]) if path in before else (there / path).unlink()
    if written:
        why = "git check-ignore -v says by which line; expected none for what is ours"
        raise NotDoneError(f"git ignores {', '.join(sorted(written))}, which the release brings; {why}", 2)


def _hidden(there: Path) -> dict[str, bytes]:
    """What of ours git ignores, but for Python's caches."""
    found = git("-C", str(there), "ls-files", "--others", "--ignored", "--exclude-standard", "-z").split("\0")[:-1]
    ours = (path for path in found if is_ours(path) and "__pycache__" not in path and (there / path).is_file())
    return {path: (there / path).read_bytes() for path in ours}


def require_settled() -> None:
    """Raise NotDoneError where an earlier update's markers were committed: another would nest its own in them."""
    done = subprocess.run(
        ["git", "grep", "-G", "--no-color", "--name-only", f"^{MARKER}"], capture_output=True, text=True, check=False
    )
    if done.stdout:
        found = ", ".join(done.stdout.split("\n")[:-1])
        raise NotDoneError(f"markers of an earlier update stand in {found}; settle them as updating.md says", 2)
