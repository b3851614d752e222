"""How much one request may cost. May import checks, target, contract, features."""

import re
from typing import Any

from app.chassis.audit.checks import Finding, judged
from app.chassis.audit.target import NoAnswerError, Target
from app.chassis.contract.operations import operations_of
from app.chassis.features import FEATURES

__all__ = ["body_size", "header_size", "page_size", "request_rate", "running", "stalled", "url_size"]

_BODY_BYTES = 104_857_600
_LINE_BYTES = 70_000
_STALLED_SECONDS = 30.0
_ANSWER_SECONDS, _IN_FLIGHT, _PER_SECOND = 120.0, 1_000, 1_000


def _refused(target: Target, data: bytes, status: int, probed: str, timeout_seconds: float = 10.0) -> Finding:
    try:
        answer = target.send(data, timeout_seconds)
    except NoAnswerError as error:
        return Finding("FAIL" if "Timeout" in str(error) else "UNKNOWN", probed, str(error))
    return Finding("pass" if answer.status == status else "FAIL", probed, f"answered {answer.status}")


def body_size(target: Target) -> Finding:
    """Announced by its length; nothing follows."""
    lines = ("Content-Type: application/json", f"Content-Length: {_BODY_BYTES}", "Connection: close")
    return _refused(target, target.head("POST", target.absent, *lines), 413, f"POST with a length of {_BODY_BYTES}")


def url_size(target: Target) -> Finding:
    """The path that is asked does not exist."""
    path = f"{target.absent}?{'a' * _LINE_BYTES}"
    data = target.head("GET", path, "Connection: close")
    return _refused(target, data, 414, f"GET with {_LINE_BYTES} bytes of query")


def header_size(target: Target) -> Finding:
    """In one header; the sum is what counts."""
    lines = (f"X-Audit: {'a' * _LINE_BYTES}", "Connection: close")
    return _refused(target, target.head("GET", target.absent, *lines), 431, f"GET with {_LINE_BYTES} bytes of headers")


def stalled(target: Target) -> Finding:
    """Half of a request; the connection is held and nothing more is sent."""
    half = target.head("GET", target.absent)[:-2]
    return _refused(target, half, 408, "GET without the end of its headers", _STALLED_SECONDS)


def running(target: Target) -> Finding:
    """To provoke these refusals would harm those who use the service; its settings tell."""
    seconds, number = target.settings.server_request_timeout_seconds, target.settings.server_max_in_flight
    is_good, found = seconds <= _ANSWER_SECONDS and number <= _IN_FLIGHT, f"{seconds:g} seconds, {number} at once"
    return Finding("pass" if is_good else "FAIL", "the settings of this folder", found)


def page_size(target: Target) -> Finding:
    """A caller that has to say who it is gets no further here: then the contract alone tells."""
    bad: list[str] = []
    unclear: list[str] = []
    seen = 0
    for version, contract in target.contracts.items():
        for one in operations_of(contract).values():
            limit = one.parameters.get(("query", "limit"))
            if one.method != "GET" or limit is None:
                continue
            seen += 1
            largest = _maximum(limit["schema"])
            if largest is None:
                bad.append(f"{one} has no maximum")
            elif "{" not in one.template:
                status = target.ask("GET", f"/{version}{one.template}?limit={int(largest) + 1}").status
                if status == 401:
                    continue
                (unclear if status >= 500 else bad if status != 422 else []).append(f"{one} answered {status}")
    if not seen:
        return Finding("UNKNOWN", "the contracts", "no operation takes a `limit`")
    return judged(f"{seen} lists, one row more than they give", bad, unclear, "refused or declared")


def _maximum(schema: dict[str, Any]) -> float | None:
    found = [part["maximum"] for part in (schema, *schema.get("anyOf", ())) if "maximum" in part]
    return max(found) if found else None


def request_rate(target: Target) -> Finding:
    """Without the feature the proxy in front may count; that is not seen from here."""
    paths = [f"/{version}{path}" for version, one in target.contracts.items() for path in one.get("paths", {})]
    plain = [path for path in paths if "{" not in path]
    if "rate_limit" not in FEATURES or not plain:
        return Finding("UNKNOWN", "the features here", "nothing counts requests; does a proxy in front?")
    answer = target.ask("GET", plain[0])
    if not any(name.removeprefix("x-").startswith("ratelimit") for name, _ in answer.headers):
        return Finding("FAIL", f"GET {plain[0]}", "no such header")
    windows = [dict(re.findall(r";\s*([qw])=(\d+)", one)) for one in answer.header("ratelimit-policy").split(",")]
    rates = [int(one["q"]) / max(int(one["w"]), 1) for one in windows if len(one) == 2]
    is_good = not rates or min(rates) <= _PER_SECOND
    return Finding("pass" if is_good else "FAIL", f"GET {plain[0]}", answer.header("ratelimit-policy") or "told")
