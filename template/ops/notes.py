"""The notes of changes as they stand in changes/. Standard library only."""

import re
from dataclasses import dataclass
from pathlib import Path

from records import text_of

FOLDER = Path("changes")
# What a person says, and what is asked for until then.
ASKED = {
    "Reason": "why it is made",
    "Noticed": "where a user notices it",
    "Symptom": "the slow query or the failing command that it mends, or `none`",
    "Assumptions": "what must be true for it to work",
    "Risk": "what may go wrong, for whom",
    "Rollback": "the command that takes it back",
}
FILLED = ("Version", "Commit", "Files", "Command", "Result", "Metric")
NAME = re.compile(r"(\d{4}-\d\d-\d\d)-[a-z0-9]+(?:-[a-z0-9]+)*\.md")
FIELD = re.compile(r"^- \*\*(\w+):\*\*[ \t]*(.*(?:\n  \S.*)*)$", re.MULTILINE)
HINT = re.compile(r"<!--.*?-->", re.DOTALL)


class RefusedError(Exception):
    """What was found, what is expected; `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


@dataclass(frozen=True)
class Note:
    """A note: its title, and its fields without the hints."""

    path: Path
    title: str
    fields: dict[str, str]

    @property
    def is_shipped(self) -> bool:
        """Whether the machine has filled its part."""
        return "Result" in self.fields

    def gaps(self) -> list[str]:
        """What it lacks, each as `file: what; what is expected`."""
        found = []
        if not NAME.fullmatch(self.path.name):
            found.append(f"{self.path}: is named otherwise than its kind; expected changes/2026-11-22-what-changes.md")
        if not self.title:
            found.append(f"{self.path}: has no title; expected a first line # What changes")
        for name in [*ASKED, *(FILLED if self.is_shipped else ())]:
            if not self.fields.get(name):
                hint = ASKED.get(name, "what `make shipped` writes")
                found.append(f"{self.path}: has no {name}; expected {hint}")
        return found


def read(path: Path) -> Note:
    """A note as it stands.

    Raises:
        UnreadableError: it is no text.
        OSError: it cannot be read.
    """
    text = text_of(path)
    title = re.match(r"# (.+)", text)
    fields = {name: " ".join(HINT.sub("", value).split()) for name, value in FIELD.findall(text)}
    return Note(path, title[1].strip() if title else "", fields)


def notes() -> list[Note]:
    """All notes, the oldest first; a README.md is none."""
    return [read(path) for path in sorted(FOLDER.glob("*.md")) if path.name != "README.md"]
