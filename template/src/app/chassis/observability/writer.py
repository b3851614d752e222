"""Writes log lines from one thread of its own: a slow reader of the log never stops the service."""

import os
import threading
from collections import deque

__all__ = ["LineWriter"]


class LineWriter:
    """Bounded buffer before a file descriptor. `put` never blocks; what does not fit is dropped and counted."""

    def __init__(self, limit: int, descriptor: int = 2) -> None:
        self.dropped = 0
        self.descriptor = descriptor
        self._limit = limit
        self._lines: deque[bytes] = deque()
        self._wake = threading.Event()
        self._is_closing = False
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def put(self, line: bytes) -> None:
        """Queue one line, which ends with a newline."""
        if len(self._lines) >= self._limit:
            self.dropped += 1
            return
        self._lines.append(line)
        if self._thread is None:
            self._start()
        if not self._wake.is_set():
            self._wake.set()

    def close(self, timeout_seconds: float = 5.0) -> None:
        """Write what is queued, wait at most `timeout_seconds` for a slow reader, then stop."""
        with self._lock:
            thread, self._thread, self._is_closing = self._thread, None, True
        self._wake.set()
        if thread is not None:
            thread.join(timeout_seconds)
        self._is_closing = False

    def _start(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            while self._lines:
                batch = b"".join(self._lines.popleft() for _ in range(min(256, len(self._lines))))
                if not self._write(batch):
                    return
            if self._is_closing:
                return

    def _write(self, batch: bytes) -> bool:
        view = memoryview(batch)
        while view:
            try:
                view = view[os.write(self.descriptor, view) :]
            except BlockingIOError:
                threading.Event().wait(0.01)  # a pipe somebody set non-blocking
            except OSError:
                return False  # nobody reads any more; there is nowhere to complain
        return True
