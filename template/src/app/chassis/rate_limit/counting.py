"""The one way of counting: a window that slides, begun by a caller's first request. Imports nothing of the chassis.

Of each window three numbers are kept: when it began, how many came in the one before, how many in this. Those before
count with the share of their window that the last `milliseconds` still see, as if they had come evenly. A window begins
with a request, never with a full minute of the clock, so no moment is better than another.
"""

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Limits", "Store", "StoreDownError", "Taken", "left_of", "wait_of"]

Limits = Sequence[tuple[int, int]]
"""(count, milliseconds) of each window."""

Taken = tuple[bool, Sequence[int]]
"""Whether the request is let in, then of each window: milliseconds since it began, counts before and now."""


class StoreDownError(Exception):
    """Nobody knows the counts now."""


class Store(Protocol):
    """Where the counts are."""

    async def take(self, key: str, limits: Limits, now: int | None = None) -> Taken:
        """Count one request in every window, or in none if one of them says no; `now` in milliseconds is for tests.

        Raises:
            StoreDownError: it did not answer.
        """

    async def close(self) -> None:
        """Let go of it."""


def left_of(count: int, milliseconds: int, elapsed: int, before: int, now: int) -> int:
    """How many more the window lets in at this moment; the request that began it leaves after its full length."""
    return max(0, count - now - before * (milliseconds - elapsed - 1) // milliseconds)


def wait_of(count: int, milliseconds: int, elapsed: int, before: int, now: int) -> int:
    """Milliseconds until the window that lets no more in lets one in again, if none comes meanwhile."""
    if now < count:
        return milliseconds - 1 - ((count - now) * milliseconds - 1) // before - elapsed
    return milliseconds - elapsed + max(0, milliseconds - 1 - (count * milliseconds - 1) // now)
