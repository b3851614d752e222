"""What git says of this folder. Standard library and git only."""

import os
import subprocess
from collections.abc import Callable

# For what checks out or commits: a hook of somebody's would stop it half way.
NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")


def git(*arguments: str) -> str:
    """What git prints in this folder, whatever bytes a path has.

    Raises:
        subprocess.CalledProcessError: git failed.
    """
    done = subprocess.run(["git", *arguments], capture_output=True, check=True)
    return done.stdout.decode("utf-8", "surrogateescape")


def here() -> str:
    """The branch that is checked out, or HEAD where none is."""
    return git("branch", "--show-current").strip() or "HEAD"


def head() -> str:
    """The commit that is checked out."""
    return git("rev-parse", "HEAD").strip()


def switch_back(branch: str, start: str) -> None:
    """Check out what `here` and `head` said before."""
    git(*NO_HOOKS, "switch", "--quiet", *(("--detach", start) if branch == "HEAD" else (branch,)))


def unmerged() -> list[str]:
    """The files below this folder that git could not merge."""
    return [path for path in git("diff", "--name-only", "--relative", "--diff-filter=U", "-z").split("\0") if path]


def git_or(refused: Callable[[str, int], Exception], *arguments: str) -> str:
    """What git prints in this folder; where it fails, `refused` is raised with git's words and exit code 2."""
    done = subprocess.run(["git", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise refused(f"git {arguments[0]}: {done.stderr.strip()}", 2)
    return done.stdout
