"""What is wrong with the pages of the runbook, although they can be read. Standard library only."""

import re
import shlex
from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

from alerts import alerts
from grammar import FIELDS, FOLDERS, pages
from procedures import Procedure, anchor
from records import text_of

MAKEFILES = ("Makefile", "ops/make/*.mk", "service.mk")
GROUP = "Operations"
REHEARSED_FOR = timedelta(days=90)
# After these words of a shell a command begins.
KEYWORDS = {"if", "then", "else", "elif", "while", "until", "do", "!", "{", "exec", "time", "sudo", "env"}
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")


def faults(procedures: list[Procedure], today: date | None = None) -> list[str]:
    """Each fault as `file:line: what was found; what is expected`."""
    return [
        *(fault for one in procedures for fault in (*_fields(one), *_rehearsal(one, today or date.today()))),  # noqa: DTZ011 - the operator's day
        *_names(procedures),
        *_targets(procedures),
        *_alerts(procedures),
        *(fault for path in pages(FOLDERS) for fault in _links(path)),
    ]


def _at(one: Procedure, words: str) -> str:
    return f"{one.path}:{one.line}: {one.name!r} {words}"


def _fields(one: Procedure) -> Iterator[str]:
    for name in FIELDS:
        if not one.fields.get(name):
            yield _at(one, f"has no {name}; expected a line - **{name}:** …")
    risk = one.fields.get("Risk", "")
    if risk and not risk.startswith(("reads only", "changes state")):
        yield _at(
            one, f"has the risk {risk.split(':')[0]!r}; expected it to begin with `reads only` or `changes state`"
        )
    if not one.commands:
        yield _at(one, "has no command; expected a block of ```console")
    if one.changes and not one.rollback:
        yield _at(one, "changes state, and no command takes it back; expected a block of ```console rollback")
    text = "\n".join(command.text for command in (*one.commands, *one.rollback))
    for given in one.inputs:
        if not re.search(rf"\$\{{?{given.name}\b", text):
            yield _at(one, f"asks for {given.name}, and no command uses it; expected ${given.name} in one")


def _rehearsal(one: Procedure, today: date) -> Iterator[str]:
    said = one.fields.get("Rehearsed")
    if said is None:
        return
    found = re.match(r"by hand (\d{4}-\d\d-\d\d)\b", said)
    try:
        day = date.fromisoformat(found[1]) if found else None
    except ValueError:
        day = None
    if day is None or day > today:
        yield _at(one, f"was rehearsed {said!r}; expected `by hand` and the day, such as by hand {today}")
    elif today - day > REHEARSED_FOR:
        yield _at(one, f"was rehearsed by hand on {day}; expected not longer than {REHEARSED_FOR.days} days ago")


def _names(procedures: list[Procedure]) -> Iterator[str]:
    anchors: dict[str, Procedure] = {}
    for one in procedures:
        other = anchors.setdefault(anchor(one.name), one)
        if other is not one:
            yield _at(one, f"is the name of {other.path}:{other.line} too; expected another")
    for one in procedures:
        for needed in one.needs:
            if anchor(needed) not in anchors:
                yield _at(one, f"needs {needed!r}, which no page has; expected the name of a procedure")


def _targets(procedures: list[Procedure]) -> Iterator[str]:
    groups = make_targets()
    known = {target for targets in groups.values() for target in targets}
    used = set()
    for one in procedures:
        for command in (*one.commands, *one.rollback):
            for name in called(command.text):
                used.add(name)
                if name not in known:
                    yield f"{one.path}:{command.line}: make {name} is no target; `make help` shows which there are"
    for target in sorted(groups.get(GROUP, set()) - used - {"runbook"}):
        yield f"Makefile: no procedure uses make {target}, one of {GROUP}; expected a page that says when and how"


def called(command: str) -> Iterator[str]:
    """The targets of every `make` that a command of the shell runs here; none where its quotes do not end."""
    lexer = shlex.shlex(command, posix=True, punctuation_chars=";&|()<>`\n")
    lexer.whitespace, lexer.whitespace_split, lexer.commenters = " \t", True, ""
    try:
        words = list(lexer)
    except ValueError:
        return
    while words:
        ends = (place for place, word in enumerate(words) if set(word) <= set(";&|()<>`\n"))
        place = next(ends, len(words))
        simple, words = words[:place], words[place + 1 :]
        while simple and (simple[0] in KEYWORDS or re.match(r"\w+=", simple[0])):
            simple.pop(0)
        if simple[:1] == ["make"] and not {"-C", "-f"} & set(simple):
            # A number is the one of -j, or of a `2>`.
            yield from (word for word in simple[1:] if re.fullmatch(r"[A-Za-z_][\w.-]*", word))


def make_targets() -> dict[str, set[str]]:
    """The targets that `make help` shows, by the heading above them."""
    groups: dict[str, set[str]] = {}
    for path in (path for pattern in MAKEFILES for path in sorted(Path().glob(pattern))):
        group = path.name
        for line in text_of(path).splitlines():
            if line.startswith("##@ "):
                group = line[4:].strip()
            elif found := re.match(r"([A-Za-z0-9_][\w.-]*):(?:[^=].*)?## ", line):
                groups.setdefault(group, set()).add(found[1])
    return groups


def _alerts(procedures: list[Procedure]) -> Iterator[str]:
    places = {(one.path.as_posix(), anchor(one.name)) for one in procedures}
    for alert in alerts():
        place = f"{alert.path}:{alert.line}: {alert.name}"
        if not alert.owner:
            yield f"{place} has no owner; expected a label owner"
        path, _, heading = alert.runbook.partition("#")
        if (path, heading) not in places:
            found = f"leads to {alert.runbook}, where no procedure is" if alert.runbook else "leads nowhere"
            yield f"{place} {found}; expected an annotation runbook such as {FOLDERS[1]}/page.md#name-of-a-procedure"


def _links(path: Path) -> Iterator[str]:
    for number, line in enumerate(text_of(path).splitlines(), 1):
        for link in LINK.findall(line):
            file, _, heading = link.partition("#")
            target = path.parent / file if file else path
            if ":" in file:
                continue
            if not target.exists():
                yield f"{path}:{number}: links to {link}, which is not there; expected a file"
            elif heading and target.suffix == ".md" and heading not in _headings(target):
                yield f"{path}:{number}: links to {link}, and {target.name} has no such heading"


def _headings(path: Path) -> set[str]:
    lines = text_of(path).splitlines()
    return {anchor(line.lstrip("#")) for line in lines if line.startswith("#")}
