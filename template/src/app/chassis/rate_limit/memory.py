"""Counts in this process, as many callers as fit. May import counting."""

from time import monotonic_ns

from app.chassis.rate_limit.counting import Limits, Taken

__all__ = ["MemoryStore"]

_KEYS = 50_000


class MemoryStore:
    """Two generations of keys: when the young are many, the old ones, untouched since, are forgotten at once."""

    def __init__(self, keys: int = _KEYS) -> None:
        self._keys = keys
        self._young: dict[str, list[int]] = {}
        self._old: dict[str, list[int]] = {}

    async def take(self, key: str, limits: Limits, now: int | None = None) -> Taken:
        """See `Store`."""
        if now is None:
            now = monotonic_ns() // 1_000_000
        state = self._young.get(key) or self._state(key, len(limits), now)
        is_allowed, place = True, 0
        counts: list[int] = []
        for count, milliseconds in limits:
            elapsed, before, current = now - state[place], state[place + 1], state[place + 2]
            if elapsed < 0:
                elapsed = 0
            elif elapsed >= 2 * milliseconds:
                elapsed = before = current = 0
            elif elapsed >= milliseconds:
                elapsed, before, current = elapsed - milliseconds, current, 0
            if current + before * (milliseconds - elapsed - 1) // milliseconds >= count:
                is_allowed = False
            counts += elapsed, before, current
            place += 3
        if is_allowed:
            for place in range(0, len(counts), 3):
                counts[place + 2] += 1
                begun = max(state[place], now - counts[place])  # a clock that was set back begins no window anew
                state[place : place + 3] = begun, counts[place + 1], counts[place + 2]
        return is_allowed, counts

    async def close(self) -> None:
        """Nothing to let go of."""

    def _state(self, key: str, windows: int, now: int) -> list[int]:
        if len(self._young) >= self._keys:
            self._old, self._young = self._young, {}
        state = self._young[key] = self._old.pop(key, []) or [now, 0, 0] * windows
        return state
