"""A version that will end: answers say so, and whoever still uses it is counted. May import exchange, observability."""

import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.chassis.exchange import Exchange
from app.chassis.observability.metrics import Metrics

__all__ = ["Deprecated", "DeprecatedVersion"]

_log = logging.getLogger(__name__)
_MAX_CALLERS = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Deprecated:
    """Declares that an API version will end: `DEPRECATED = Deprecated(…)` in its `__init__.py`.

    Args:
        since: When callers were, or will be, asked to leave (RFC 9745).
        sunset: When it ends at the earliest, not before `since` (RFC 8594); None while nobody knows.
        link: Page that says what to do.

    Raises:
        ValueError: a time has no zone, or the end comes before the announcement.
    """

    since: datetime
    sunset: datetime | None = None
    link: str | None = None

    def __post_init__(self) -> None:
        times = [time for time in (self.since, self.sunset) if time is not None]
        if any(time.tzinfo is None for time in times):
            raise ValueError("found a time without a zone; expected one such as datetime(2030, 1, 31, tzinfo=UTC)")
        if times != sorted(times):
            raise ValueError("found a sunset before its announcement; expected since <= sunset")

    def headers(self, successor: str | None) -> list[tuple[bytes, bytes]]:
        """`Deprecation`, `Sunset` and `Link` for every answer of the version; `successor` such as `v2`."""
        headers = [(b"deprecation", b"@%d" % self.since.timestamp())]
        if self.sunset is not None:
            moment = format_datetime(self.sunset.astimezone(UTC), usegmt=True)
            headers.append((b"sunset", moment.encode("ascii")))
        links = [f'</{successor}>; rel="successor-version"'] if successor else []
        if self.link:
            links.append(f'<{self.link}>; rel="deprecation"')
            links += [f'<{self.link}>; rel="sunset"'] if self.sunset else []
        if links:
            headers.append((b"link", ", ".join(links).encode("ascii")))
        return headers


def _joined(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """One `Link` for all links: many clients look at one only."""
    links = [value for name, value in headers if name == b"link"]
    if len(links) < 2:
        return headers
    return [*(pair for pair in headers if pair[0] != b"link"), (b"link", b", ".join(links))]


class DeprecatedVersion:
    """Stands around the routes of a deprecated version."""

    def __init__(self, app: ASGIApp, headers: list[tuple[bytes, bytes]], metrics: Metrics) -> None:
        self._app = app
        self._headers = headers
        self._metrics = metrics
        self._callers: set[tuple[str | None, str | None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as ever, with the headers, and count the request."""

        async def tell(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = _joined([*message["headers"], *self._headers])
            await send(message)

        try:
            await self._app(scope, receive, tell)
        finally:
            self._count(scope["exchange"])

    def _count(self, exchange: Exchange) -> None:
        """Each caller is named once in the log of a process, so that the team knows whom to write to."""
        self._metrics.deprecated.labels(exchange.api_version).inc()
        caller = (exchange.api_version, exchange.caller.subject or exchange.client)
        if caller not in self._callers and len(self._callers) < _MAX_CALLERS:
            self._callers.add(caller)
            _log.warning(
                "deprecated API version used",
                extra={"api_version": caller[0], "subject": exchange.caller.subject, "client": exchange.client},
            )
