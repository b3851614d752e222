"""Mistakes a team can make in its own routes: none leaves the envelope, none ends a connection without a word."""

import asyncio
import sys
import time
from typing import Any

import pytest
from fastapi import APIRouter, FastAPI
from starlette.responses import JSONResponse
from starlette.routing import Route, WebSocketRoute

from app.chassis.exchange import Exchange
from app.chassis.http.routing import Router, require_envelopes
from app.chassis.http.versions import inner_stack
from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.client import raw_exchange


@pytest.mark.parametrize("kind", ["exit", "base", "cancelled"])
def test_what_is_no_exception_is_internal(client: Client, kind: str) -> None:
    """`sys.exit()`, a BaseException, a cancelled task of its own: 500 in the envelope, and the service goes on."""
    answer = client.request("GET", f"/-probe/raise/{kind}")
    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert client.request("GET", "/livez").status == 200


@pytest.mark.parametrize(("raised", "status"), [(200, 500), (99, 500), (600, 500), (418, 418), (599, 599)])
def test_odd_status_is_an_error_in_the_envelope(client: Client, raised: int, status: int) -> None:
    """A success that is raised, or a status HTTP does not know, is internal; any other keeps its status."""
    answer = client.request("GET", f"/-probe/status/{raised}")
    assert (answer.status, answer.error["status"]) == (status, status)


def test_429_may_be_sent_again(client: Client) -> None:
    """Refused before any work, whoever refused it."""
    error = client.request("GET", "/-probe/status/429").error
    assert (error["code"], error["retryable"]) == ("too_many_requests", True)


@pytest.mark.parametrize("path", [b"/-probe/empty", b"/-probe/empty-stream"])
def test_204_has_no_body_whatever_the_route_returned(service: ServiceProcess, path: bytes) -> None:
    """A body after 204 would be read as the beginning of the next answer."""
    one = b"GET %s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    last = one % (b"/-probe/hello", b"Connection: close\r\n")
    answers = raw_exchange(service.url, one % (path, b"") + last)
    assert answers.startswith(b"HTTP/1.1 204")
    assert b"content-length" not in answers.partition(b"\r\n\r\n")[0]
    assert answers.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1.1 200")


def test_header_from_outside_cannot_split_the_answer(client: Client) -> None:
    """A line break in a header value is never sent, and the caller still gets an answer."""
    assert client.request("GET", "/-probe/header?value=a%0d%0aX-Evil:%20b").error["code"] == "internal"
    assert client.request("GET", "/-probe/header?value=a&name=My%20Header").error["code"] == "internal"


@pytest.mark.parametrize("name", ["Transfer-Encoding", "Keep-Alive", "Upgrade", "Trailer"])
def test_header_of_a_connection_is_not_passed_on(client: Client, name: str) -> None:
    """Copied from an upstream's answer it would contradict our own framing (RFC 9110 §7.6.1)."""
    answer = client.request("GET", f"/-probe/header?value=chunked&name={name}")
    assert (answer.status, answer.data, name.lower() in answer.headers) == (200, None, False)


def test_json_of_another_type_has_the_envelope(client: Client) -> None:
    """`application/json; charset=utf-8` is JSON too."""
    assert client.request("GET", "/-probe/json-by-hand").data == [1]


def test_refusal_after_the_route_saves_nothing(client: Client) -> None:
    """What a dependency of the function's scope raises comes before the commit."""
    assert client.request("POST", "/-probe/late-refusal").status == 403
    assert "probe_refused" not in client.request("GET", "/-probe/tables").data


@pytest.mark.parametrize(("wanted", "status"), [("bytes=999999-", 416), ("nonsense", 400)])
def test_error_of_a_response_class_gets_the_envelope(client: Client, wanted: str, status: int) -> None:
    """What Starlette answers by itself, such as a range a file does not have, is told like every other error."""
    answer = client.request("GET", "/-probe/file", headers={"Range": wanted})
    assert (answer.status, answer.error["status"]) == (status, status)


def test_route_of_the_service_itself_is_like_any_other(client: Client) -> None:
    """`@app.post` in main.py: its answer has the envelope and its work is saved."""
    assert client.request("POST", "/-probe/direct").data == {"saved": True}
    assert "probe_direct" in client.request("GET", "/-probe/tables").data


def test_route_without_envelope_stops_the_start() -> None:
    """A route of FastAPI's own router would answer outside the envelope and save nothing."""
    router, app = APIRouter(), FastAPI(openapi_url=None)
    router.get("/plain")(lambda: None)
    app.include_router(Router())
    require_envelopes(app)
    app.include_router(router)
    with pytest.raises(TypeError, match="/plain: found a route"):
        require_envelopes(app)


@pytest.mark.parametrize("route", [Route("/bare", JSONResponse), WebSocketRoute("/bare", JSONResponse)])
def test_route_of_another_kind_stops_the_start(route: Route | WebSocketRoute) -> None:
    """Starlette's routes have no envelope, and websockets are not served; what is mounted is another application."""
    app = FastAPI(docs_url=None, redoc_url=None)
    app.mount("/legacy", FastAPI())
    require_envelopes(app)
    app.router.routes.append(route)
    with pytest.raises(TypeError, match="/bare: found a route"):
        require_envelopes(app)


def test_work_after_the_answer_is_refused(service: ServiceProcess, client: Client) -> None:
    """A background task that goes on with the request's work would hold the write lock and never save."""
    assert client.request("POST", "/-probe/late-work").status == 200
    assert "probe_late" not in client.request("GET", "/-probe/tables").data
    assert client.request("POST", "/-probe/direct").status == 200
    until = time.monotonic() + 10
    while not any("this work is over" in line.get("trace", "") for line in service.lines):
        assert time.monotonic() < until, "nothing in the log"
        time.sleep(0.05)


def test_json_read_by_hand_is_checked_too(client: Client) -> None:
    """A route that reads `request.json()` itself: broken JSON is the caller's error."""
    answer = client.request("POST", "/-probe/json", body=b"{broken", headers={"Content-Type": "application/json"})
    assert (answer.status, answer.error["code"]) == (400, "json_malformed")


def test_requests_in_flight_are_measured(client: Client) -> None:
    """The request that asks is one."""
    assert b"http_requests_in_flight 1.0" in client.request("GET", "/metrics").body


def test_exit_in_a_route_is_an_ordinary_error_for_middleware() -> None:
    """Middleware that runs routes in tasks of its own must never see SystemExit: asyncio would stop the service."""
    router, app = Router(), FastAPI(openapi_url=None)
    router.get("/exit")(lambda: sys.exit(3))
    app.state.guards = ()
    app.router.routes.extend(router.routes)
    scope: dict[str, Any] = {"type": "http", "method": "GET", "path": "/exit", "headers": [], "query_string": b""}
    scope |= {"app": app, "exchange": Exchange("1", "GET")}
    with pytest.raises(RuntimeError, match="stop the process"):
        asyncio.run(inner_stack(app)(scope, None, None))  # type: ignore[arg-type]  # neither is reached


def test_error_raised_by_middleware_has_its_own_status(client: Client) -> None:
    """The suite's middleware raises a domain error: it is told as if a route had raised it."""
    answer = client.request("GET", "/-probe/hello", headers={"X-Probe": "refuse"})
    assert (answer.status, answer.error["code"]) == (403, "forbidden")


def test_middleware_that_says_nothing_is_internal(client: Client) -> None:
    """An application that returns without an answer gets one from the edge."""
    answer = client.request("GET", "/-probe/hello", headers={"X-Probe": "silence"})
    assert (answer.status, answer.error["code"]) == (500, "internal")
