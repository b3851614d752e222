"""The service that is audited: how it is asked, and what this folder knows of it.

May import about, security, settings.
"""

import http.client
import json
import secrets
import socket
import ssl
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, urlsplit

from app.chassis.about import about
from app.chassis.security.hosts import host_check
from app.chassis.settings import ChassisSettings

__all__ = ["Answer", "NoAnswerError", "Target"]

_TIMEOUT_SECONDS = 10.0
_PATIENCE_SECONDS = 5  # so long a 429 is waited for
_MAX_BYTES = 4_194_304


class NoAnswerError(Exception):
    """The service did not answer what it was asked, so that nothing can be told."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One answer: status, headers (names in lower case, repeated ones kept), body."""

    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str:
        """Values of a header, joined; empty if it is not there."""
        return ", ".join(value for given, value in self.headers if given == name)

    @property
    def json(self) -> dict[str, Any]:
        """The body parsed; empty if it is no JSON object."""
        try:
            told = json.loads(self.body)
        except (ValueError, RecursionError):
            return {}
        return told if isinstance(told, dict) else {}


class Target:
    """Where the service answers, the settings and the program of this folder, and the files around them."""

    def __init__(self, url: str, settings: ChassisSettings, service: Any, root: Path) -> None:
        parts, host, port = _split(url)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self.is_https = parts.scheme == "https"
        self.settings, self.service, self.root = settings, service, root
        self.is_production = settings.environment == "production"
        self.log: Path = root / "var/service.log"
        self.advisories: str | None = None
        self._address = host, port or (443 if self.is_https else 80)
        allowed = settings.security_allowed_hosts
        names = [parts.netloc, *(name.replace("*", "audit", name.startswith("*.")) for name in allowed if name != "*")]
        self.host = next((name for name in names if host_check(allowed)(name.encode())), parts.netloc)
        self.absent = f"/audit-{secrets.token_hex(8)}"

    @cached_property
    def contracts(self) -> dict[str, Any]:
        """OpenAPI document of each API version, as the program of this folder makes it."""
        return {name: app.openapi() for name, app in self.service.versions.apps.items()}

    def ask(self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes | None = None) -> Answer:
        """Send one request on a connection of its own; a 429 is waited for once, if it is short.

        Raises:
            NoAnswerError: there is no answer, or none but "later".
        """
        answer = self._ask(method, path, headers or {}, body)
        if answer.status == 429:
            wait = answer.header("retry-after")
            if wait.isdigit() and int(wait) <= _PATIENCE_SECONDS:
                time.sleep(int(wait))
                answer = self._ask(method, path, headers or {}, body)
        if answer.status == 429:
            raise NoAnswerError(f"{method} {path}: 429, asked too often; audit again later, or where limits are off")
        return answer

    def _ask(self, method: str, path: str, headers: dict[str, str], body: bytes | None) -> Answer:
        kind = http.client.HTTPSConnection if self.is_https else http.client.HTTPConnection
        connection = kind(*self._address, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, path, body, {"Host": self.host, "Connection": "close"} | headers)
            return _read(connection.getresponse())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswerError(f"{method} {path[:64]}: no answer ({type(error).__name__})") from error
        finally:
            connection.close()

    def send(self, data: bytes, timeout_seconds: float = _TIMEOUT_SECONDS) -> Answer:
        """Send bytes as they are, and read what is answered to them.

        Raises:
            NoAnswerError: nothing came back in time.
        """
        try:
            with socket.create_connection(self._address, timeout=timeout_seconds) as plain:
                context = ssl.create_default_context() if self.is_https else None
                stream = context.wrap_socket(plain, server_hostname=self._address[0]) if context else plain
                stream.sendall(data)
                got = http.client.HTTPResponse(stream)
                got.begin()
                return _read(got)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswerError(f"no answer ({type(error).__name__})") from error

    def head(self, method: str, path: str, *lines: str) -> bytes:
        """Request line and headers, to be sent as they are."""
        return "\r\n".join((f"{method} {path} HTTP/1.1", f"Host: {self.host}", *lines, "", "")).encode()

    def trouble(self) -> str | None:
        """Why this is no running service of this folder; None if it is."""
        try:
            answer = self.ask("GET", "/health")
        except NoAnswerError as error:
            return f"{error}; expected the service: `make run` starts it, --url names another address"
        told = answer.json.get("data")
        if not isinstance(told, dict) or told.get("service") != about().slug:
            return f"GET /health: answered {answer.status}, not as {about().slug} does; expected that service"
        return None


def _split(url: str) -> tuple[SplitResult, str, int | None]:
    try:
        parts = urlsplit(url)
        is_bare = "@" not in url and url.rstrip("/").partition("://")[2] == parts.netloc
        if parts.scheme in ("http", "https") and parts.hostname and is_bare:
            return parts, parts.hostname, parts.port
    except ValueError:
        pass
    raise ValueError(
        "--url: cannot be used; expected http://HOST:PORT or https://HOST:PORT, without user, path or query"
    )


def _read(got: http.client.HTTPResponse) -> Answer:
    return Answer(got.status, [(name.lower(), value) for name, value in got.getheaders()], got.read(_MAX_BYTES))
