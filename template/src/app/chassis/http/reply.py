"""Sends the one answer of a request: adds headers, closes politely, speaks when nobody did.

May import codes, envelope, exchange.
"""

import asyncio
import re
from typing import Any

from starlette.types import Message, Receive, Send

from app.chassis.exchange import Exchange
from app.chassis.http.codes import TABLE, Row, code_for_status
from app.chassis.http.envelope import error_bytes, error_type

__all__ = ["Reply"]

_LINGER_SECONDS = 1.0
_LINGER_BYTES = 16 * 1024 * 1024
_RETRY_AFTER = {"overloaded": 1, "unavailable": 1}

# What no header name and no header value may hold; the server would choke on it. Source: RFC 9110 §5.1, §5.5.
_NO_NAME = re.compile(rb"[^!#$%&'*+.^_`|~0-9A-Za-z-]")
_NO_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
# Between two machines, never passed on. Source: RFC 9110 §7.6.1.
_OF_A_CONNECTION = frozenset((b"transfer-encoding", b"keep-alive", b"upgrade", b"te", b"trailer", b"proxy-connection"))
_USUAL = frozenset((b"content-type", b"content-length", b"etag", b"link", b"location"))  # need no second look
_OF_A_BODY = frozenset(
    (b"content-type", b"content-length", b"content-encoding", b"transfer-encoding", b"etag", b"last-modified")
)
_DEFAULTS = frozenset(
    (b"x-content-type-options", b"content-security-policy", b"cache-control", b"strict-transport-security")
)

Headers = list[tuple[bytes, bytes]]


class Reply:
    """The `send` that everything below the edge gets."""

    def __init__(self, exchange: Exchange, receive: Receive, send: Send, defaults: Headers, extra: Headers) -> None:
        self.body: Any = None
        self.must_close = False
        self.may_linger = True
        self._exchange = exchange
        self._receive = receive
        self._send = send
        self._defaults = defaults
        self._extra = extra
        self._is_lingering = False
        self._is_replaced = False

    async def __call__(self, message: Message) -> None:
        """Pass one message on; the first one gets the headers of the house."""
        if message["type"] == "http.response.start":
            if message["status"] >= 400 and not self._exchange.is_error_told:
                await self._replace(message)
                return
            self._start(message)
            await self._send(message)
        elif self._is_replaced:
            return
        elif self._is_lingering and not message.get("more_body", False):
            await self._send({**message, "more_body": True})
            await self._linger()
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
        else:
            await self._send(message)

    async def send_error(self, code: str, detail: str | None = None, expected: str | None = None) -> None:
        """Answer with an error of the table. If an answer has begun, the server cuts the connection instead."""
        exchange = self._exchange
        if exchange.status:
            return
        exchange.is_error_told = True
        retry_after = _RETRY_AFTER.get(code)
        body = error_bytes(exchange, code, detail=detail, expected=expected, retry_after=retry_after)
        headers = self._headers_of(body)
        if retry_after is not None:
            headers.append((b"retry-after", b"%d" % retry_after))
        await self({"type": "http.response.start", "status": TABLE[code].status, "headers": headers})
        await self({"type": "http.response.body", "body": body})

    async def _replace(self, message: Message) -> None:
        """Tell an error of a mount, a middleware or a file in the envelope; its status and other headers stay."""
        status = message["status"]
        code = code_for_status(status)
        body = error_bytes(self._exchange, code, row=Row(status, TABLE[code].title, TABLE[code].retry))
        headers = [pair for pair in message["headers"] if pair[0].lower() not in _OF_A_BODY]
        headers += self._headers_of(body)
        self._exchange.is_error_told = True
        await self({**message, "headers": headers})
        await self({"type": "http.response.body", "body": body})
        self._is_replaced = True

    def _headers_of(self, body: bytes) -> Headers:
        kind = error_type(self._exchange).encode("ascii")
        return [(b"content-type", kind), (b"content-length", b"%d" % len(body))]

    def _start(self, message: Message) -> None:
        exchange = self._exchange
        unusual = [name for name, _ in message["headers"] if name not in _USUAL]
        values = b"".join([value for _, value in message["headers"]])
        if not 200 <= message["status"] < 600 or _NO_NAME.search(b"".join(unusual)) or _NO_VALUE.search(values):
            exchange.is_error_told = False
            raise ValueError("an answer whose status or headers HTTP does not know")
        exchange.status = message["status"]
        exchange.disarm_deadline()  # a stream may last
        headers = [*message["headers"], (b"x-request-id", exchange.request_id.encode("ascii"))]
        defaults = self._defaults
        for name in unusual:
            if name in _DEFAULTS:  # a route that sets one itself wins
                defaults = [pair for pair in defaults if pair[0] != name]
            elif name in _OF_A_CONNECTION:
                headers = [pair for pair in headers if pair[0] != name]
        headers += defaults
        if exchange.api_version is not None:
            headers.append((b"x-api-version", exchange.api_version.encode("ascii")))
        headers += self._extra
        if exchange.headers:
            headers += exchange.headers
        is_unread = self.body is not None and not self.body.is_complete
        if is_unread:
            self._is_lingering = self.may_linger
        if is_unread or self.must_close:
            headers.append((b"connection", b"close"))
        message["headers"] = headers

    async def _linger(self) -> None:
        """Swallow a little more of a refused body: closing on unread data resets the connection and loses the answer.

        Source: RFC 9112 §9.6.
        """
        size = 0
        try:
            async with asyncio.timeout(_LINGER_SECONDS):
                while size < _LINGER_BYTES:
                    message = await self._receive()
                    size += len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return
        except TimeoutError:
            return
