"""The one ASGI layer around everything: request id, limits, timeout, headers, log, metrics, the last-resort answer.

Whatever happens inside, one answer leaves here.

May import deadline, exchange, health, http, observability, security, settings.
"""

import asyncio
import logging
from time import perf_counter
from typing import Protocol

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Receive, Scope, Send

from app.chassis.deadline import Deadlines
from app.chassis.exchange import Exchange, current_exchange
from app.chassis.health import Health
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.incoming import Body, Incoming, read_request
from app.chassis.http.reply import Reply
from app.chassis.observability.log import AccessLog
from app.chassis.observability.metrics import Metrics
from app.chassis.security.cors import cors_headers
from app.chassis.security.headers import security_headers
from app.chassis.security.hosts import host_check
from app.chassis.settings import ChassisSettings

__all__ = ["Edge"]

_log = logging.getLogger(__name__)
_PROBES = frozenset(("/livez", "/readyz", "/health", "/metrics"))


class Runtime(Protocol):
    """What the edge needs of the service."""

    settings: ChassisSettings
    metrics: Metrics
    access_log: AccessLog
    health: Health


class Edge:
    """Outermost layer of the service; never lets an exception through to the server."""

    def __init__(self, app: ASGIApp, runtime: Runtime) -> None:
        settings = runtime.settings
        self._app = app
        self._settings = settings
        self._metrics = runtime.metrics
        self._access_log = runtime.access_log
        self._health = runtime.health
        self._headers = security_headers(settings)
        self._is_allowed = host_check(settings.security_allowed_hosts)
        self._deadlines = Deadlines(settings.server_request_timeout_seconds)
        self._timeout = settings.server_request_timeout_seconds
        self._proxies = settings.security_trusted_proxies
        self._in_flight = 0
        runtime.metrics.in_flight.set_function(lambda: self._in_flight)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request. Websockets are refused: this service has none."""
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        started = perf_counter()
        incoming = read_request(scope, self._proxies)
        exchange = incoming.exchange
        scope["exchange"] = exchange
        current_exchange.set(exchange)
        extra = [] if incoming.origin is None else cors_headers(self._settings, incoming.origin)
        reply = Reply(exchange, receive, send, self._headers, extra)
        reply.must_close = self._health.is_draining
        if incoming.has_body:
            reply.body = Body(exchange, receive, self._settings)
            reply.may_linger = not incoming.expects_continue
        is_probe = exchange.path in _PROBES
        self._in_flight += 1
        try:
            await self._answer(scope, receive, reply, incoming, is_probe, started)
        finally:
            self._in_flight -= 1
            seconds = perf_counter() - started
            self._metrics.observe(exchange.method, exchange.route, exchange.status, seconds)
            self._access_log.write(exchange, seconds * 1000, is_probe=is_probe)

    async def _answer(
        self, scope: Scope, receive: Receive, reply: Reply, incoming: Incoming, is_probe: bool, started: float
    ) -> None:
        exchange = incoming.exchange
        refusal = self._refusal(incoming, is_probe)
        if refusal is not None:
            await reply.send_error(*refusal)
            return
        if exchange.method == "HEAD":
            scope = {**scope, "method": "GET"}  # RFC 9110 §9.3.2; the server leaves the body out
        exchange.deadline = deadline = self._deadlines.start(started)
        try:
            await self._app(scope, reply.body or receive, reply)
            if not exchange.status:
                raise RuntimeError("the application returned without an answer")  # noqa: TRY301  # told below
        except asyncio.CancelledError as error:
            if deadline.has_struck and not deadline.task.uncancel():
                await self._late(reply)
            elif deadline.task.cancelling():
                # The server stops and could wait no longer: the caller still gets an answer.
                reply.must_close = True
                await reply.send_error("unavailable", "the service is stopping")
                raise
            else:
                await self._failed(error, reply, exchange)  # the route awaited something that was cancelled
        except GeneratorExit:
            raise  # the event loop is gone
        except BaseException as error:  # noqa: BLE001  # the last resort: sys.exit() in a route stops no service
            await self._failed(error, reply, exchange)
        finally:
            deadline.disarm()
            exchange.route = _route_of(scope)

    def _refusal(self, incoming: Incoming, is_probe: bool) -> tuple[str, str | None, str | None] | None:
        if incoming.refusal is not None:
            return incoming.refusal
        if is_probe:
            return None
        if not self._is_allowed(incoming.host):
            return "host_not_allowed", None, "a Host this service answers to"
        limit = self._settings.security_max_body_bytes
        if incoming.body_bytes > limit:
            return "body_too_large", None, f"at most {limit} bytes"
        if self._in_flight > self._settings.server_max_in_flight:
            return "overloaded", "too many requests are being answered", "the same request, a little later"
        return None

    async def _late(self, reply: Reply) -> None:
        _log.warning("request timed out", extra={"timeout_seconds": self._timeout})
        await reply.send_error("response_timeout", f"no answer within {self._timeout:g} seconds", "a quicker request")

    async def _failed(self, error: BaseException, reply: Reply, exchange: Exchange) -> None:
        exchange.deadline = None  # its time is over, one way or the other
        if isinstance(error, ClientDisconnect):
            exchange.status = exchange.status or 499
        elif isinstance(error, CodedHTTPError):
            await reply.send_error(error.code, error.detail, error.expected)
        else:
            _log.error("unhandled error", exc_info=error)
            await reply.send_error("internal")


def _route_of(scope: Scope) -> str | None:
    """Template of the route that matched, such as `/v1/items/{item_id}`; None if none did."""
    if "route" not in scope:
        return None
    context = scope.get("fastapi", {}).get("effective_route_context")
    path = getattr(context, "path_format", None) or getattr(scope["route"], "path_format", None)
    return None if path is None else f"{scope.get('root_path', '')}{path}"
