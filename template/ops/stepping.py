"""Runs the commands of a procedure, compares what they print, and keeps the journal. Standard library only."""

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from asking import RefusedError, given
from interrupts import signals_held, status_of
from matching import fits
from procedures import Command, Input, Procedure
from programs import environment_of_operator
from records import append, now, who
from telling import say

JOURNAL = Path("var/journal.jsonl")
MEMBERS = {"time", "who", "procedure", "page", "part", "command", "inputs", "status", "seconds", "as_expected"}
INTERRUPTED = 130
LAST_WORDS_SECONDS = 2.0  # to read what an ended command has printed, if others keep its output open


@dataclass
class Run:
    """One run of a procedure: `inputs` are its variables, `ask` answers y, s or q; without it all is yes."""

    procedure: Procedure
    inputs: dict[str, str]
    ask: Callable[[str], str] | None = None
    later: list[Input] = field(default_factory=list)  # what is asked for when a command wants it
    seconds: float | None = None  # the most a step may take; a person has Ctrl-C
    came: list[int] = field(default_factory=list)  # signals: behind one no step is begun but a rollback's
    has_begun: bool = field(default=False, init=False)
    has_changed: bool = field(default=False, init=False)
    is_alone: bool = field(default=False, init=False)  # whoever was asked is gone
    skipped: int = field(default=0, init=False)

    def do(self) -> bool:
        """Run the commands until one does not do what the page says; whether all did."""
        self.has_begun = True
        return all(self._each("do", "step", self.procedure.commands))

    def take_back(self) -> bool:
        """Run every command of the rollback, those behind a bad one too; whether all did what the page says."""
        return all(list(self._each("rollback", "rollback", self.procedure.rollback)))

    def _each(self, part: str, step: str, commands: list[Command]) -> Iterator[bool]:
        """Whether each that is run is good, one after the other; an answer of q ends them and is not.

        A rollback goes on behind a command that lacks its input, and when whoever was asked is gone.
        """
        for number, command in enumerate(commands, 1):
            if self.came and part == "do":
                yield False
                return
            answer = self._answer(part, f"{step} {number} of {len(commands)}", command)
            if answer in {"q", "none"}:
                yield False
                if answer == "none" and part == "rollback":
                    continue
                return
            self.skipped += answer == "s"
            if answer == "y":
                self.has_changed |= command.changes
                yield self._safely(part, command)

    def expect_to_be_left(self) -> None:
        """After SIGTERM or SIGHUP whoever was asked is gone, unless they are ignored, as behind nohup."""
        for name in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(name) is not signal.SIG_IGN:
                signal.signal(name, self._leave_alone)

    def _leave_alone(self, *_: object) -> None:
        """The step ends, and the rollback asks nothing."""
        self.ask, self.is_alone = None, True
        for name in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(name, signal.SIG_IGN)
        raise KeyboardInterrupt

    def _safely(self, part: str, command: Command) -> bool:
        """A step in which nothing that happens to this program is lost: it failed, and the rollback can follow."""
        try:
            return self._step(part, command)
        except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # whatever it is, the operator must not be left alone
            say(f"not finished: {type(error).__name__}: {error}")
            return False

    def _answer(self, part: str, step: str, command: Command) -> str:
        """What is to be done: y, s, q, or none where its input is not given; no signal ends a rollback here."""
        while True:
            try:
                answer = self._may(step, command)
            except KeyboardInterrupt:
                if part != "rollback":
                    raise
                continue
            return "y" if answer == "q" and part == "rollback" and self.is_alone else answer

    def _may(self, step: str, command: Command) -> str:
        if command.above:
            say(f"\n{command.above}")
        say(f"\n{step}: {command.text}")
        for one in [one for one in self.later if re.search(rf"\$\{{?{one.name}\b", command.text)]:
            try:
                self.inputs |= given([one], may_ask=not self.is_alone)
            except RefusedError as error:
                say(str(error))
                return "none"
            self.later.remove(one)
        return self.ask("  run it? [y]es, [s]kip, [q]uit: ") if self.ask and command.changes else "y"

    def _step(self, part: str, command: Command) -> bool:
        begun = time.monotonic()
        status, output = self._run(command.text)
        is_good = status == command.status and status != INTERRUPTED and fits(command.expected, output)
        if not is_good:
            wanted = indented("\n".join(command.expected), command.status)
            say(f"not what {self.procedure.path}:{command.line} says; expected\n{wanted}")
            say(f"found\n{indented(self._masked(output), status)}")
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

        def listen() -> None:
            for line in process.stdout or ():
                say("  " + self._masked(line).removesuffix("\n"))
                lines.append(line)

        with signals_held() as came:
            process = subprocess.Popen(
                ["sh", "-c", text], env={**environment_of_operator(), **self.inputs}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace", start_new_session=True,
            )  # fmt: skip
            # What it leaves in the background may hold its output open for ever.
            listener = threading.Thread(target=listen, daemon=True)
            listener.start()
            status = status_of(process, self.seconds, came)
        listener.join(LAST_WORDS_SECONDS)
        return INTERRUPTED if came else status, "".join(lines)

    def _masked(self, text: str) -> str:
        secrets = [self.inputs.get(one.name, "") for one in self.procedure.inputs if one.is_secret]
        for secret in sorted(filter(None, secrets), key=len, reverse=True):  # one may be a part of another
            text = text.replace(secret, "[hidden]")
        return text


def indented(text: str, status: int) -> str:
    """What a command printed and its exit status, as the pages show it."""
    return "".join(f"    {line}\n" for line in [*text.splitlines(), f"[{status}]"]).rstrip("\n")


def note(members: dict[str, object]) -> None:
    """Add a line to the journal. A disk that is full stops no procedure: it is told, and that is all."""
    try:
        append(JOURNAL, members)
    except (OSError, ValueError) as error:
        with suppress(OSError, ValueError):
            print(f"the journal {JOURNAL} was not written: {error}", file=sys.stderr)
