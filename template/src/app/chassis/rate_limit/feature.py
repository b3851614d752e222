"""What the room offers the service: a guard before every route.

May import about, counting, feature, limiter, memory, rules, shared.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request
from starlette.datastructures import State

from app.chassis.about import about
from app.chassis.feature import Feature
from app.chassis.rate_limit.counting import Store
from app.chassis.rate_limit.limiter import Limiter
from app.chassis.rate_limit.memory import MemoryStore
from app.chassis.rate_limit.rules import read_rules

__all__ = ["FEATURE"]

_log = logging.getLogger(__name__)


def _setup(state: State) -> None:
    settings = state.settings
    rules = read_rules(settings, state.versions.apps.values())
    state.rate_limit = None
    if settings.rate_limit_enabled:
        state.rate_limit = Limiter(
            about().slug, rules, _store(settings), state.metrics.registry, proxies=settings.security_trusted_proxies
        )


def _store(settings: Any) -> Store:
    if settings.redis_url is None:
        return MemoryStore()
    from app.chassis.rate_limit.shared import SharedStore  # noqa: PLC0415  # half a second, for who has a Redis

    return SharedStore(settings.redis_url, settings.rate_limit_store_timeout_seconds)


async def _guard(request: Request) -> None:
    limiter = request.app.state.rate_limit
    if limiter is not None:
        await limiter.let_in(request.scope)


@asynccontextmanager
async def _lifespan(service: Any) -> AsyncIterator[None]:
    await _say(service.state.settings, service.state.rate_limit)
    yield
    if service.state.rate_limit is not None:
        await service.state.rate_limit.store.close()


async def _say(settings: Any, limiter: Limiter | None) -> None:
    level = logging.WARNING if settings.environment == "production" else logging.INFO
    if limiter is None:
        _log.log(level, "rate limits are off", extra={"setting": "RATE_LIMIT_ENABLED"})
    elif settings.redis_url is not None:
        if await limiter.is_counting():  # else the store has said why
            _log.info("rate limits are counted in Redis, for all processes together")
    else:
        _log.log(level, "rate limits are counted in this process alone", extra={"setting": "REDIS_URL"})


FEATURE = Feature(
    name="rate_limit",
    setup=_setup,
    guard=_guard,
    codes=("too_many_requests",),
    exposed_headers=("RateLimit", "RateLimit-Policy"),
    lifespan=_lifespan,
)
