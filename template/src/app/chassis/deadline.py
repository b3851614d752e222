"""When a request must be answered. One timer for all of them. Imports nothing of the chassis."""

import asyncio
from time import perf_counter
from typing import Any

__all__ = ["Deadline", "Deadlines"]


class Deadline:
    """The end of one request's time. `has_struck`: its task was cancelled for that reason."""

    __slots__ = ("_all", "has_struck", "task", "until")

    def __init__(self, every: dict["Deadline", None], task: asyncio.Task[Any], until: float) -> None:
        self.task, self.until, self.has_struck = task, until, False
        self._all = every
        every[self] = None

    def disarm(self) -> None:
        """From now on it does not strike."""
        self._all.pop(self, None)


class Deadlines:
    """All open deadlines, oldest first: every request gets the same time, so one timer, for the oldest, is enough."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._open: dict[Deadline, None] = {}
        self._timer: asyncio.TimerHandle | None = None

    def start(self, now: float) -> Deadline:
        """Deadline of the current task, for a request that began at `now` of `perf_counter`."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101  # a request runs in a task
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._seconds, self._strike)
        return Deadline(self._open, task, now + self._seconds)

    def _strike(self) -> None:
        self._timer = None
        now = perf_counter()
        for deadline in list(self._open):
            if deadline.until > now:
                self._timer = asyncio.get_running_loop().call_later(deadline.until - now, self._strike)
                return
            deadline.has_struck = True
            deadline.disarm()
            deadline.task.cancel()
