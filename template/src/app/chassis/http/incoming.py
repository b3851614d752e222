"""What the edge must know of a request before anything else sees it, and its body within limits.

May import codes, exchange, security, settings.
"""

import asyncio
import os
import re
from dataclasses import dataclass
from time import monotonic

from starlette.types import Message, Receive, Scope

from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.security.proxies import client_behind
from app.chassis.settings import ChassisSettings

__all__ = ["Body", "Incoming", "new_request_id", "read_request"]

_SANE_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")

_SEEN = frozenset(
    (
        b"host",
        b"x-request-id",
        b"content-length",
        b"transfer-encoding",
        b"x-api-version",
        b"idempotency-key",
        b"accept",
        b"origin",
        b"expect",
        b"x-forwarded-for",
    )
)

Refusal = tuple[str, str | None, str | None]


@dataclass(slots=True)
class Incoming:
    """One request as the edge sees it: `host` None if absent or doubled, `refusal` a (code, detail, expected)."""

    exchange: Exchange
    host: bytes | None = None
    origin: bytes | None = None
    body_bytes: int = 0
    has_body: bool = False
    expects_continue: bool = False
    refusal: Refusal | None = None


def new_request_id() -> str:
    """128 random bits as 32 hexadecimal digits."""
    return os.urandom(16).hex()


def read_request(scope: Scope, proxies: int = 0) -> Incoming:  # noqa: C901, PLR0912  # one walk over the headers is the point
    """Collect the headers that matter in one walk. So many `proxies` are trusted to say who asked."""
    client = scope.get("client")
    exchange = Exchange("", scope["method"], scope["path"], client[0] if client else None)
    incoming = Incoming(exchange)
    hosts, forwarded = 0, list[bytes]()
    for name, value in scope["headers"]:
        if name not in _SEEN:
            continue
        if name == b"host":
            hosts += 1
            incoming.host = value if hosts == 1 else None
        elif name == b"x-request-id":
            if _SANE_ID.fullmatch(value):  # a caller's own is kept if it is short and plain
                exchange.request_id = value.decode("ascii")
        elif name == b"content-length":
            incoming.body_bytes = int(value) if value.isdigit() else 0  # the parser has checked it
            incoming.has_body = incoming.body_bytes > 0
        elif name == b"transfer-encoding":
            incoming.has_body = True
            if value.strip().lower() != b"chunked":
                incoming.refusal = "content_encoding_unsupported", None, "a body without codings but chunked"
        elif name == b"x-api-version":
            asked = value.decode("latin-1").strip().lower()
            exchange.asked_version = asked if asked.startswith("v") else f"v{asked}"
        elif name == b"accept":
            exchange.wants_problem = b"application/problem+json" in value.lower()
        elif name == b"origin":
            incoming.origin = value
        elif name == b"expect":
            incoming.expects_continue = True
        elif name == b"x-forwarded-for":
            forwarded.append(value)
    if proxies:
        exchange.client = client_behind(proxies, forwarded, exchange.client)
    if not exchange.request_id:
        exchange.request_id = new_request_id()
    if b"%00" in scope["raw_path"] or b"%00" in scope["query_string"]:
        incoming.refusal = "url_invalid", "the URL holds a NUL", "a URL without %00"
    return incoming


class Body:
    """Receives a request body: no more than the limit, no longer than the timeout."""

    def __init__(self, exchange: Exchange, receive: Receive, settings: ChassisSettings) -> None:
        self.is_complete = False
        self._exchange = exchange
        self._receive = receive
        self._limit = settings.security_max_body_bytes
        self._until = monotonic() + settings.server_body_timeout_seconds
        self._size = 0

    async def __call__(self) -> Message:
        """Next message of the body, or word that the client left.

        Raises:
            CodedHTTPError: `body_too_large`, `request_timeout`.
        """
        if self.is_complete or self._exchange.status:
            return await self._receive()
        try:
            async with asyncio.timeout(self._until - monotonic()):
                message = await self._receive()
        except TimeoutError:
            raise CodedHTTPError(
                "request_timeout", "the body did not arrive in time", expected="a quicker body"
            ) from None
        self._size += len(message.get("body", b""))
        if self._size > self._limit:
            raise CodedHTTPError("body_too_large", expected=f"at most {self._limit} bytes")
        self.is_complete = not message.get("more_body", False)
        return message
