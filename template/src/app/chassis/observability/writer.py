"""Writes log lines from one thread of its own: a slow reader of the log never stops the service."""

import os
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from itertools import accumulate

__all__ = ["LineWriter"]

Line = bytes | Callable[[], bytes]

_GATHER_SECONDS = 0.1  # waking the thread for each line would cost more than the whole request
_BATCH = 4096


class LineWriter:
    """Bounded buffer before a file descriptor. `put` never blocks; what does not fit is dropped and counted."""

    def __init__(self, limit: int, descriptor: int = 1) -> None:
        self.dropped = 0  # lines that found the buffer full, and lines that the descriptor did not take
        self.descriptor = descriptor
        self._limit = limit
        self._is_torn = False  # the last thing written is half a line
        self._lines: deque[Line] = deque()
        self._wake = threading.Event()
        self._hurry = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, line: Line, *, is_urgent: bool = False) -> None:
        """Queue one line, which ends with a newline, or what makes it in the writing thread.

        Lines wait up to 0.1 s to be written together, unless one is urgent: a crash may follow it.
        """
        if len(self._lines) >= self._limit:
            self.dropped += 1
            return
        self._lines.append(line)
        if self._thread is None:
            self._start()
        if is_urgent:
            self._hurry.set()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is queued, wait at most `timeout_seconds` for a slow reader, then stop."""
        with self._lock:
            thread, self._thread, self._is_closing = self._thread, None, True
        self._hurry.set()
        self._wake.set()
        if thread is not None:
            thread.join(timeout_seconds)
        self._is_closing = False

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                with suppress(RuntimeError):  # the interpreter is on its way out and starts no thread
                    thread.start()
                    self._thread = thread

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._hurry.wait(_GATHER_SECONDS)
            self._hurry.clear()
            self._wake.clear()
            while self._lines:
                self._write([_made(self._lines.popleft()) for _ in range(min(_BATCH, len(self._lines)))])
            if self._is_closing:
                return

    def _write(self, lines: list[bytes]) -> None:
        batch = b"".join(lines)
        view = memoryview(b"\n" + batch if self._is_torn else batch)
        while view:
            try:
                view = view[os.write(self.descriptor, view) :]
            except BlockingIOError:
                threading.Event().wait(0.01)  # a pipe somebody set non-blocking
            except OSError:  # a full disk may have room later, a closed pipe never
                break
        written = len(batch) - len(view)  # -1: not even the end of a line that was torn before
        self._is_torn = batch[:written][-1:] not in (b"", b"\n")
        # The sum comes first: `put` counts as well, and `+=` would read the count before.
        self.dropped = sum(end > written for end in accumulate(map(len, lines))) + self.dropped


def _made(line: Line) -> bytes:
    if isinstance(line, bytes):
        return line
    try:
        return line()
    except Exception as error:  # noqa: BLE001  # the thread must live
        return f'{{"level":"error","event":"log line not writable: {type(error).__name__}"}}\n'.encode()
