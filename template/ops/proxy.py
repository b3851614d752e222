"""The proxy before the two slots: its configuration, and who gets the requests. Standard library only.

It is nginx. It looks with each request which of two files is there: so requests move in one step, and after a restart
they go where they went before.
"""

import json
import math
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from string import Template

from settings import setting

FOLDER = Path("var/deploy")
FLAGS = FOLDER / "proxy"  # alone, so that a proxy in a container sees this and nothing else
CONFIGURATION = FLAGS / "proxy.conf"
CANDIDATE = FLAGS / "proxy.conf.new"
SLOTS = ("blue", "green")  # where both files are there, the last counts: proxy.conf looks in this order
TIMEOUTS = {"HEADER": "10.0", "BODY": "10.0", "WRITE": "30.0", "REQUEST": "30.0"}
# Answers of the proxy itself, in the service's envelope: status, code and title as in docs/chassis/errors.md, what is
# expected, whether to try again; where the request may have been carried out, nobody should without a look.
ERRORS = (
    (400, "http_malformed", "Not an HTTP request", "a request as in RFC 9112", False),
    (404, "route_not_found", "No such path", "a path this service documents", False),
    (405, "method_not_allowed", "Method not allowed", "a method that the path has", False),
    (408, "request_timeout", "Request came too slowly", "headers and body in time", True),
    (414, "url_too_long", "URL too long", "at most SECURITY_MAX_URL_BYTES", False),
    (431, "headers_too_large", "Headers too large", "at most SECURITY_MAX_HEADER_BYTES", False),
    (500, "internal", "Internal error", "a look whether it was carried out, before another try", False),
    (502, "internal", "Internal error", "a look whether it was carried out, before another try", False),
    (503, "unavailable", "Not available now", "another try", True),
    (504, "response_timeout", "Took too long", "a look whether it was carried out, before another try", False),
)
# 494 is what nginx calls headers that are too large; 501 and 505 are of what no HTTP/1.1 is: a coding, a version.
ALSO = {400: "400 501 505", 431: "494"}
RETRY_AFTER_SECONDS = 2


@dataclass(frozen=True)
class Addresses:
    """Where clients ask, where each slot listens, where the proxy sees its folder, and where it may write.

    With a resolver the slots are names, which are asked for again and again: what is behind them comes and goes.
    """

    bind: str
    blue: str
    green: str
    folder: str
    scratch: str
    resolver: str = ""

    @property
    def upstreams(self) -> str:
        """What says of the slots where they are."""
        if self.resolver:
            return f"    resolver {self.resolver} valid=1s ipv6=off;\n    resolver_timeout 2s;"
        slots = zip(SLOTS, (self.blue, self.green), strict=True)
        return "\n\n".join(
            f"    upstream {slot} {{\n        server {place};\n        keepalive 64;\n    }}" for slot, place in slots
        )


def configuration(addresses: Addresses) -> str:
    """The whole configuration.

    Raises:
        ValueError: a setting is no number.
    """
    seconds = {name: _number(f"SERVER_{name}_TIMEOUT_SECONDS", TIMEOUTS[name]) for name in TIMEOUTS}
    sizes = [_number(*each) for each in (("SECURITY_MAX_HEADER_BYTES", "32768"), ("SECURITY_MAX_URL_BYTES", "8192"))]
    return Template(Path(__file__).with_name("proxy.conf").read_text(encoding="utf-8")).substitute(
        bind=addresses.bind,
        folder=addresses.folder,
        scratch=addresses.scratch,
        upstreams=addresses.upstreams,
        blue=addresses.blue if addresses.resolver else "blue",
        green=addresses.green if addresses.resolver else "green",
        # A name has no connections that are kept: the slot closes them, so that the proxy does not run out of ports.
        connection="close" if addresses.resolver else "",
        # Where root starts it, its workers would be somebody who may not look into the folder.
        user="user root;" if os.geteuid() == 0 and not addresses.resolver else "",
        header_seconds=seconds["HEADER"] + 5,
        idle_seconds=max(seconds["BODY"], seconds["WRITE"]) + 5,
        answer_seconds=seconds["REQUEST"] + 5,
        buffer_bytes=2 * sum(sizes),
        errors="\n".join(_error(*row) for row in ERRORS),
    )


def _number(name: str, default: str) -> int:
    text = setting(name, default)
    try:
        return math.ceil(float(text))
    except (ValueError, OverflowError):
        raise ValueError(f"{name}: {text!r} is no number; expected such as {default}") from None


def _error(status: int, code: str, title: str, expected: str, is_retryable: bool) -> str:
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
    body = json.dumps({"error": error, "meta": {"request_id": "$request_id", "api_version": None}})
    headers = {"X-Request-ID": "$request_id", "Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}
    headers["Content-Security-Policy"] = "default-src 'none'; frame-ancestors 'none'"
    headers |= {"Retry-After": str(RETRY_AFTER_SECONDS)} if is_retryable else {}
    path = f"/-proxy/{status}"  # a named location would not do: of what is no HTTP there is no path to keep
    lines = [f"        error_page {ALSO.get(status, status)} = {path};", f"        location = {path} {{"]
    lines.append("            internal;")
    if status == 502:  # nobody took it: as if no slot were there
        lines.append("            if ($upstream_bytes_sent = 0) {\n                return 503;\n            }")
    lines += [f'            add_header {name} "{value}" always;' for name, value in headers.items()]
    return "\n".join([*lines, f"            return {status} '{body}';", "        }"])


def is_new(text: str) -> bool:
    """Whether this is another configuration than the one that is there."""
    return not CONFIGURATION.exists() or CONFIGURATION.read_text("utf-8") != text


def write(text: str, place: Path = CONFIGURATION) -> None:
    """Put the configuration there, whole or not at all; the user of a container may read it."""
    FLAGS.mkdir(parents=True, exist_ok=True)
    FLAGS.chmod(0o755)
    partial = place.with_suffix(".partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.chmod(0o644)
    partial.replace(place)


def serve_only(slot: str | None) -> None:
    """Send requests to this slot, and no longer to the other; those that are under way are answered.

    Raises:
        OSError: it cannot be written.
    """
    if slot:
        FLAGS.mkdir(parents=True, exist_ok=True)
        _to(slot).touch()
    for other in SLOTS:
        if other != slot:
            with suppress(FileNotFoundError):
                _to(other).unlink()


def serving() -> str | None:
    """The slot that gets the requests."""
    return next((slot for slot in reversed(SLOTS) if _to(slot).exists()), None)


def _to(slot: str) -> Path:
    return FLAGS / f"to-{slot}"
