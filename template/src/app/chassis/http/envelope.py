"""The one shape of every answer: `{"data", "meta"}` or `{"error", "meta"}`. May import codes, errors, exchange."""

from collections.abc import Sequence
from dataclasses import asdict

from pydantic import BaseModel, ConfigDict, Field
from pydantic_core import to_json

from app.chassis.errors import FieldProblem, Place
from app.chassis.exchange import Exchange
from app.chassis.http.codes import TABLE, Row, is_retryable

__all__ = [
    "CursorPageMeta",
    "ErrorBody",
    "ErrorEnvelope",
    "ErrorField",
    "Meta",
    "PageMeta",
    "Problem",
    "error_bytes",
    "error_type",
    "meta_bytes",
    "wrap_data",
]


class _Wire(BaseModel):
    model_config = ConfigDict(json_schema_serialization_defaults_required=True)


class PageMeta(_Wire):
    """Where a list answer stands: this page, its limit, how many things and pages there are."""

    page: int = Field(examples=[1])
    limit: int = Field(examples=[20])
    total: int = Field(examples=[42])
    pages: int = Field(examples=[3])


class CursorPageMeta(PageMeta):
    """The same of a list that can be walked by cursor: where the next page begins; null on the last.

    On a page that was asked by cursor, `total` and `pages` are those of the beginning of the walk.
    """

    next_cursor: str | None = Field(examples=["AWoP3y9rQlsiaXRlbXMuaWQgZGVzYyIsWzNdLDIsNDJd"])


class Meta(_Wire):
    """What is true of the answer itself."""

    request_id: str = Field(examples=["5f1c0e9a7b3d4c218e6f0a9b8c7d6e5f"])
    api_version: str | None = Field(examples=["v1"])


class ErrorField(_Wire):
    """One wrong input. `pointer` is a JSON pointer (RFC 6901) into `in`."""

    place: Place = Field(alias="in", examples=["body"])
    pointer: str = Field(examples=["/name"])
    code: str = Field(examples=["string_too_short"])
    detail: str = Field(examples=["is too short"])
    expected: str = Field(examples=["at least 3 characters"])


class ErrorBody(_Wire):
    """What failed, what was expected, whether a retry is safe. An RFC 9457 problem with extension members."""

    type: str = Field(examples=["/errors/validation_failed"])
    code: str = Field(examples=["validation_failed"])
    title: str = Field(examples=["Input not valid"])
    status: int = Field(examples=[422])
    detail: str | None = Field(examples=["1 field is not valid"])
    expected: str | None = Field(examples=["see fields"])
    retryable: bool = Field(examples=[False])
    retry_after: int | None = Field(description="Seconds", examples=[None])
    fields: list[ErrorField] = Field(examples=[[]])


class ErrorEnvelope(_Wire):
    """Every answer with a status of 400 or more."""

    error: ErrorBody
    meta: Meta


class Problem(ErrorBody, Meta):
    """The same error as an RFC 9457 document, for who accepts `application/problem+json`."""


def meta_bytes(exchange: Exchange) -> bytes:
    """Members of `meta`, without the braces. The request id is made of safe characters only."""
    version = b"null" if exchange.api_version is None else b'"%s"' % exchange.api_version.encode("ascii")
    return b'"request_id":"%s","api_version":%s' % (exchange.request_id.encode("ascii"), version)


def wrap_data(data: bytes, exchange: Exchange) -> bytes:
    """Put already serialised JSON into the success envelope; nothing is parsed or validated again."""
    return b'{"data":%s,"meta":{%s}}' % (data or b"null", meta_bytes(exchange))


def error_bytes(
    exchange: Exchange,
    code: str,
    *,
    detail: str | None = None,
    expected: str | None = None,
    row: Row | None = None,
    retry_after: int | None = None,
    fields: Sequence[FieldProblem] = (),
) -> bytes:
    """Serialised error for a code of the table (`row` when the code is a domain's own), as the caller accepts it."""
    row = row or TABLE[code]
    error = {
        "type": f"/errors/{code}",
        "code": code,
        "title": row.title,
        "status": row.status,
        "detail": detail,
        "expected": expected,
        "retryable": is_retryable(row, exchange.method, has_idempotency_key=exchange.has_idempotency_key),
        "retry_after": retry_after,
        "fields": [_field(problem) for problem in fields],
    }
    if exchange.wants_problem:
        return b"%s,%s}" % (to_json(error)[:-1], meta_bytes(exchange))
    return b'{"error":%s,"meta":{%s}}' % (to_json(error), meta_bytes(exchange))


def error_type(exchange: Exchange) -> str:
    """Content type of what `error_bytes` makes for this caller (RFC 9457 §3)."""
    return "application/problem+json" if exchange.wants_problem else "application/json"


def _field(problem: FieldProblem) -> dict[str, str]:
    members = asdict(problem)
    return {"in": members.pop("place"), **members}
