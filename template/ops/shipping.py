"""Adds to a note what was shipped, and writes CHANGELOG.md. Standard library only."""

import re
import tomllib
from pathlib import Path

from deploys import Deploy, deploys
from measure import Measure, milliseconds, percent
from notes import Note, RefusedError, notes
from records import text_of
from repository import git_or

CHANGELOG = Path("CHANGELOG.md")
BEGIN, END = "<!-- changes: written by make shipped -->", "<!-- end of changes -->"


def git(*arguments: str) -> str:
    """What git prints, without the line's end; RefusedError says why it failed."""
    return git_or(RefusedError, *arguments).strip()


def shipped(note: Note) -> None:
    """Add the machine's part to a note.

    Raises:
        RefusedError: it has gaps, is not committed, was shipped already, its deployment is no recorded success, or
            CHANGELOG.md cannot take it.
    """
    _changelog()
    if note.is_shipped:
        raise RefusedError(f"{note.path}: is shipped already; expected one that is not")
    if gaps := note.gaps():
        raise RefusedError("\n".join(gaps))
    if git("rev-parse", "--is-shallow-repository") == "true":
        raise RefusedError("this clone has not all commits; expected them, to tell the files: git fetch --unshallow", 2)
    added = git("log", "--diff-filter=A", "--format=%H", "--", str(note.path)).splitlines()
    if not added:
        raise RefusedError(f"{note.path}: is in no commit; expected it to be committed with the change")
    deploy = _deployment(note, added[-1])
    parents = git("log", "-1", "--format=%P", added[-1]).split()
    since = parents[0] if parents else git("hash-object", "-t", "tree", "/dev/null")
    files = git("diff", "--name-only", "--relative", "-z", since, deploy.commit or "HEAD").split("\0")
    before, after = deploy.before, deploy.after
    lines = {
        "Version": deploy.version,
        "Commit": deploy.commit or git("rev-parse", "HEAD"),
        "Files": ", ".join(f"`{name}`" for name in files if name) or "none",
        "Command": f"`{deploy.command}`",
        "Result": f"{deploy.result}, {deploy.time}, by {deploy.who}",
        "Metric": f"{_measure(before)} -> {_measure(after)}" if before and after else "nothing was measured",
    }
    text = text_of(note.path).rstrip("\n")
    note.path.write_text(
        f"{text}\n\n## Shipped\n" + "".join(f"- **{name}:** {value}\n" for name, value in lines.items()),
        encoding="utf-8",
    )


def _deployment(note: Note, added: str) -> Deploy:
    """The last deployment, if it is a success of the version that holds the note."""
    record = deploys()
    if not record:
        raise RefusedError(
            "no deployment is recorded; expected a line in DEPLOYS_FILE: python3 ops/deploys.py record writes one"
        )
    last = record[-1]
    version = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    if last.result != "ok":
        raise RefusedError(f"the last deployment, {last.time}, is {last.result}; expected ok")
    if last.version != version:
        raise RefusedError(
            f"the last deployment, {last.time}, is of {last.version}; expected {version}, as in pyproject.toml"
        )
    if last.commit and git("merge-base", added, last.commit) != added:
        raise RefusedError(
            f"the last deployment, {last.time}, is of {last.commit[:12]}; expected one that holds {note.path}"
        )
    return last


def _measure(one: Measure) -> str:
    return f"p95 {milliseconds(one.p95)}, {percent(one.failed_share)} failed of {one.requests}"


def _changelog() -> str:
    text = text_of(CHANGELOG) if CHANGELOG.exists() else "# Changelog\n\n"
    if (BEGIN in text) != (END in text) or text.find(BEGIN) > text.find(END):
        raise RefusedError(f"{CHANGELOG}: has not its two marks in order; expected {BEGIN}, then {END}, or none", 2)
    if broken := [gap for note in notes() if note.is_shipped for gap in note.gaps()]:
        raise RefusedError("\n".join(broken))
    return text


def write_changelog() -> None:
    """Write what was shipped between the two marks of CHANGELOG.md, the newest first; the rest stays."""
    text = _changelog()
    newline = "\r\n" if CHANGELOG.exists() and b"\r\n" in CHANGELOG.read_bytes() else "\n"
    by_version: dict[str, list[Note]] = {}
    for note in reversed([note for note in notes() if note.is_shipped]):
        by_version.setdefault(note.fields["Version"], []).append(note)
    written = "".join(
        f"## {version}\n\n"
        + "".join(f"- {note.title}: {note.fields['Noticed']} ([note]({note.path}))\n" for note in of)
        + "\n"
        for version, of in by_version.items()
    )
    if BEGIN not in text:
        released = re.search(r"^## (?!\[?Unreleased)", text, re.MULTILINE | re.IGNORECASE)
        place = released.start() if released else len(text)
        text = "\n".join(filter(None, (text[:place].rstrip("\n") + "\n", f"{BEGIN}\n{END}\n", text[place:])))
    head, _, rest = text.partition(BEGIN)
    CHANGELOG.write_text(f"{head}{BEGIN}\n\n{written}{END}{rest.partition(END)[2]}", encoding="utf-8", newline=newline)
