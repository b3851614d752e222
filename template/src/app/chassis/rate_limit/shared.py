"""Counts that all processes share, in Redis or Valkey. May import counting, redis."""

import asyncio
import hashlib
import logging
from functools import lru_cache
from importlib import resources
from time import monotonic
from typing import Any

from redis.exceptions import NoScriptError, RedisError

from app.chassis.rate_limit.counting import Limits, StoreDownError, Taken
from app.chassis.redis.client import connect

__all__ = ["SharedStore"]

_log = logging.getLogger(__name__)
_SCRIPT = (resources.files("app.chassis.rate_limit") / "take.lua").read_text(encoding="utf-8")
_DIGEST = hashlib.sha1(_SCRIPT.encode(), usedforsecurity=False).hexdigest()  # by this name Redis remembers a script
_PAUSE_SECONDS = 1.0


class SharedStore:
    """One round trip a decision. After a failure one request in a second tries again; the others need not wait."""

    def __init__(self, url: str, timeout_seconds: float) -> None:
        self._pool: Any = connect(url, timeout_seconds).connection_pool
        self._timeout = timeout_seconds
        self._outages = 0
        self._down_since = 0.0
        self._again_at = 0.0

    async def take(self, key: str, limits: Limits, now: int | None = None) -> Taken:
        """See `Store`."""
        is_down, outages = bool(self._down_since), self._outages
        if is_down:
            if monotonic() < self._again_at:
                raise StoreDownError
            self._again_at = monotonic() + self._timeout + _PAUSE_SECONDS
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._ask(key, limits, now or 0)
        except (RedisError, OSError, TimeoutError) as error:
            if outages == self._outages:
                self._failed(error)
            raise StoreDownError from error
        if is_down and self._down_since:  # the answer to a question that is older says nothing of now
            _log.info(
                "rate limit store answers again", extra={"down_seconds": round(monotonic() - self._down_since, 3)}
            )
            self._down_since, self._outages = 0.0, self._outages + 1
        return answer[0] == 1, answer[1:]

    async def close(self) -> None:
        """Close the connections."""
        await self._pool.aclose()

    async def _ask(self, key: str, limits: Limits, now: int) -> list[int]:
        # The pool, not the client: what the client does around each command costs as much as the question itself.
        connection = await self._pool.get_connection()
        head, tail = _packed(limits, now)
        name = key.encode()
        rest = b"$1\r\n1\r\n$%d\r\n%b\r\n%b" % (len(name), name, tail)
        try:
            await connection.send_packed_command(head + rest)
            try:
                answer: list[int] = await connection.read_response()
            except NoScriptError:  # it was started anew
                whole = b"*%d\r\n%b%b" % (len(limits) * 2 + 5, _bulk("EVAL") + _bulk(_SCRIPT), rest)
                await connection.send_packed_command(whole)
                answer = await connection.read_response()
        except BaseException:
            await connection.disconnect(nowait=True)  # an answer that comes late is not the next one's
            raise
        finally:
            await self._pool.release(connection)
        return answer

    def _failed(self, error: Exception) -> None:
        self._again_at = monotonic() + _PAUSE_SECONDS
        if not self._down_since:
            self._down_since = monotonic()
            _log.warning("rate limit store is down", extra={"problem": f"{type(error).__name__}: {str(error)[:200]}"})


def _bulk(text: str | int) -> bytes:
    value = str(text).encode()
    return b"$%d\r\n%b\r\n" % (len(value), value)


@lru_cache(maxsize=1_024)
def _packed(limits: Limits, now: int) -> tuple[bytes, bytes]:
    """What stands before and behind the key in the command: the same for each request of a route."""
    numbers = [now, *(number for limit in limits for number in limit)]
    return b"*%d\r\n%b%b" % (len(numbers) + 4, _bulk("EVALSHA"), _bulk(_DIGEST)), b"".join(map(_bulk, numbers))
