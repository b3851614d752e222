"""Reads where the alerts send an operator. Standard library only, so of the rules no more than names and links."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from records import UnreadableError, text_of

RULES = Path("deploy/monitoring")
KEY = re.compile(r"""[\s{,-]*["']?(alert|runbook|owner)["']?\s*:\s*(.*?)\s*$""")
VALUE = re.compile(r"""("(?:[^"\\]|\\.)*"|'(?:[^']|'')*'|[^"'{}>|&*#\s].*?)\s*(?:\s#.*)?""")
IN_BRACES = re.compile(r"""^[^#"']*[{,]\s*["']?(?:alert|runbook|owner)["']?\s*:""")


@dataclass
class Alert:
    """An alert of a rule file, with the link of its annotation `runbook` and the team of its label `owner`."""

    path: Path
    line: int
    name: str
    runbook: str = ""
    owner: str = ""


def alerts(folder: Path = RULES) -> list[Alert]:
    """The alerts of all rule files, ours and theirs; those below a folder `tests` are about alerts, and have none.

    Raises:
        UnreadableError: a rule is written so that this cannot read it.
        OSError: a file cannot be read.
    """
    paths = [path for path in sorted(folder.rglob("*")) if path.suffix in {".yml", ".yaml"}]
    return [alert for path in paths if "tests" not in path.parts for alert in _alerts(path)]


def _alerts(path: Path) -> Iterator[Alert]:
    found = Alert(path, 0, "")
    for number, line in enumerate(text_of(path).splitlines(), 1):
        if re.match(r"\s*-(?:\s|$)", line):  # the next rule of the list
            yield from [found] if found.name else []
            found = Alert(path, 0, "")
        if IN_BRACES.match(line):
            raise UnreadableError(f"{path}:{number}", "a rule in braces; expected a line for each of its keys")
        if key := KEY.match(line):
            value = VALUE.fullmatch(key[2])
            if not value:
                raise UnreadableError(f"{path}:{number}", f"{key[1]} is {key[2]!r}; expected its text on this line")
            setattr(found, "name" if key[1] == "alert" else key[1], _text(value[1]))
            found.line = number if key[1] == "alert" else found.line
    yield from [found] if found.name else []


def _text(value: str) -> str:
    if value.startswith('"'):
        return re.sub(r"\\(.)", r"\1", value[1:-1])
    return value[1:-1].replace("''", "'") if value.startswith("'") else value
