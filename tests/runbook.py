"""Reads and executes a page of the runbook. Standard library only.

A page: `## Name`, fields `- **Owner:** …`, a ```console block, a ```console rollback block; fields above the
first procedure hold for all. `- **Input:** `NAME`, …` is a variable that the operator sets by hand between two blocks;
who rehearses gives its value. In a block `$ ` begins a command, `> ` continues it; the rest is what it prints:
`...` stands for any text in a line or, alone, for any lines; a last `[n]` is the exit status if it is not 0.
"""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

FIELDS = ("Owner", "When", "Risk", "Expected", "Rollback")
TIMEOUT_SECONDS = 120


@dataclass
class Command:
    """One command with its line in the page, the output it should print and its exit status."""

    line: int
    text: str
    expected: list[str] = field(default_factory=list)
    status: int = 0


@dataclass
class Procedure:
    """One `## Name` with its fields, its commands and the commands that take it back."""

    name: str
    fields: dict[str, str]
    commands: list[Command] = field(default_factory=list)
    rollback: list[Command] = field(default_factory=list)

    @property
    def inputs(self) -> list[str]:
        """Names of the variables that the operator sets by hand."""
        return re.findall(r"`([A-Z_]+)`", self.fields.get("Input", ""))


def read(text: str) -> list[Procedure]:
    """The procedures of a page, in order."""
    page = Procedure("", {})
    procedures, block = [page], None
    for number, line in enumerate(text.splitlines(), 1):
        current = procedures[-1]
        if block is None:
            if line.startswith("## "):
                procedures.append(Procedure(line[3:].strip(), dict(page.fields)))
            elif found := re.match(r"- \*\*(\w+):\*\* *(.*)", line):
                current.fields[found[1]] = found[2]
            elif line.startswith("```console"):
                block = current.rollback if line.split()[1:] == ["rollback"] else current.commands
        elif line.startswith("```"):
            block = None
        elif line.startswith("$ "):
            block.append(Command(number, line[2:]))
        elif line.startswith("> ") and not block[-1].expected:
            block[-1].text += "\n" + line[2:]
        elif found := re.fullmatch(r"\[(\d+)\]", line):
            block[-1].status = int(found[1])
        else:
            block[-1].expected.append(line)
    return procedures[1:]


def fits(expected: list[str], output: str) -> bool:
    """Whether `output` is what the page promises."""
    escaped = (re.escape(line).replace(r"\.\.\.", ".*") + r"\n" for line in expected)
    pattern = "".join(r"(?:.*\n)*?" if line == r".*\n" else line for line in escaped)
    return re.fullmatch(pattern, output.rstrip() + "\n" if output.strip() else "") is not None


def run(command: Command, folder: Path, environment: dict[str, str]) -> str | None:
    """Executes a command in `folder`; None if it did what the page says, else a report of what differs."""
    done = subprocess.run(
        ["bash", "-c", command.text], cwd=folder, env=environment, timeout=TIMEOUT_SECONDS, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode == command.status and fits(command.expected, done.stdout):
        return None
    wanted = "\n".join([*command.expected, f"[{command.status}]"])
    got = f"{done.stdout.rstrip()}\n[{done.returncode}]"
    return f"line {command.line}: $ {command.text}\n--- wanted\n{wanted}\n--- got\n{got}"
