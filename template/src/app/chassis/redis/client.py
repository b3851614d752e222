"""A client of Redis or Valkey for whoever bounds the time of each question himself. Imports nothing of the chassis.

Who has no REDIS_URL never imports this: the library takes half a second.
"""

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

__all__ = ["connect"]

_CONNECTIONS = 10_000  # as many as there are requests at once, which SERVER_MAX_IN_FLIGHT bounds


def connect(url: str, timeout_seconds: float) -> Redis:
    """A client that connects when it is first used; what fails is told at once, never tried again by itself."""
    return Redis.from_url(
        url,
        socket_connect_timeout=timeout_seconds,
        socket_timeout=None,  # who asks bounds the whole of it, once; the library would at every step
        retry=Retry(NoBackoff(), 0),
        protocol=2,
        max_connections=_CONNECTIONS,
    )
