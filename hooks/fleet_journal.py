"""What a fleet's update wrote down as it went: after Ctrl-C or kill -9 the next one goes on from there.

A line of JSON for each step, on the disk before the next begins. Standard library only.
"""

import fcntl
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

NAME = "journal.jsonl"
Row = dict[str, Any]


class BusyError(Exception):
    """Another run writes in the same folder."""


class Journal:
    """The steps of one run: what was asked, which commits were made, which services are done."""

    def __init__(self, folder: Path) -> None:
        """Read what stands there; a last line that was half written does not count."""
        self.path = folder / NAME
        self.asked: Row = {}
        self.made: dict[str, Row] = {}
        self.done: dict[str, Row] = {}
        self._lock = threading.Lock()
        for line in self._lines():
            self._take(line)

    def _lines(self) -> Iterator[Row]:
        text = self.path.read_text("utf-8", "replace") if self.path.is_file() else ""
        for line in text.splitlines():
            try:
                found = json.loads(line)
            except ValueError:
                continue
            if isinstance(found, dict):
                yield found

    def _take(self, line: Row) -> None:
        path = line.get("path", "")
        if "asked" in line:
            self.asked = line["asked"]
        elif "made" in line:
            self.made[path] = line["made"]
        elif "done" in line:
            self.done[path] = line["done"]

    @property
    def waiting(self) -> list[str]:
        """The services that are not done: never begun, interrupted, or kept from it by what can be mended."""
        return [
            path
            for path in self.asked.get("services", [])
            if self.done.get(path, {}).get("state", "failed") == "failed"
        ]

    @property
    def is_unfinished(self) -> bool:
        """Whether it was interrupted: a service has no row at all."""
        return any(path not in self.done for path in self.asked.get("services", []))

    def begin(self, asked: Row) -> None:
        """Begin a run: what stood there goes, but for what `asked` goes on with."""
        lines = [{"asked": asked}]
        kept = set(asked["services"])
        lines += [{"path": path, "made": row} for path, row in self.made.items() if path in kept]
        lines += [{"path": path, "done": row} for path, row in self.done.items() if path in kept]
        partial = self.path.with_suffix(".partial")
        partial.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
        partial.replace(self.path)
        self.asked = asked

    def forget(self) -> None:
        """Begin with nothing of an earlier run."""
        self.made, self.done = {}, {}

    def note(self, path: str, **what: Row) -> None:
        """Write a step down, `made` or `done`."""
        line = {"path": path, **what}
        with self._lock, self.path.open("a", encoding="utf-8") as file:
            file.write(f"\n{json.dumps(line)}\n")  # what was half written before it stays a line of its own
            file.flush()
            os.fsync(file.fileno())
            self._take(line)


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """No other run writes in the folder meanwhile.

    Raises:
        BusyError: one does.
    """
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BusyError(f"another run writes into {folder}; wait for it, or name another by --report") from None
        yield
