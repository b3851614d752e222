"""One connection: uvicorn's httptools protocol, with limits, clocks and one error shape for what it cannot read.

The conformance suite exercises every hook of uvicorn used here.

May import codes, dialect, envelope, exchange, incoming, observability, security, settings.
"""

import asyncio
import logging
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE

from app.chassis.exchange import Exchange
from app.chassis.http.codes import TABLE
from app.chassis.http.dialect import Dialect
from app.chassis.http.envelope import error_bytes
from app.chassis.http.incoming import new_request_id
from app.chassis.observability.metrics import Metrics
from app.chassis.security.headers import security_headers
from app.chassis.settings import ChassisSettings

__all__ = ["Protocol"]

_log = logging.getLogger(__name__)
_EXPECTED = {
    "http_malformed": "HTTP/1.1 as RFC 9112 has it",
    "body_malformed": "a body in chunks as RFC 9112 §7.1 has them",
    "url_too_long": "at most {security_max_url_bytes} bytes",
    "headers_too_large": "at most {security_max_header_bytes} bytes",
    "request_timeout": "request line and headers within {server_header_timeout_seconds:g} seconds",
}


class Protocol(Dialect):
    """What uvicorn leaves to the program: size limits before the headers are in, a clock for them, one error shape."""

    limits: ChassisSettings
    metrics: Metrics

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._head_bytes = 0
        self._read_headers: list[tuple[bytes, bytes]] | None = None
        self._before: Any = None
        self._refusal: str | None = None
        self._clock: asyncio.TimerHandle | None = None
        self._write_clock: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Start the clock: a silent connection ends."""
        super().connection_made(transport)
        self._start_clock()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the clocks."""
        self._stop_clock()
        self._stop_write_clock()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """The client reads slower than we write: give it some time, since its request holds a place."""
        super().pause_writing()
        if self._write_clock is None:
            seconds = self.limits.server_write_timeout_seconds
            self._write_clock = self.loop.call_later(seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """It has read what was waiting."""
        self._stop_write_clock()
        super().resume_writing()

    def _stop_write_clock(self) -> None:
        if self._write_clock is not None:
            self._write_clock.cancel()
            self._write_clock = None

    def on_headers_complete(self) -> None:
        """Check the sizes of a head, then let uvicorn start its request."""
        self._read_headers = self.headers
        if self._clock is not None:
            self._stop_clock()
        if self.parser.get_method() == b"CONNECT" or self.parser.get_http_version() not in ("1.0", "1.1"):
            self._refuse("http_malformed")
        if len(self.url) > self.limits.security_max_url_bytes:
            self._refuse("url_too_long")
        if self._head_bytes > self.limits.security_max_header_bytes:
            self._count_headers()
        self._before = self.cycle
        super().on_headers_complete()
        self._read_headers = self.headers

    def on_body(self, body: bytes) -> None:
        """What belongs to a body belongs to no head."""
        self._head_bytes -= len(body)
        super().on_body(body)

    def data_received(self, data: bytes) -> None:
        """Parse what came; keep count and time of a head that came in part."""
        if self._refusal is not None:
            return
        self._head_bytes += len(data)  # never less than the head's
        self._unset_keepalive_if_required()
        try:
            self._feed(data)
        except httptools.HttpParserError:
            self._not_readable()
        if self.headers is self._read_headers:
            self._head_bytes = 0
            if self._is_idle():
                self._start_clock()  # blank lines: they ended the keep-alive time and began nothing
        elif self._refusal is None:
            self._wait_for_the_rest()

    def _wait_for_the_rest(self) -> None:
        """A head arrived in part: most come in one piece and need no clock."""
        self._start_clock()
        limits = self.limits
        if len(self.url) > limits.security_max_url_bytes:
            self._refuse_the_rest("url_too_long")
        elif self._head_bytes > limits.security_max_header_bytes + limits.security_max_url_bytes:
            self._refuse_the_rest("headers_too_large")

    def _count_headers(self) -> None:
        size = sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > self.limits.security_max_header_bytes:
            self._refuse("headers_too_large")
        self._head_bytes -= size  # the rest is that of the next head

    def _not_readable(self) -> None:
        """Whatever the parser does not accept."""
        cycle = self.cycle
        if self._is_idle() or not cycle.more_body:
            self._refuse_the_rest(self._refusal or "http_malformed")
        elif self.pipeline:
            self.pipeline.popleft()  # the garbage is the body of a request whose turn has not come
            self.cycle = self._before
            self._refuse_the_rest("body_malformed")
        elif not cycle.response_started:
            cycle.disconnected = True  # the garbage is this request's body: its route hears that the client left
            cycle.message_event.set()
            self._answer("body_malformed")
        else:
            self.transport.close()

    def _refuse_the_rest(self, code: str) -> None:
        """Answer with an error, unless requests before it wait for theirs: the last of those says `close` instead."""
        if self._is_idle():
            self._answer(code)
        else:
            self._refusal = code
            self.cycle.keep_alive = False

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
            self._answer("request_timeout", "request line and headers did not arrive in time")

    def _answer(self, code: str, detail: str | None = None) -> None:
        exchange = Exchange(new_request_id(), "")
        expected = _EXPECTED[code].format_map(self.limits.model_dump())
        body, row = error_bytes(exchange, code, detail=detail, expected=expected), TABLE[code]
        _log.warning(
            "request refused before it was understood", extra={"code": code, "request_id": exchange.request_id}
        )
        head = (
            b"content-type: application/json\r\ncontent-length: %d\r\nx-request-id: %s\r\n%sconnection: close\r\n\r\n"
        ) % (
            len(body),
            exchange.request_id.encode("ascii"),
            b"".join(b"%s: %s\r\n" % pair for pair in security_headers(self.limits)),
        )
        self.metrics.observe(exchange.method, None, row.status, 0.0)
        self._refusal = code
        self.transport.write(STATUS_LINE[row.status] + head + body)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(1.0, self.transport.close)  # closing on unread data would reset the answer away
