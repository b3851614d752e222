"""Puts the update to the template's newest release on a branch, and says in Markdown what it changes. Needs Copier.

Usage: uv tool run --from 'copier>=9.19.1,<10' python ops/update_proposal.py
The branch is chassis-update-<release>, from what is checked out; the words are var/update-proposal.md and the message
of the commit. Files that conflict are committed with their markers, for whoever settles them. Nothing is pushed, and
no file here is touched: a scratch worktree has the update.
Exit codes: 0 a branch, or nothing to do; 1 a branch with conflicts or losses, or without a lock that fits; 2 not done.
"""

import json
import os
import re
import subprocess
import sys
from collections.abc import Collection
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from clean_tree import require_committed
from copies import NotDoneError
from foresight import Foresight, scratch_worktree, updated
from rendering import ended, template_in_use
from repository import NO_HOOKS, git, head

PAGE = Path("var/update-proposal.md")
IDENTITY = ("-c", "user.name=chassis update", "-c", "user.email=chassis-update@localhost")
MOST_FILES = 200


@dataclass(frozen=True)
class Proposal(Foresight):
    """A branch with the update: what it is called, and what came of it; `lock` is what uv said if it failed."""

    branch: str
    before: str
    after: str
    lock: str

    @property
    def title(self) -> str:
        """The first line of its commit, and of a request: that files conflict is not left to who reads on."""
        found = f", {len(self.conflicts)} in conflict" if self.conflicts else ""
        return f"build: update the chassis to {self.after}{found}"

    @property
    def is_clean(self) -> bool:
        """Whether nothing is to be settled by hand."""
        return not (self.conflicts or self.losses or self.lock)

    def page(self) -> str:
        """The proposal, for whoever reviews it."""
        told = [f"The template has release {self.after}; this service has {self.before}.", ""]
        if self.conflicts:
            settle = "These files hold markers. docs/chassis/updating.md says how to settle them."
            told += ["## Conflicts", "", settle, "", *(f"- `{path}`" for path in self.conflicts), ""]
        if self.losses:
            lost = "As it is, the branch takes away work of yours; docs/chassis/updating.md says where it belongs."
            told += ["## Losses", "", lost, "", *(f"- {words}" for words in self.losses), ""]
        if self.ejected:
            stay = "The release has these otherwise; they are yours by `make eject`, and stay as they are."
            told += ["## Ejected", "", stay, "", *(f"- `{path}`" for path in self.ejected), ""]
        if self.lock:
            told += ["## The lock", "", f"`uv.lock` is not up to date: {self.lock}", ""]
        more = len(self.changed) - MOST_FILES
        told += ["## Files", "", *(f"- `{path}`" for path in self.changed[:MOST_FILES])]
        told += [f"- and {more} more"] if more > 0 else []
        return "\n".join([*told, "", "`make setup check test` proves that the service still holds.", ""])


def newest() -> tuple[str, str] | None:
    """The release this service has and the template's newest; None if it has the newest.

    Raises:
        NotDoneError: the template cannot be reached, or has no releases.
    """
    with template_in_use():
        command = [sys.executable, "-m", "copier", "check-update", "--output-format", "json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise NotDoneError(done.stderr)
        told = json.loads(done.stdout)
    return (told["current_version"], told["latest_version"]) if told["update_available"] else None


def branch_for(after: str) -> str:
    """The branch of the update to a release; a service that is a part of a repository has its folder's name in it."""
    folder = re.sub(r"[^\w-]+", "-", git("rev-parse", "--show-prefix")).strip("-")
    return f"chassis-update-{after}{f'-{folder}' if folder else ''}"


def propose(elsewhere: Collection[str] = ()) -> Proposal | None:
    """Make the branch and write the page; None where there is nothing to do, or `elsewhere` has the branch.

    Raises:
        NotDoneError: it could not be done; everything is then as it was.
    """
    require_committed()
    versions = newest()
    if versions is None:
        print("this service has the newest release of its template")
        return None
    before, after = versions
    branch = branch_for(after)
    if branch in elsewhere or git("branch", "--list", branch):
        print(f"proposed already: the branch {branch}")
        return None
    git("add", "--update", "--", ".")  # changes nothing, and fails where another git is at work
    if "/" in os.environ.get("UV", ""):
        os.environ["UV"] = str(Path(os.environ["UV"]).absolute())
    with scratch_worktree() as there, chdir(there):
        proposal = proposed(branch, before, after)
        commit(proposal.title, proposal.page())
        made = head()
    git("branch", "--no-track", branch, made)
    PAGE.parent.mkdir(exist_ok=True)
    PAGE.write_text(proposal.page(), encoding="utf-8")
    return proposal


def proposed(branch: str, before: str, after: str) -> Proposal:
    """Update what is checked out, stage all of it, and say what that means.

    Raises:
        NotDoneError: Copier failed.
    """
    seen = updated(Path(), f"updating from {before} to {after}")
    lock = "" if "pyproject.toml" in seen.conflicts else locked()
    git("add", "--all", ".")
    changed = tuple(_paths("diff", "--name-only", "--relative", "--cached", "-z"))
    return Proposal(**vars(seen) | {"changed": changed}, branch=branch, before=before, after=after, lock=lock)


def _paths(*arguments: str) -> list[str]:
    return sorted({path for path in git(*arguments).split("\0") if path})


def locked() -> str:
    """Bring the lock up to date, where git holds one; what uv said if it could not."""
    if not git("ls-files", "uv.lock"):
        return ""
    done = subprocess.run([os.environ.get("UV") or "uv", "lock"], capture_output=True, text=True, check=False)
    return done.stderr.strip().splitlines()[-1].strip() if done.returncode else ""


def identity() -> tuple[str, ...]:
    """Options that say who commits, where git does not know it."""
    try:
        return () if git("config", "user.name") and git("config", "user.email") else IDENTITY
    except subprocess.CalledProcessError:
        return IDENTITY


def commit(*messages: str) -> None:
    """Commit all that is staged of this folder."""
    words = [word for message in messages for word in ("--message", message)]
    git(*NO_HOOKS, *identity(), "commit", "--quiet", "--no-verify", *words, "--", ".")


def main() -> int:
    """Propose, and say what came of it."""
    proposal = propose()
    if proposal is None:
        return 0
    for path in proposal.conflicts:
        print(f"conflict: {path}", file=sys.stderr)
    for words in proposal.losses:
        print(f"LOST: {words}", file=sys.stderr)
    if proposal.lock:
        print(f"uv.lock: {proposal.lock}", file=sys.stderr)
    print(f"proposed: the branch {proposal.branch}, {len(proposal.changed)} files; {PAGE} says which")
    return 0 if proposal.is_clean else 1


if __name__ == "__main__":
    sys.exit(ended(main))
