"""Starts the programs of a fleet's run, several at once, and ends all of them when the run is interrupted.

Standard library only.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

END_SECONDS = 5
# git would otherwise take the folder of whoever calls, and make its flags and its jobs.
_CALLERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
_CALLERS += ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "GIT_GRAFT_FILE", "GIT_NAMESPACE", "GIT_SHALLOW_FILE")
_CALLERS += ("MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS", "PYTHONPATH")


class EndedError(Exception):
    """The run was interrupted; what was under way is not done."""


class TookTooLongError(Exception):
    """A program did not end within its time, and was ended; `out` is what it printed until then."""

    out = ""


@dataclass(frozen=True)
class Done:
    """What a program ended with and printed."""

    code: int
    out: str
    err: str


def base_environment() -> dict[str, str]:
    """The environment of whoever started this, without what `uv run` and make put into it; git may not ask."""
    kept = {name: value for name, value in os.environ.items() if name not in _CALLERS}
    own = Path(sys.prefix) / "bin"
    if kept.get("VIRTUAL_ENV") == sys.prefix:
        del kept["VIRTUAL_ENV"]
        kept["PATH"] = os.pathsep.join(one for one in kept.get("PATH", "").split(os.pathsep) if Path(one) != own)
    return kept | {"GIT_TERMINAL_PROMPT": "0", "UV": _uv()}


def _uv() -> str:
    beside = Path(sys.executable).with_name("uv")
    return os.environ.get("UV") or shutil.which("uv") or (str(beside) if beside.is_file() else "uv")


class Programs:
    """Programs that run now, each in a session of its own, so that Ctrl-C reaches this process alone."""

    def __init__(self, timeout_seconds: float) -> None:
        """`timeout_seconds` is what one program may take."""
        self._timeout_seconds = timeout_seconds
        self._running: set[subprocess.Popen] = set()
        self._lock = threading.Lock()
        self._is_ended = False

    def run(self, command: list[str], folder: Path, environment: Mapping[str, str], log: Path | None = None) -> Done:
        """Run a program to its end; with `log` both streams go there, and the answer has its text as `out`.

        Raises:
            EndedError: the run was interrupted.
            TookTooLongError: it took longer than it may.
            OSError: it cannot be started.
        """
        # Files and no pipes: whatever it leaves running could hold a pipe open for ever.
        with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
            process = self._start(command, folder, environment, out, out if log else err)
            late = None
            try:
                process.wait(self._timeout_seconds)
            except subprocess.TimeoutExpired:
                _end([process])
                late = TookTooLongError(f"{command[0]} took longer than {self._timeout_seconds:g} seconds")
            finally:
                with self._lock:
                    self._running.discard(process)
            if self._is_ended:
                raise EndedError
            _end_rest(process.pid)
            texts = [_read(file) for file in (out, err)]
        if log:
            with log.open("a", encoding="utf-8") as file:
                file.write(texts[0])
        if late:
            late.out = texts[0]
            raise late
        return Done(process.returncode, *texts)

    def _start(
        self, command: list[str], folder: Path, environment: Mapping[str, str], *streams: BinaryIO
    ) -> subprocess.Popen:
        with self._lock:
            if self._is_ended:
                raise EndedError
            process = subprocess.Popen(
                command, cwd=folder, env=dict(environment), stdin=subprocess.DEVNULL, stdout=streams[0],
                stderr=streams[1], start_new_session=True,
            )  # fmt: skip
            self._running.add(process)
            return process

    def end(self) -> None:
        """End all of them; no other begins."""
        with self._lock:
            self._is_ended = True
            running = list(self._running)
        _end(running)


def _end(processes: list[subprocess.Popen]) -> None:
    """End them as Ctrl-C does, so that they tidy up; then as kill does, at last as kill -9, and whatever they left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL):
        for process in processes:
            if process.poll() is None or number is signal.SIGKILL:
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(process.pid, number)
        until = time.monotonic() + END_SECONDS
        for process in processes:
            with suppress(subprocess.TimeoutExpired):
                process.wait(max(0.0, until - time.monotonic()))


def _end_rest(group: int) -> None:
    """End what a program began and left running, for its folder goes."""
    until = time.monotonic() + END_SECONDS
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGTERM)
        while time.monotonic() < until:
            time.sleep(0.02)
            os.killpg(group, 0)
        os.killpg(group, signal.SIGKILL)


def _read(file: BinaryIO) -> str:
    file.seek(0)
    return file.read().decode("utf-8", "replace")
