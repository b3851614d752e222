"""Which error codes a route answers with, declared for its clients.

May import codes, envelope, errors, exchange, feature.
"""

from collections.abc import Iterable
from typing import Any

from pydantic_core import from_json

from app.chassis.errors import error_kinds
from app.chassis.exchange import Exchange
from app.chassis.feature import loaded_features
from app.chassis.http.codes import TABLE, Retry, Row, is_retryable, row_of
from app.chassis.http.envelope import error_bytes

__all__ = ["DERIVED", "REQUIRED", "WRITES", "codes_of", "error_example", "fails_with", "known_rows"]

REQUIRED = "x-required"
"""Mark of a header whose absence has a code of its own, so that FastAPI must not miss it."""
WRITES = "x-writes"
"""Mark of an operation whose route has a `Write`, between FastAPI's document and ours."""

# What any route can answer before or instead of its own work; what never reaches a route is in no contract.
_ANY = (
    "url_invalid", "host_not_allowed", "api_version_conflict", "body_too_large",
    "internal", "unavailable", "overloaded", "response_timeout",
)  # fmt: skip
_WITH_BODY = ("body_malformed", "request_timeout", "content_type_unsupported", "content_encoding_unsupported")
_WITH_VERSION = ("bad_request", "precondition_failed", "precondition_required")
_WITH_KEY = ("idempotency_key_malformed", "idempotency_key_in_use", "idempotency_key_reused")
_WITH_WRITE = ("conflict", "validation_failed")  # a constraint of a table says no
_WITH_CALLER = ("unauthenticated", "forbidden")
DERIVED = frozenset(
    (*_ANY, *_WITH_BODY, *_WITH_VERSION, *_WITH_KEY, *_WITH_WRITE, *_WITH_CALLER, "json_malformed", "too_many_requests")
)
"""Codes that a route has by its signature alone."""
_DECLARED = "x-codes"


def known_rows() -> dict[str, Row]:
    """Every code of the table, then those of the domains that are imported, each with its row."""
    rows = dict(TABLE)
    for kind in error_kinds():
        rows.setdefault(kind.code, row_of(kind))
    return rows


def fails_with(*codes: str) -> dict[int | str, dict[str, Any]]:
    """Declare the codes a route's own work fails with: `responses=fails_with("item_not_found")`.

    What the chassis answers for any route, its body, its parameters or `If-Match`, is declared without a word.

    Raises:
        ValueError: no imported error has such a code.
    """
    rows, responses = known_rows(), dict[int | str, dict[str, Any]]()
    for code in codes:
        if code not in rows:
            raise ValueError(f"found the code {code!r}; expected one of an error that this file's service imports")
        response = responses.setdefault(rows[code].status, {"description": rows[code].title, _DECLARED: []})
        response[_DECLARED].append(code)
    return responses


def codes_of(operation: dict[str, Any]) -> list[str]:
    """Codes an operation of FastAPI's document answers with, in order of status; its `x-codes` are taken out."""
    own = [code for response in operation["responses"].values() for code in response.pop(_DECLARED, ())]
    codes = {*_ANY, *own, *(code for feature in loaded_features() for code in feature.codes)}
    if requirements := operation.get("security"):
        codes |= set(_WITH_CALLER if any(any(one.values()) for one in requirements) else _WITH_CALLER[:1])
    if operation.pop(WRITES, False):
        codes |= set(_WITH_WRITE)
    parameters = operation.get("parameters", ())
    if "requestBody" in operation:
        is_json = "application/json" in operation["requestBody"]["content"]
        codes |= {*_WITH_BODY, "json_malformed" if is_json else "bad_request"}
    if "requestBody" in operation or parameters:
        codes.add("validation_failed")
    if any(p["in"] == "header" and p["name"].lower() == "if-match" for p in parameters):
        codes |= set(_WITH_VERSION)
    for key in (p for p in parameters if p["in"] == "header" and p["name"].lower() == "idempotency-key"):
        codes |= {*_WITH_KEY, *(["idempotency_key_required"] if key.get("required") else ())}
    return _in_order(codes)


def _in_order(codes: Iterable[str]) -> list[str]:
    rows = known_rows()
    return sorted(codes, key=lambda code: (rows[code].status, code in TABLE, code))


def error_example(code: str, row: Row, method: str, version: str) -> tuple[str, dict[str, Any]]:
    """Name and value of an example answer, made by what makes the real one; methods of one retry rule share it."""
    name = code
    if row.retry is Retry.IF_IDEMPOTENT and is_retryable(row, method, has_idempotency_key=False):
        name = f"{code}_retryable"
    exchange = Exchange(request_id="0" * 32, method=method, api_version=version)
    retry_after = 1 if row.status == 503 else None
    value = from_json(error_bytes(exchange, code, row=row, retry_after=retry_after))
    return name, {"summary": row.title, "value": value}
