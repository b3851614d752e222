"""Reads and executes the console blocks of any page, with the grammar of the runbook. Standard library only."""

import subprocess
from pathlib import Path

from grammar import parse
from matching import fits
from procedures import Command

__all__ = ["Command", "commands", "lessons", "run"]

TIMEOUT_SECONDS = 120


def lessons(text: str) -> dict[str, list[Command]]:
    """The commands below each heading of a page."""
    return {part.name: part.commands for part in parse(Path("page"), text)}


def commands(text: str) -> list[Command]:
    """All commands of a page."""
    return [command for part in lessons(text).values() for command in part]


def run(command: Command, folder: Path, environment: dict[str, str]) -> str | None:
    """Execute a command in `folder`; None if it did what the page says, else a report of what differs."""
    done = subprocess.run(
        ["bash", "-c", command.text], cwd=folder, env=environment, timeout=TIMEOUT_SECONDS, check=False,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    if done.returncode == command.status and fits(command.expected, done.stdout):
        return None
    wanted = "\n".join([*command.expected, f"[{command.status}]"])
    got = f"{done.stdout.rstrip()}\n[{done.returncode}]"
    return f"line {command.line}: $ {command.text}\n--- wanted\n{wanted}\n--- got\n{got}"
