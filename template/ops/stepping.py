"""Runs the commands of a procedure, compares what they print, and keeps the journal. Standard library only."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from procedures import Command, Procedure, fits
from records import append, now, who

JOURNAL = Path("var/journal.jsonl")
MEMBERS = {"time", "who", "procedure", "page", "part", "command", "inputs", "status", "seconds", "as_expected"}
INTERRUPTED = 130


@dataclass
class Run:
    """One run of a procedure: `inputs` are its variables, `ask` answers y, s or q; without it all is yes."""

    procedure: Procedure
    inputs: Mapping[str, str]
    ask: Callable[[str], str] | None = None
    seconds: float | None = None  # the most a step may take; a person has Ctrl-C
    has_changed: bool = field(default=False, init=False)

    def do(self) -> bool:
        """Run the commands until one does not do what the page says; whether all did."""
        for number, command in enumerate(self.procedure.commands, 1):
            answer = self._may(f"step {number} of {len(self.procedure.commands)}", command)
            if answer == "q":
                return False
            if answer == "y":
                self.has_changed |= command.changes
                if not self._step("do", command):
                    return False
        return True

    def take_back(self) -> bool:
        """Run every command of the rollback, those behind a bad one too; whether all did what the page says."""
        is_good = True
        for number, command in enumerate(self.procedure.rollback, 1):
            answer = self._may(f"rollback {number} of {len(self.procedure.rollback)}", command)
            if answer == "q":
                return False
            if answer == "y":
                is_good = self._step("rollback", command) and is_good
        return is_good

    def _may(self, step: str, command: Command) -> str:
        if command.above:
            print(f"\n{command.above}")
        print(f"\n{step}: {command.text}", flush=True)
        return self.ask("  run it? [y]es, [s]kip, [q]uit: ") if self.ask and command.changes else "y"

    def _step(self, part: str, command: Command) -> bool:
        begun = time.monotonic()
        status, output = self._run(command.text)
        is_good = status == command.status and fits(command.expected, output)
        if not is_good:
            wanted = indented("\n".join(command.expected), command.status)
            print(f"not what {self.procedure.path}:{command.line} says; expected\n{wanted}")
            print(f"found\n{indented(self._masked(output), status)}", flush=True)
        hidden = {one.name for one in self.procedure.inputs if one.is_secret}
        note({
            "time": now(),
            "who": who(),
            "procedure": self.procedure.name,
            "page": f"{self.procedure.path}:{command.line}",
            "part": part,
            "command": command.text,
            "inputs": {name: "[hidden]" if name in hidden else value for name, value in self.inputs.items()},
            "status": status,
            "seconds": round(time.monotonic() - begun, 1),
            "as_expected": is_good,
        })  # fmt: skip
        return is_good

    def _run(self, text: str) -> tuple[int, str]:
        """Run it in a shell of its own and show what it prints as it comes; returns status and output."""
        lines: list[str] = []
        process = subprocess.Popen(
            ["sh", "-c", text], env={**os.environ, **self.inputs}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
        )  # fmt: skip
        late = threading.Timer(self.seconds or threading.TIMEOUT_MAX, os.killpg, [process.pid, signal.SIGKILL])
        late.daemon = True
        late.start()
        try:
            for line in process.stdout or ():
                print(f"  {self._masked(line)}", end="" if line.endswith("\n") else "\n", flush=True)
                lines.append(line)
            status = process.wait()
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGINT)  # what it left running in the background does not hear it
            status = process.wait() and INTERRUPTED
        late.cancel()
        return status, "".join(lines)

    def _masked(self, text: str) -> str:
        for one in self.procedure.inputs:
            if one.is_secret and self.inputs.get(one.name):
                text = text.replace(self.inputs[one.name], "[hidden]")
        return text


def indented(text: str, status: int) -> str:
    """What a command printed and its exit status, as the pages show it."""
    return "".join(f"    {line}\n" for line in [*text.splitlines(), f"[{status}]"]).rstrip("\n")


def note(members: dict[str, object]) -> None:
    """Add a line to the journal. A disk that is full stops no procedure: it is told, and that is all."""
    try:
        append(JOURNAL, members)
    except OSError as error:
        print(f"the journal {JOURNAL} was not written: {error}", file=sys.stderr)
