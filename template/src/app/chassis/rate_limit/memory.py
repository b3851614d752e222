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
        is_allowed, place, counts, after = True, 0, list[int](), list[int]()
        for count, milliseconds in limits:
            begun, before, current = state[place], state[place + 1], state[place + 2]
            elapsed = now - begun
            if elapsed >= 2 * milliseconds:
                begun, elapsed, before, current = now, 0, 0, 0
            elif elapsed >= milliseconds:
                begun, elapsed, before, current = begun + milliseconds, elapsed - milliseconds, current, 0
            elif elapsed < 0:
                elapsed = 0  # a clock that was set back begins no window anew
            if current + before * (milliseconds - elapsed - 1) // milliseconds >= count:
                is_allowed = False
            counts += elapsed, before, current
            after += begun, before, current + 1
            place += 3
        if is_allowed:
            state[:] = after
            counts[2::3] = after[2::3]
        return is_allowed, counts

    async def close(self) -> None:
        """Nothing to let go of."""

    def _state(self, key: str, windows: int, now: int) -> list[int]:
        if len(self._young) >= self._keys:
            self._old, self._young = self._young, {}
        state = self._young[key] = self._old.pop(key, []) or [now, 0, 0] * windows
        return state
