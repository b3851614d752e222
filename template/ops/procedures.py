"""What a page of the runbook holds: procedures, their inputs, their commands. Standard library only."""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass
class Command:
    """One command: its line in the page, the text that stands above it, what it should print, its exit status."""

    line: int
    text: str
    changes: bool
    above: str = ""
    expected: list[str] = field(default_factory=list)
    status: int = 0


@dataclass
class Input:
    """A variable of the commands that the operator gives; `pattern` must match all of it."""

    name: str
    pattern: str
    meaning: str
    is_secret: bool


@dataclass
class Procedure:
    """One `## Name` of a page."""

    path: Path
    line: int
    name: str
    fields: dict[str, str]
    inputs: list[Input] = field(default_factory=list)
    commands: list[Command] = field(default_factory=list)
    rollback: list[Command] = field(default_factory=list)
    text: str = ""

    @property
    def changes(self) -> bool:
        """Whether it changes something."""
        return not self.fields.get("Risk", "").startswith("reads only")

    @property
    def needs(self) -> list[str]:
        """Names of the procedures that must have been done before."""
        return [name.strip() for name in self.fields.get("Needs", "").split(",") if name.strip()]


def anchor(heading: str) -> str:
    """The anchor of a heading, as the sites that show Markdown make it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")
