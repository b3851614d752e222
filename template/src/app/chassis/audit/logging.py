"""What the log of the running service tells of a request. May import checks, target."""

import json
import secrets
import time
from typing import Any

from app.chassis.audit.checks import Finding
from app.chassis.audit.target import Target

__all__ = ["access_line", "planted_secret"]

_WAIT_SECONDS = 3.0
_NOT_SEEN = "not the log of this service: the request does not show; name the file with --log"


def _logged(
    target: Target, method: str, path: str, headers: dict[str, str], body: bytes = b"[]"
) -> tuple[list[bytes], str]:
    """What one request added to the log, and its id; nothing if this is the log of something else."""
    request_id = f"audit-{secrets.token_hex(8)}"
    start = target.log.stat().st_size
    json_body = {"Content-Type": "application/json"} if method == "POST" else {}
    target.ask(method, path, headers | json_body | {"X-Request-ID": request_id}, body if json_body else None)
    until = time.monotonic() + _WAIT_SECONDS
    while time.monotonic() < until:
        with target.log.open("rb") as log:
            log.seek(start)
            lines = log.read().splitlines(keepends=True)
        if any(request_id.encode() in line and line.endswith(b"\n") for line in lines):
            return lines, request_id
        time.sleep(0.05)  # another thread writes the line, after the answer
    return [], request_id


def access_line(target: Target) -> Finding:
    """Found in the log by the id that was sent."""
    if not target.log.is_file():
        return Finding("UNKNOWN", str(target.log), "no such file; name the log with --log")
    lines, request_id = _logged(target, "POST", target.absent, {})
    if not lines:
        return Finding("UNKNOWN", str(target.log), _NOT_SEEN)
    found = [line for raw in lines if (line := _parsed(raw)).get("request_id") == request_id]
    number = sum(line.get("event") == "request" for line in found)
    if not found and not target.is_production:
        return Finding("UNKNOWN", str(target.log), "lines for eyes; audit with LOG_FORMAT=json")
    return Finding("pass" if number == 1 else "FAIL", str(target.log), f"{number} such lines")


def _parsed(raw: bytes) -> dict[str, Any]:
    try:
        line = json.loads(raw)
    except ValueError:
        return {}
    return line if isinstance(line, dict) else {}


def planted_secret(target: Target) -> Finding:
    """Made-up secrets are sent in headers, query and body, then looked for in what the request added to the log."""
    if not target.log.is_file():
        return Finding("UNKNOWN", str(target.log), "no such file; name the log with --log")
    places = ("Authorization", "Cookie", "X-Api-Key", "the query", "the body")
    marks = {place: f"planted{secrets.token_hex(8)}" for place in places}
    body = json.dumps([marks["the body"]]).encode()  # without a name that the log would hide
    sent = {"Authorization": f"Bearer {marks['Authorization']}", "Cookie": f"session_id={marks['Cookie']}"}
    sent["X-Api-Key"] = marks["X-Api-Key"]
    paths = [f"/{version}{path}" for version, one in target.contracts.items() for path in one.get("paths", {})]
    asked = [("POST", target.absent), *(("GET", path) for path in paths if "{" not in path)]
    lines = []
    for method, path in asked[:6]:
        added, _ = _logged(target, method, f"{path}?token={marks['the query']}", sent, body)
        if not added:
            return Finding("UNKNOWN", str(target.log), _NOT_SEEN)
        lines += added
    bad = [place for place, mark in marks.items() if any(mark.encode() in line for line in lines)]
    return Finding("FAIL" if bad else "pass", "requests with five secrets", f"found: {', '.join(bad) or 'none'}")
