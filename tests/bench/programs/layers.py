"""What each layer costs, by calling the ASGI applications in this process. Runs in the rendered service's environment.

Prints JSON: {"layers": [[name, microseconds, added], …], "pieces": [[name, microseconds saved without it], …]}.
Arguments: rounds, calls a round. A piece whose name the chassis does not have any more is left out.
"""

import asyncio
import contextlib
import gc
import json
import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

sys.path[:0] = ["src", "bare"]
os.environ.pop("BENCH_TELEMETRY", None)

import uvloop  # noqa: E402
from app.api.v1.bench import routes as bench_routes  # noqa: E402
from app.chassis import edge as edge_module  # noqa: E402
from app.chassis.exchange import Exchange  # noqa: E402
from app.main import app as service  # noqa: E402
from bare import app as bare_default  # noqa: E402
from fastapi import FastAPI  # noqa: E402

PATH = "/v1/bench/items/1"
OFF = {"tracing": False, "metrics": False}
HEADERS = [(b"host", b"127.0.0.1"), (b"user-agent", b"bench"), (b"accept", b"*/*")]
BODY = {"type": "http.request", "body": b"", "more_body": False}


async def receive() -> dict[str, Any]:
    """Give the empty body."""
    return BODY


async def send(message: dict[str, Any]) -> None:
    """Take the answer."""


async def nothing(_scope: dict[str, Any], _receive: Any, send: Any) -> None:
    """Answer as raw ASGI: what calling costs without any layer."""
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"{}"})


def scope_of(exchange: Exchange | None) -> dict[str, Any]:
    """Make the scope uvicorn would make."""
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "server": ("127.0.0.1", 8000),
        "client": ("127.0.0.1", 40000),
        "scheme": "http",
        "method": "GET",
        "root_path": "",
        "path": PATH,
        "raw_path": PATH.encode("ascii"),
        "query_string": b"",
        "headers": HEADERS.copy(),
        "state": {},
    }
    if exchange is not None:
        scope["exchange"] = exchange
        scope["app"] = service
    return scope


async def microseconds(app: Any, calls: int, exchange: Exchange | None = None) -> float:
    """Processor time of one call, all threads counted."""
    started = time.process_time_ns()
    for _ in range(calls):
        await app(scope_of(exchange), receive, send)
    while getattr(service.state.writer, "_lines", ()):  # its thread's work belongs to these calls
        await asyncio.sleep(0.005)
    return (time.process_time_ns() - started) / calls / 1000


def plain(route_class: bool) -> FastAPI:
    """FastAPI with the measured route, without telemetry: as the bare app, or with the chassis' route class."""
    app = FastAPI(telemetry=OFF)
    if route_class:
        app.state.guards = ()
        app.router.routes.extend(bench_routes.router.routes)
    else:
        for route in bare_default.routes:
            if getattr(route, "path", "").startswith("/v1/bench"):
                app.add_api_route(route.path, route.endpoint, methods=list(route.methods))
    return app


class _NoTimeout:
    async def __aenter__(self) -> "_NoTimeout":
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def expired(self) -> bool:
        return False

    def reschedule(self, _: object) -> None:
        return None


@contextlib.contextmanager
def replaced(target: Any, name: str, value: Any) -> Iterator[None]:
    """Put another value where the chassis has one of its own, for a while."""
    before = getattr(target, name)
    setattr(target, name, value)
    try:
        yield
    finally:
        setattr(target, name, before)


def pieces(edge: Any) -> dict[str, Callable[[], contextlib.AbstractContextManager[None]]]:
    """Name -> how to take that piece of the edge away."""
    ignore = SimpleNamespace(observe=lambda *_, **__: None, write=lambda *_, **__: None)
    no_asyncio = SimpleNamespace(timeout=lambda _: _NoTimeout(), CancelledError=edge_module.asyncio.CancelledError)
    incoming = sys.modules["app.chassis.http.incoming"]
    return {
        "access line": lambda: replaced(edge, "_access_log", ignore),
        "metrics": lambda: replaced(edge, "_metrics", ignore),
        "timeout": lambda: replaced(edge_module, "asyncio", no_asyncio),
        "security headers": lambda: replaced(edge, "_headers", []),
        "host check": lambda: replaced(edge, "_is_allowed", lambda _: True),
        "request id": lambda: replaced(incoming, "new_request_id", lambda: "0" * 32),
        "route for the log": lambda: replaced(edge_module, "_route_of", lambda _: PATH),
    }


async def main(rounds: int, calls: int) -> dict[str, Any]:
    """Measure every variant once a round, in turn, and take the medians."""
    service.state.writer.descriptor = os.open(os.devnull, os.O_WRONLY)
    await microseconds(service, 1)
    edge = service.middleware_stack
    exchange = Exchange("0" * 32, "GET", PATH)
    version = service.versions.apps["v1"]
    steps: list[tuple[str, Any, Exchange | None]] = [
        ("raw ASGI, no layer", nothing, None),
        ("bare FastAPI", bare_default, None),
        ("bare FastAPI, telemetry off", plain(route_class=False), None),
        ("route class and envelope on it", _started(plain(route_class=True)), exchange),
        ("version's inner stack instead of FastAPI's", _inner(version), exchange),
        ("dispatch by version", service._dispatch, exchange),
        ("edge: the whole service", service, None),
    ]
    without = pieces(edge)
    seen: dict[str, list[float]] = {name: [] for name, _, _ in steps}
    saved: dict[str, list[float]] = {name: [] for name in without}
    for _, app, given in steps:
        await microseconds(app, calls, given)
    gc.collect()
    gc.freeze()
    for _ in range(rounds):
        for name, app, given in steps:
            seen[name].append(await microseconds(app, calls, given))
        for name, taken_away in without.items():
            with contextlib.suppress(AttributeError):
                full = await microseconds(service, calls)
                with taken_away():
                    saved[name].append(full - await microseconds(service, calls))
    costs = {name: statistics.median(values) for name, values in seen.items()}
    before = dict(zip(costs, [0.0, *costs.values()], strict=False))
    return {
        "layers": [[name, cost, cost - before[name]] for name, cost in costs.items()],
        "pieces": [[name, statistics.median(values)] for name, values in saved.items() if values],
    }


def _started(app: FastAPI) -> Any:
    app.middleware_stack = app.build_middleware_stack()

    async def call(scope: Any, receive: Any, send: Any) -> None:
        scope["root_path"], scope["app"] = "/v1", app
        await app.middleware_stack(scope, receive, send)

    return call


def _inner(version: Any) -> Any:
    async def call(scope: Any, receive: Any, send: Any) -> None:
        scope["root_path"], scope["app"] = "/v1", version
        await version.inner(scope, receive, send)

    return call


if __name__ == "__main__":
    print(json.dumps(uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))))
