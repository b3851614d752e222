"""Settings of the room. May import redis, windows."""

from typing import Literal

from pydantic import Field

from app.chassis.rate_limit.windows import Limit
from app.chassis.redis.settings import RedisSettings

__all__ = ["RateLimitSettings"]


class RateLimitSettings(RedisSettings):
    """How often a caller may ask a route that has no rule of its own, and what happens without the store."""

    rate_limit_enabled: bool = True
    """Whether requests are counted at all."""
    rate_limit_default: Limit = "300/minute"
    """Limit of each route without a rule of its own, for each caller; several windows as `10/second; 300/minute`."""
    rate_limit_store_down: Literal["open", "closed"] = "open"
    """Those routes while the store is down: `open` lets every request in, `closed` refuses each with 503."""
    rate_limit_store_timeout_seconds: float = Field(default=0.25, gt=0, le=10)
    """Longest wait for the store, connecting included; then it counts as down."""
