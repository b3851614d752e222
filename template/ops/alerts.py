"""Reads where the alerts send an operator. Standard library only, so of the rules no more than names and links."""

import re
from dataclasses import dataclass
from pathlib import Path

RULES = Path("deploy/monitoring")


@dataclass
class Alert:
    """An alert of a rule file, with the link of its annotation `runbook` and the team of its label `owner`."""

    path: Path
    line: int
    name: str
    runbook: str = ""
    owner: str = ""


def alerts(folder: Path = RULES) -> list[Alert]:
    """The alerts of all rule files, ours and theirs; those below a folder `tests` are about alerts, and have none."""
    found: list[Alert] = []
    for path in (path for path in sorted(folder.rglob("*.yml")) if "tests" not in path.parts):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if match := re.match(r"\s*(?:- )?\{?[\"']?alert[\"']?: *[\"']?(\w+)", line):
                found.append(Alert(path, number, match[1]))
            elif found and (match := re.match(r"\s*(runbook|owner): *[\"']?(.*?)[\"']? *$", line)):
                setattr(found[-1], match[1], match[2])
    return found
