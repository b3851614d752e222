"""HTTP/1.1 as RFC 9112 has it, where uvicorn's httptools protocol does otherwise. Imports nothing of the chassis."""

from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

__all__ = ["Dialect"]


class _Trailers(list[tuple[bytes, bytes]]):
    """Swallows fields that come after a body: uvicorn would add them to the headers, past every check of a proxy.

    Source: RFC 9110 §6.5.1.
    """

    def append(self, _field: tuple[bytes, bytes]) -> None:
        """Forget it."""


_TRAILERS = _Trailers()


class Dialect(HttpToolsProtocol):
    """Trailers, offers of another protocol, absolute targets and half-closed connections, each as the RFC says."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._is_offer = False

    def eof_received(self) -> bool:  # type: ignore[override]  # uvicorn returns None: close at once
        """A client may shut its sending half after a whole request: it still gets its answer (RFC 9112 §9.6)."""
        if self._is_idle() or self.cycle.more_body:
            return False
        self.cycle.keep_alive = False
        return True

    def on_headers_complete(self) -> None:
        """Start the request, unless its head must be read again."""
        if self.parser.should_upgrade():
            self._is_offer = True
            return
        if self.url[:1] != b"/":
            self._to_origin_form()
        super().on_headers_complete()
        self.headers = _TRAILERS

    def on_message_complete(self) -> None:
        """Nothing is complete whose body was not looked at."""
        if not self._is_offer:
            super().on_message_complete()

    def _feed(self, data: bytes) -> None:
        """Parse; an offer of another protocol is ignored (RFC 9110 §7.8), so its head is read again without it.

        httptools takes all that follows such a head for the other protocol, a body included.
        """
        try:
            self.parser.feed_data(data)
        except httptools.HttpParserUpgrade as offer:
            head = self._head_without_offer()
            self._is_offer = False
            self.parser = httptools.HttpRequestParser(self)
            self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn does
            self.parser.feed_data(head)
            self._feed(data[offer.args[0] :])

    def _head_without_offer(self) -> bytes:
        version = self.parser.get_http_version().encode("ascii")
        lines = [b"%s %s HTTP/%s" % (self.parser.get_method(), self.url, version)]
        for name, value in self.headers:
            if name == b"connection":
                others = [option for option in value.split(b",") if option.strip().lower() != b"upgrade"]
                lines.append(b"connection: " + b",".join(others))
            elif name != b"upgrade":
                lines.append(b"%s: %s" % (name, value))
        return b"\r\n".join((*lines, b"", b""))

    def _to_origin_form(self) -> None:
        """Of an absolute target the authority counts, not the Host beside it (RFC 9112 §3.2.2)."""
        target = httptools.parse_url(self.url)
        if target.host is None:
            return
        authority = b"%s:%d" % (target.host, target.port) if target.port else target.host
        self.headers[:] = [*(pair for pair in self.headers if pair[0] != b"host"), (b"host", authority)]
        self.url = (target.path or b"/") + (b"?" + target.query if target.query else b"")

    def _is_idle(self) -> bool:
        cycle: Any = self.cycle  # None before the first request, whatever its annotation says
        return cycle is None or cycle.response_complete
