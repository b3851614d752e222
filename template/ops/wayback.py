"""Whether an older release can serve the database that a newer one migrated. Standard library only.

Read from the text of the revisions between the two, by revision_text. What they add, the older one does not know and
does not need; what they take away or tighten is unsafe, unless the older release's code never names it.
A release that was taken back may have migrated all the same: which did is noted.
"""

import re
import subprocess
from collections.abc import Iterable
from dataclasses import replace

from proxy import FOLDER as DEPLOYED
from releases import NotDeployedError, git, has
from revision_text import Finding, of_text

FOLDER = "migrations/versions"
MIGRATED = DEPLOYED / "migrated"  # the commits whose revisions may be in the database, a line each


def findings(older: str, newer: str) -> list[Finding]:
    """What stands between two commits, the oldest revision first.

    Raises:
        NotDeployedError: git does not have one of them.
    """
    before = _revisions(older)
    added = sorted(path for path in _revisions(newer) if path not in before)
    found = [one for path in added for one in of_text(path, git("show", f"{newer}:./{path}"))]
    new = {one.creates for one in found if one.creates}
    return [one for one in found if not one.creates and one.refers_to not in new and _is_of(older, one)]


def _revisions(commit: str) -> dict[str, str]:
    """The paths of its revisions, whatever letters they have, and for each what stands in it."""
    lines = git("ls-tree", "-r", "-z", commit, "--", f"{FOLDER}/").split("\0")
    return {path: text for text, _, path in (line.partition("\t") for line in lines) if path.endswith(".py")}


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


def noted() -> list[str]:
    """The commits whose revisions may be in the database."""
    return MIGRATED.read_text("ascii").split() if MIGRATED.exists() else []


def note(commit: str) -> None:
    """Say so of a commit, before it migrates; one that has no other revisions than this is noted by this.

    Raises:
        OSError: it cannot be written.
    """
    kept, known = [], _revisions(commit).items()
    for one in noted():
        try:
            kept += [] if one == commit or known >= _revisions(one).items() else [one]
        except NotDeployedError:  # no longer in git
            kept.append(one)
    partial = MIGRATED.with_suffix(".partial")
    partial.write_text("".join(f"{one}\n" for one in (*kept, commit)), encoding="ascii")
    partial.replace(MIGRATED)


def _taken_back(older: str, newer: str, commits: Iterable[str]) -> list[Finding]:
    """What was migrated by releases that are neither of the two; whether all of it was done is not known."""
    known, found = _revisions(newer).items(), list[Finding]()
    for commit in commits:
        try:
            other = dict(_revisions(commit).items() - known)
            more = [one for one in findings(older, commit) if one.place.rpartition(":")[0] in other]
            found += [
                replace(one, what=f"{one.what}, in a release that was taken back", is_unsafe=None) for one in more
            ]
        except NotDeployedError:
            found.append(Finding(commit, "is no longer in git: what it migrated cannot be read", None))
    return found


def verdict(older: str, newer: str, version: str, migrated: Iterable[str] = ()) -> tuple[bool | None, list[str]]:
    """Whether `version`, at the commit `older`, can serve what `newer` migrated, None if unknown; and why, in lines.

    A commit that git does not have, as in a clone that is shallow, is no reason to be stuck: it is unknown.
    `migrated` are commits that may have migrated, too.

    Raises:
        NotDeployedError: git cannot be asked.
    """
    for commit in (older, newer):
        if not has(commit):
            return None, [f"rollback to {version}: UNKNOWN", f"the commit {commit[:8]} is not in this repository"]
    found = findings(older, newer) + _taken_back(older, newer, migrated)
    lines = [f"{one.place}: {one.what}" for one in found]
    if any(one.is_unsafe for one in found):
        return False, [f"rollback to {version}: UNSAFE", *lines]
    if found:
        return None, [f"rollback to {version}: UNKNOWN", *lines]
    return True, [f"rollback to {version}: safe, no revision between takes away or tightens what it uses"]
