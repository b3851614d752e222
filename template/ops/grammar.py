"""Reads the pages of the runbook. Standard library only.

A page: `## Name`, fields `- **Owner:** …` (those above the first procedure hold for all), commands in ```console
blocks, and in ```console rollback blocks what takes them back. Of a procedure that changes something, ```console look
blocks only read. In a block `$ ` begins a command and `> ` continues it; the rest is what it prints: `...` stands for
any text in a line or, alone, for any lines; a last `[n]` is the exit status where it is not 0.
"""

import re
from pathlib import Path

from procedures import Command, Input, Procedure
from records import UnreadableError, text_of

FIELDS = ("Owner", "When", "Risk", "Expected", "Rollback")
OTHERS = ("Needs", "Rehearsed", "Input", "Secret")
FOLDERS = (Path("docs/chassis/runbook"), Path("docs/runbook"))
FIELD = re.compile(r"- \*\*(\w+):\*\* *(.*)")
INPUT = re.compile(r"`([A-Z][A-Z0-9_]*)` like `([^`]+)`(?:[:,] *(.*))?")


def pages(folders: tuple[Path, ...] = FOLDERS) -> list[Path]:
    """The pages of the runbook."""
    return [path for folder in folders for path in sorted(folder.glob("*.md")) if path.name != "README.md"]


def read(path: Path) -> list[Procedure]:
    """The procedures of a page, in order.

    Raises:
        UnreadableError: the page does not follow the grammar.
        OSError: it cannot be read.
    """
    return parse(path, text_of(path))


def parse(path: Path, text: str) -> list[Procedure]:
    """The procedures of the text of a page; raises as `read` does."""
    page = _Page(path)
    for number, line in enumerate(text.splitlines(), 1):
        page.take(number, line)
    if page.fence:
        raise UnreadableError(f"{path}:{page.opened}", "a block that never ends; expected a line ``` below it")
    for procedure in page.procedures:
        for command in procedure.commands:
            command.changes = command.changes and procedure.changes  # the risk may stand below the block
    return page.procedures


def read_all(folders: tuple[Path, ...] = FOLDERS) -> list[Procedure]:
    """The procedures of every page, ours and then theirs; a README.md has none. Raises as `read` does."""
    if not any(folder.is_dir() for folder in folders):
        raise UnreadableError(Path.cwd(), f"has no {folders[0]}; expected the service's folder")
    return [one for path in pages(folders) for one in read(path)]


class _Page:
    """A page as far as it is read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.procedures: list[Procedure] = []
        self.common: dict[str, str] = {}
        self.fence, self.opened, self.kind = "", 0, ""
        self.own: set[str] = set()
        self.last = ""  # the field that an indented line continues
        self.above: list[str] = []
        self.block: list[Command] = []

    def take(self, number: int, line: str) -> None:
        """Read one line."""
        if line.startswith("## ") and not self.fence:
            name = line[3:].strip()
            self.procedures.append(Procedure(self.path, number, name, dict(self.common)))
            self.above, self.last, self.own = [], "", set()
        if self.procedures:
            self.procedures[-1].text += line + "\n"
        if self.fence:
            self._in_block(number, line)
        elif re.match(r"\s+(`{3,}|~{3,}) *(?i:console)|(`{3,}|~{3,}) *(?!console)(?i:console)\b", line):
            raise UnreadableError(
                f"{self.path}:{number}", "a block that is none; expected ```console at the line's begin"
            )
        elif found := re.match(r"(`{3,}|~{3,}) *(.*)", line):
            self.fence, self.opened = found[1], number
            self._open(number, found[2].split())
        elif found := FIELD.match(line):
            self._field(number, found[1], found[2].strip())
        elif self.last and line.startswith("  ") and line.strip():
            self._fields[self.last] += " " + line.strip()
        else:
            self.last = ""
            self.above += [line] if self.procedures and not line.startswith("#") else []

    @property
    def _fields(self) -> dict[str, str]:
        return self.procedures[-1].fields if self.procedures else self.common

    def _field(self, number: int, name: str, value: str) -> None:
        if name not in FIELDS + OTHERS:
            known = ", ".join(FIELDS + OTHERS)
            raise UnreadableError(f"{self.path}:{number}", f"a field called {name}; expected one of {known}")
        self.last = name
        if name in {"Input", "Secret"}:
            self._input(number, name, value)
            self.last = ""
            return
        if name in self.own:
            raise UnreadableError(f"{self.path}:{number}", f"a second {name}; expected one in a procedure")
        self.own.add(name)
        self._fields[name] = value

    def _input(self, number: int, name: str, value: str) -> None:
        found = INPUT.match(value)
        if not found or not self.procedures:
            raise UnreadableError(
                f"{self.path}:{number}", f"{name} is not to be read; expected `NAME` like `PATTERN`: what it is"
            )
        try:
            re.compile(found[2])
        except re.error as error:
            raise UnreadableError(f"{self.path}:{number}", f"{found[1]} is like no pattern: {error}") from None
        self.procedures[-1].inputs.append(Input(found[1], found[2], found[3] or "", name == "Secret"))

    def _open(self, number: int, words: list[str]) -> None:
        self.last, self.kind = "", ""
        if words[:1] != ["console"]:
            return
        self.kind = " ".join(words[1:]) or "do"
        if self.kind not in {"do", "look", "rollback"}:
            raise UnreadableError(
                f"{self.path}:{number}",
                f"a block called {self.kind}; expected console, console look or console rollback",
            )
        if not self.procedures:
            raise UnreadableError(
                f"{self.path}:{number}", "commands above the first procedure; expected ## Name before them"
            )
        procedure = self.procedures[-1]
        self.block = procedure.rollback if self.kind == "rollback" else procedure.commands

    def _in_block(self, number: int, line: str) -> None:
        if line.rstrip() == self.fence:
            self.fence, self.above = "", []
        elif not self.kind:
            return
        elif line.startswith(self.fence):
            raise UnreadableError(
                f"{self.path}:{number}", f"a block in that of line {self.opened}, which has no end before it"
            )
        elif line.startswith("$ "):
            self.block.append(Command(number, line[2:], self.kind != "look", "\n".join(self.above).strip()))
            self.above = []
        elif not self.block or self.block[-1].line < self.opened:
            raise UnreadableError(
                f"{self.path}:{number}", "a line above the first command; expected `$ ` and a command"
            )
        elif line.startswith("> ") and not self.block[-1].expected:
            self.block[-1].text += "\n" + line[2:]
        elif found := re.fullmatch(r"\[(\d{1,3})\]", line):
            self.block[-1].status = int(found[1])
        else:
            if self.block[-1].status and line.strip():  # what looked like the exit status was printed
                self.block[-1].expected.append(f"[{self.block[-1].status}]")
                self.block[-1].status = 0
            self.block[-1].expected.append(line)
