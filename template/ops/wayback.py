"""Whether an older release can serve the database that a newer one migrated. Standard library only.

Read from the text of the revisions between the two, by revision_text. What they add, the older one does not know and
does not need; what they take away or tighten is unsafe, unless the older release's code never names it.
"""

import re
import subprocess

from releases import NotDeployedError, git
from revision_text import Finding, of_text

FOLDER = "migrations/versions"


def findings(older: str, newer: str) -> list[Finding]:
    """What stands between two commits, the oldest revision first.

    Raises:
        NotDeployedError: git does not have one of them.
    """
    before = set(_revisions(older))
    added = sorted(path for path in _revisions(newer) if path not in before)
    found = [one for path in added for one in of_text(path, git("show", f"{newer}:./{path}"))]
    new = {one.creates for one in found if one.creates}
    return [one for one in found if not one.creates and one.refers_to not in new and _is_of(older, one)]


def _revisions(commit: str) -> list[str]:
    """The paths of its revisions, whatever letters they have."""
    paths = git("ls-tree", "-r", "-z", "--name-only", commit, "--", f"{FOLDER}/").split("\0")
    return [path for path in paths if path.endswith(".py")]


def _is_of(commit: str, finding: Finding) -> bool:
    """Whether the older release's code names what the finding is about; also in capitals, or as a class has it.

    Raises:
        NotDeployedError: git cannot tell.
    """
    if finding.named is None:
        return True
    pattern = "_?".join(map(re.escape, finding.named.replace("_", "")))
    command = ["git", "grep", "--quiet", "--ignore-case", "--word-regexp", "-E", "-e", pattern, commit, "--", "src"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode > 1:
        raise NotDeployedError(f"git grep: {done.stderr.strip()}", 2)
    return done.returncode == 0


def verdict(older: str, newer: str, version: str) -> tuple[bool | None, list[str]]:
    """Whether `version`, at the commit `older`, can serve what `newer` migrated, None if unknown; and why, in lines.

    Raises:
        NotDeployedError: git does not have one of them.
    """
    found = findings(older, newer)
    lines = [f"{one.place}: {one.what}" for one in found]
    if any(one.is_unsafe for one in found):
        return False, [f"rollback to {version}: UNSAFE", *lines]
    if found:
        return None, [f"rollback to {version}: UNKNOWN", *lines]
    return True, [f"rollback to {version}: safe, no revision between takes away or tightens what it uses"]
