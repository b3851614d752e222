"""Commits the update to the template's newest release in a scratch worktree; for who updates many services at once.

Usage: uv tool run --from 'copier>=9.19.1,<10' python ops/update_scratch.py [--anyway]    --anyway: also what loses work
No branch is made or moved: the worktree must be detached. What came of it is one line of JSON, null if there is nothing
newer. Its `commit` is empty where work would be lost, and the branch's where that `is_there`. Files that conflict are
committed with their markers. Needs Copier.
Exit codes: 0 a commit, or nothing to do; 1 conflicts, losses, or no lock that fits; 2 not done.
"""

import argparse
import json
import sys

from clean_tree import require_committed
from copies import NotDoneError
from rendering import ended
from repository import git, head, here
from update_proposal import branch_for, commit, newest, proposed


def update(*, anyway: bool) -> int:
    """Update and commit, and say what came of it; returns the exit code.

    Raises:
        NotDoneError: it could not be done.
    """
    require_committed()
    if here() != "HEAD":
        raise NotDoneError("a branch is checked out; expected a detached worktree: git worktree add --detach", 2)
    versions = newest()
    if versions is None:
        print("null")
        return 0
    branch = branch_for(versions[1])
    if there := git("for-each-ref", "--format=%(objectname)", f"refs/heads/{branch}").strip():
        print(json.dumps({"branch": branch, "after": versions[1], "commit": there, "is_there": True}))
        return 0
    proposal = proposed(branch, *versions)
    made = ""
    if anyway or not proposal.losses:
        commit(proposal.title, proposal.page())
        made = head()
    print(json.dumps({**vars(proposal), "commit": made, "is_there": False}))
    return 0 if proposal.is_clean else 1


def main() -> int:
    """Do it, as the command line says."""
    parser = argparse.ArgumentParser(description="Commit the update to the newest release in a scratch worktree.")
    parser.add_argument("--anyway", action="store_true", help="also where work of the team's would be lost")
    options = parser.parse_args()
    return update(anyway=options.anyway)


if __name__ == "__main__":
    sys.exit(ended(main))
