"""The HTTP server: uvicorn with a protocol that answers garbage in the envelope, and a drain before it stops.

May import the envelope and settings. Uses uvicorn's httptools protocol, whose hooks the conformance suite exercises.
"""

import asyncio
import logging
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.chassis.exchange import Exchange
from app.chassis.http.codes import TABLE
from app.chassis.http.envelope import error_bytes
from app.chassis.http.incoming import new_request_id
from app.chassis.settings import ChassisSettings

__all__ = ["serve"]

_log = logging.getLogger(__name__)


class _Protocol(HttpToolsProtocol):
    """What uvicorn leaves to the program: size limits before the headers are in, a clock for them, one error shape."""

    limits: ChassisSettings

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._read_headers: list[tuple[bytes, bytes]] | None = None
        self._refusal: str | None = None
        self._clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def on_headers_complete(self) -> None:
        self._read_headers = self.headers
        if self._clock is not None:
            self._stop_clock()
        if len(self.url) > self.limits.security_max_url_bytes:
            self._refuse("url_too_long")
        if self._head_bytes > self.limits.security_max_header_bytes and self._are_headers_too_large():
            self._refuse("headers_too_large")
        super().on_headers_complete()

    def data_received(self, data: bytes) -> None:
        if self._refusal is not None:
            return
        self._head_bytes += len(data)  # never less than the head's
        super().data_received(data)
        if self.headers is self._read_headers:
            self._head_bytes = 0
        elif self._refusal is None:
            self._wait_for_the_rest()

    def _wait_for_the_rest(self) -> None:
        """A head arrived in part: most come in one piece and need no clock."""
        self._start_clock()
        limits = self.limits
        if len(self.url) > limits.security_max_url_bytes:
            self._answer("url_too_long")
        elif self._head_bytes > limits.security_max_header_bytes + limits.security_max_url_bytes:
            self._answer("headers_too_large")

    def _are_headers_too_large(self) -> bool:
        return sum(len(name) + len(value) + 4 for name, value in self.headers) > self.limits.security_max_header_bytes

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002  # uvicorn passes its own words
        """Called by uvicorn for whatever the parser does not accept."""
        cycle = self.cycle
        if self._is_idle():
            self._answer(self._refusal or "http_malformed")
        elif not cycle.more_body:
            cycle.keep_alive = False  # the request before the garbage still gets its answer
            self._refusal = self._refusal or "http_malformed"
        elif not cycle.response_started:
            cycle.disconnected = True  # the garbage is this request's body: its route hears that the client left
            cycle.message_event.set()
            self._answer("body_malformed")
        else:
            self.transport.close()

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete

    def _refuse(self, code: str) -> None:
        self._refusal = code
        raise httptools.HttpParserCallbackError(code)

    def _start_clock(self) -> None:
        if self._clock is None:
            self._clock = self.loop.call_later(self.limits.server_header_timeout_seconds, self._too_slow)

    def _stop_clock(self) -> None:
        if self._clock is not None:
            self._clock.cancel()
            self._clock = None

    def _too_slow(self) -> None:
        self._clock = None
        if not self.transport.is_closing() and self._is_idle():
            self._answer("body_timeout", "request line and headers did not arrive in time")

    def _answer(self, code: str, detail: str | None = None) -> None:
        exchange = Exchange(new_request_id(), "")
        body, row = error_bytes(exchange, code, detail=detail), TABLE[code]
        _log.warning(
            "request refused before it was understood", extra={"code": code, "request_id": exchange.request_id}
        )
        head = (
            b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %s\r\n"
            b"x-content-type-options: nosniff\r\ncache-control: no-store\r\nconnection: close\r\n\r\n"
        ) % (len(body), exchange.request_id.encode("ascii"))
        self._refusal = code
        self.transport.write(STATUS_LINE[row.status] + head + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(1.0, self.transport.close)  # closing on unread data would reset the answer away


class _Server(uvicorn.Server):
    """SIGTERM: readiness says 503 for the drain time, then uvicorn finishes what it accepted, then exit 0."""

    def __init__(self, config: uvicorn.Config, service: Any) -> None:
        super().__init__(config)
        self._service = service
        self._drain: asyncio.TimerHandle | None = None

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does it, without raising the signal again: a drained stop is a success."""
        handlers = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            yield
        finally:
            for number, handler in handlers.items():
                signal.signal(number, handler)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """First SIGTERM drains; SIGINT, or a second signal, stops without waiting for the drain."""
        health = self._service.state.health
        seconds = self._service.state.settings.server_drain_seconds
        if sig == signal.SIGTERM and not health.is_draining and self.started and seconds:
            health.is_draining = True
            _log.info("draining", extra={"drain_seconds": seconds})
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._stop)
            return
        health.is_draining = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: Any = None) -> None:
        """Start listening and say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                _log.info("listening", extra={"url": f"http://{host}:{port}", "version": self._service.version})

    def _stop(self) -> None:
        self.should_exit = True


def serve(service: Any, settings: ChassisSettings) -> int:
    """Run the service until it is told to stop; returns 0 after a clean stop, 1 if it could not start."""
    protocol = type("Protocol", (_Protocol,), {"limits": settings})
    config = uvicorn.Config(
        service,
        host=settings.host,
        port=settings.port,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=settings.server_backlog,
        timeout_keep_alive=settings.server_keep_alive_seconds,
        timeout_graceful_shutdown=int(settings.server_shutdown_seconds) or 1,
    )
    service.state.writer.descriptor = 1
    server = _Server(config, service)
    try:
        server.run()
    except SystemExit as stop:
        return 1 if stop.code else 0
    return 0 if server.started else 1
