"""What a decision of the limiter costs. Runs in the rendered service's environment.

Prints JSON: {name: [microseconds of processor time, of the clock] of each round}. Arguments: rounds, calls a round.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack, suppress
from typing import Any

sys.path.insert(0, "src")

import uvloop
from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.rate_limit.limiter import Limiter
from app.chassis.rate_limit.memory import MemoryStore
from app.chassis.rate_limit.rules import Rule, Rules
from app.chassis.rate_limit.shared import SharedStore
from app.chassis.rate_limit.windows import read_windows
from app.chassis.redis.client import connect
from app.chassis.redis.testing import ValkeyServer
from prometheus_client import CollectorRegistry

ONE, TWO = "1000000/minute", "100000/second; 1000000/minute"
Ask = Callable[[], Awaitable[Any]]


class Route:
    """What the limiter asks of a route."""

    name = "measured"
    methods = frozenset(("GET",))


class Unlimited:
    """Stands for the measurement's own cost."""

    async def let_in(self, _scope: object) -> None:
        """Let everything in."""


def limiter(store: Any, limit: str) -> Limiter:
    """Make one with a single rule."""
    rule = Rule(limit, read_windows(limit), "caller", "open", "")
    return Limiter("bench", Rules(rule, {}), store, CollectorRegistry(), proxies=0)


def decision(limited: Limiter | Unlimited, route: Route) -> Ask:
    """Make what decides on one request; the exchange and its scope are there anyway, so they are made beforehand."""
    exchange = Exchange("0" * 32, "GET", "/v1/measured", "192.0.2.1", api_version="v1")
    scope = {"exchange": exchange, "route": route, "method": "GET", "headers": []}

    async def decide() -> None:
        exchange.headers = None
        with suppress(CodedHTTPError):
            await limited.let_in(scope)

    return decide


async def main(rounds: int, calls: int) -> dict[str, list[list[float]]]:
    """Measure each in turn; round 0 warms up."""
    route, found = Route(), dict[str, list[list[float]]]()
    with ValkeyServer() as valkey:
        async with AsyncExitStack() as stack:
            store, client = SharedStore(valkey.url, 5.0), connect(valkey.url, 5.0)
            stack.push_async_callback(store.close)
            stack.push_async_callback(client.aclose)
            cases: dict[str, tuple[Ask, int]] = {
                "nothing": (decision(Unlimited(), route), 20 * calls),
                "memory, one window": (decision(limiter(MemoryStore(), ONE), route), 20 * calls),
                "memory, two windows": (decision(limiter(MemoryStore(), TWO), route), 20 * calls),
                "memory, refused": (decision(limiter(MemoryStore(), "1/day"), route), 5 * calls),
                "GET of the client": (lambda: client.get("bench"), calls),
                "Valkey, one window": (decision(limiter(store, ONE), route), calls),
                "Valkey, two windows": (decision(limiter(store, TWO), route), calls),
            }
            for number in range(rounds + 1):
                for name, (ask, times) in cases.items():
                    used, clock = time.process_time(), time.perf_counter()
                    for _ in range(times):
                        await ask()
                    figures = [(time.process_time() - used) / times * 1e6, (time.perf_counter() - clock) / times * 1e6]
                    if number:
                        found.setdefault(name, []).append(figures)
    return found


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    os.environ.setdefault("ENV_FILE", "")
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))))
