"""The proxy before the two slots: its configuration, and what it is told while it runs. Standard library only.

It is haproxy. By its runtime interface requests move from one slot to the other, and no client's connection is closed.
Source: HAProxy Management Guide, 9.3 "Unix Socket commands".
"""

import contextlib
import csv
import io
import json
import math
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from string import Template

from settings import setting

FOLDER = Path("var/deploy")
CONFIGURATION, SOCKET = FOLDER / "proxy.cfg", FOLDER / "proxy.sock"
SLOTS = ("blue", "green")
TIMEOUT_SECONDS = 2.0
# Answers of the proxy itself, in the service's envelope: status, code and title as in docs/chassis/errors.md, what is
# expected, whether to try again; where the request may have been carried out, nobody should without a look.
ERRORS = (
    (400, "http_malformed", "Not an HTTP request", "a request as in RFC 9112", False),
    (408, "request_timeout", "Request came too slowly", "headers within SERVER_HEADER_TIMEOUT_SECONDS", True),
    (500, "internal", "Internal error", "a look whether it was carried out, before another try", False),
    (502, "internal", "Internal error", "a look whether it was carried out, before another try", False),
    (503, "unavailable", "Not available now", "another try", True),
    (504, "response_timeout", "Took too long", "a look whether it was carried out, before another try", False),
)
RETRY_AFTER_SECONDS = 2
EARLY = frozenset((400, 408))  # while the request is read


class ProxyError(Exception):
    """The proxy does not do what it is told."""


@dataclass(frozen=True)
class Addresses:
    """Where clients ask, and where each slot listens; `folder` is where the proxy sees var/deploy."""

    bind: str
    blue: str
    green: str
    folder: str = str(FOLDER)


def configuration(addresses: Addresses, active: str | None) -> str:
    """The whole configuration, with requests for `active` alone."""
    seconds = {name: _seconds(f"SERVER_{name}_TIMEOUT_SECONDS", default) for name, default in TIMEOUTS.items()}
    text = Path(__file__).with_name("proxy.cfg").read_text(encoding="utf-8")
    return Template(text).substitute(
        socket=f"unix@{addresses.folder}/{SOCKET.name}",
        bind=addresses.bind,
        header_seconds=seconds["HEADER"],
        idle_seconds=max(seconds["BODY"], seconds["WRITE"]) + 5,
        answer_seconds=seconds["REQUEST"] + 5,
        buffer_bytes=2 * int(setting("SECURITY_MAX_HEADER_BYTES", "32768"))
        + int(setting("SECURITY_MAX_URL_BYTES", "8192")),
        errors="\n".join(_error(addresses.folder, *row, is_retryable=again) for *row, again in ERRORS),
        blue=addresses.blue,
        green=addresses.green,
        blue_is="" if active == "blue" else " disabled",
        green_is="" if active == "green" else " disabled",
    )


TIMEOUTS = {"HEADER": "10.0", "BODY": "10.0", "WRITE": "30.0", "REQUEST": "30.0"}


def _seconds(name: str, default: str) -> int:
    return math.ceil(float(setting(name, default)))


def _error(folder: str, status: int, code: str, title: str, expected: str, *, is_retryable: bool) -> str:
    """A line that makes the proxy answer so. Before a request is read it has no number and knows fixed bytes alone."""
    error = {
        "type": f"/errors/{code}",
        "code": code,
        "title": title,
        "status": status,
        "detail": None,
        "expected": expected,
        "retryable": is_retryable,
        "retry_after": RETRY_AFTER_SECONDS if is_retryable else None,
        "fields": [],
    }
    is_early = status in EARLY
    number = "" if is_early else "%[unique-id]"
    body = json.dumps({"error": error, "meta": {"request_id": number, "api_version": None}})
    headers = {"X-Request-ID": number, "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    headers |= {"Retry-After": str(RETRY_AFTER_SECONDS)} if is_retryable else {}
    if not is_early:
        words = " ".join(f'hdr {name} "{value}"' for name, value in headers.items())
        return f"    http-error status {status} content-type application/json {words} lf-string '{body}'"
    headers |= {"Content-Type": "application/json", "Content-Length": str(len(body)), "Connection": "close"}
    lines = [f"HTTP/1.1 {status} {title}", *(f"{name}: {value}" for name, value in headers.items()), "", body]
    write("\r\n".join(lines), FOLDER / f"{status}.http")
    return f"    errorfile {status} {folder}/{status}.http"


def write(text: str, path: Path = CONFIGURATION) -> None:
    """Put a file there, whole or not at all."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial")
    with partial.open("w", encoding="utf-8", newline="") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def told(command: str) -> str:
    """What the proxy says to a command.

    Raises:
        ProxyError: it does not answer.
    """
    try:
        with contextlib.closing(socket.socket(socket.AF_UNIX)) as line:
            line.settimeout(TIMEOUT_SECONDS)
            line.connect(str(SOCKET))
            line.sendall(f"{command}\n".encode())
            return b"".join(iter(lambda: line.recv(65536), b"")).decode("utf-8", "replace").strip()
    except OSError as error:
        raise ProxyError(f"the proxy does not answer at {SOCKET} ({error}); expected it to run") from None


def is_up() -> bool:
    """Whether it answers."""
    with contextlib.suppress(ProxyError):
        return bool(told("show info"))
    return False


def serve_only(slot: str | None) -> None:
    """Send requests to this slot, and no longer to the other; those that are under way are answered.

    Raises:
        ProxyError: it refused.
    """
    others = [one for one in SLOTS if one != slot]
    orders = ([f"set server slots/{slot} state ready"] if slot else []) + [
        f"set server slots/{one} state maint" for one in others
    ]
    if refusal := told("; ".join(orders)):
        raise ProxyError(f"the proxy refused: {refusal.splitlines()[0]}")


def serving() -> list[str]:
    """The slots that get requests."""
    return [name for name, row in _rows().items() if row["status"].startswith(("UP", "no check"))]


def requests_in(slot: str) -> int:
    """How many requests the slot still answers."""
    return int(_rows()[slot]["scur"] or 0)


def _rows() -> dict[str, dict[str, str]]:
    rows = csv.DictReader(io.StringIO(told("show stat slots 4 -1").lstrip("# ")))
    return {row["svname"]: row for row in rows if row["svname"] in SLOTS}
