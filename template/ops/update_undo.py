"""Where an update began, and the way back to it. Needs Copier."""

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from copies import NotDoneError
from rendering import ANSWERS
from repository import git, head, here, switch_back, unmerged
from update_proposal import identity

STATE = Path("var/update.json")


@dataclass(frozen=True)
class Begun:
    """An update that is under way or was made: its branch, and where it began."""

    branch: str
    here: str
    start: str

    def save(self) -> None:
        """Write it down before anything is changed."""
        STATE.parent.mkdir(exist_ok=True)
        STATE.write_text(json.dumps(vars(self)) + "\n", encoding="utf-8")


def undo() -> int:
    """Check out what was before, as it was; what was done since stays in a stash.

    Raises:
        NotDoneError: no update was begun, or something else is checked out.
    """
    try:
        begun = Begun(**json.loads(STATE.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise NotDoneError(f"no update to take back: {STATE} does not say where one began", 2) from None
    now = here()
    if now not in (begun.branch, begun.here):
        raise NotDoneError(f"{now} is checked out; expected {begun.branch}, as the update left it", 2)
    if begun.here != "HEAD" and not git("branch", "--list", begun.here):
        way = f"git branch {begun.here} {begun.start[:12]}, then try again"
        raise NotDoneError(f"the branch {begun.here} is gone; expected it, for the update began there: {way}", 2)
    if _is_merged(begun):
        told = f"{begun.here} has the update by now, or {begun.branch} is gone; git revert takes back a merge"
        raise NotDoneError(told, 2)
    if now == begun.branch:
        if found := unmerged():  # git stashes no unmerged file
            git("add", "--", *found)
        if git("status", "--porcelain", "--", "."):
            message = ("--message", f"undone: {begun.branch}")
            git(*identity(), "stash", "push", "--quiet", "--include-untracked", *message, "--", ".")
            print("what was not committed is kept: git stash list")
        switch_back(begun.here, begun.start)
    if git("branch", "--list", begun.branch):
        last = git("rev-parse", begun.branch).strip()
        git("branch", "--quiet", "--delete", "--force", begun.branch)
        print(f"the branch {begun.branch} is gone; its last commit was {last[:12]}")
    STATE.unlink()
    where = head()[:12] if begun.here == "HEAD" else begun.here
    told = "as before" if head() == begun.start else "with what was committed there since"
    print(f"{told}: {where}; make setup installs what it asks for")
    return 0


def _is_merged(begun: Begun) -> bool:
    """Whether the team's branch has the update: by a merge, or as one commit of its own (a squash)."""
    is_named = begun.here != "HEAD"
    tip = git("rev-parse", f"refs/heads/{begun.here}").strip() if is_named else head()
    if tip == begun.start or (not is_named and here() == begun.branch):
        return False
    if not git("branch", "--list", begun.branch):
        return True
    made = git("rev-parse", f"refs/heads/{begun.branch}").strip()
    if made == begun.start:  # nothing was committed, so nothing can be merged
        return False
    was, now, there = (_answers(commit) for commit in (begun.start, tip, made))
    given = [name for name in there if there[name] != was.get(name)]
    is_squashed = bool(given) and all(now.get(name) == there[name] for name in given)
    return is_squashed or bool(git("branch", "--list", "--merged", tip, begun.branch))


def _answers(commit: str) -> dict[str, Any]:
    """What a commit was rendered from; empty where that cannot be told."""
    done = subprocess.run(["git", "show", f"{commit}:./{ANSWERS}"], capture_output=True, check=False)
    try:
        found = yaml.safe_load(done.stdout)
    except yaml.YAMLError:
        found = None
    return found if isinstance(found, dict) else {}
