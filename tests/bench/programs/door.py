"""What a token costs. Runs in the rendered service's environment; prints JSON: {name: microseconds of each round}.

Arguments: rounds, calls a round. Times are of the processor.
"""

import asyncio
import json
import sys
import time
from typing import Any

sys.path.insert(0, "src")

import uvloop
from app.chassis.auth.guards import identify
from app.chassis.auth.settings import AuthSettings
from app.chassis.auth.store import KeyStore
from app.chassis.auth.testing import ENVIRONMENT
from app.chassis.auth.tokens import Tokens
from app.chassis.exchange import Exchange
from fastapi import FastAPI, Request
from joserfc import jwt
from prometheus_client import CollectorRegistry


async def main(rounds: int, calls: int) -> dict[str, list[float]]:
    """Measure each in turn; round 0 warms up."""
    settings = AuthSettings.model_validate({"auth_keys": ENVIRONMENT["AUTH_KEYS"]})
    app, store = FastAPI(), KeyStore(settings, may_make=False)
    app.state.tokens = tokens = Tokens(settings, store, [], CollectorRegistry())
    values = [tokens.issue("ada", ["items:write"]).value.encode() for _ in range(calls)]
    scope: dict[str, Any] = {"type": "http", "app": app, "headers": [(b"authorization", b"Bearer " + values[0])]}
    request, key = Request(scope), store.current().signing.key

    async def guard() -> None:
        scope["exchange"] = Exchange("0" * 32, "GET")
        await identify(request)

    async def exchange_alone() -> None:
        scope["exchange"] = Exchange("0" * 32, "GET")

    async def first_look() -> None:
        tokens._remembered.clear()
        await tokens.caller(values[0])

    async def library() -> None:
        jwt.decode(values[0], key, ["ES256"])

    cases = {
        "nothing": (exchange_alone, 20),
        "remembered": (guard, 20),
        "first look": (first_look, 1),
        "joserfc alone": (library, 1),
    }
    found: dict[str, list[float]] = {}
    for number in range(rounds + 1):
        for name, (ask, times) in cases.items():
            used = time.process_time()
            for _ in range(times * calls):
                await ask()
            if number:
                found.setdefault(name, []).append((time.process_time() - used) / (times * calls) * 1e6)
    return found


if __name__ == "__main__":
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    print(json.dumps(asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))))
