"""The one table: error code -> status, title, whether a retry is safe. May import errors."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from starlette.exceptions import HTTPException

from app.chassis.errors import ServiceError

__all__ = ["TABLE", "CodedHTTPError", "Retry", "Row", "code_for_status", "is_retryable", "row_of"]


class Retry(Enum):
    """When the same request may be sent again: refused before any work, only if idempotent, or never."""

    SAFE = "safe"
    IF_IDEMPOTENT = "if_idempotent"
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class Row:
    """What HTTP says of a code."""

    status: int
    title: str
    retry: Retry = Retry.NEVER


# Statuses: RFC 9110 §15, RFC 6585 (428, 429, 431), RFC 9110 §15.5.9 (408).
TABLE: dict[str, Row] = {
    "http_malformed": Row(400, "Not an HTTP request"),
    "url_invalid": Row(400, "URL not valid"),
    "host_not_allowed": Row(400, "Host not served here"),
    "json_malformed": Row(400, "Body is not JSON"),
    "body_malformed": Row(400, "Body could not be read"),
    "api_version_unknown": Row(400, "API version unknown"),
    "api_version_conflict": Row(400, "Two API versions asked for"),
    "idempotency_key_malformed": Row(400, "Idempotency-Key not valid"),
    "idempotency_key_required": Row(400, "Idempotency-Key missing"),
    "bad_request": Row(400, "Bad request"),
    "unauthenticated": Row(401, "Not authenticated"),
    "forbidden": Row(403, "Not allowed"),
    "route_not_found": Row(404, "No such path"),
    "not_found": Row(404, "Not found"),
    "method_not_allowed": Row(405, "Method not allowed"),
    "not_acceptable": Row(406, "No such representation"),
    "request_timeout": Row(408, "Request came too slowly", Retry.SAFE),
    "idempotency_key_in_use": Row(409, "That request is under way", Retry.SAFE),
    "conflict": Row(409, "Conflict"),
    "gone": Row(410, "Gone"),
    "api_version_sunset": Row(410, "API version no longer served"),
    "precondition_failed": Row(412, "It changed since you read it"),
    "body_too_large": Row(413, "Body too large"),
    "url_too_long": Row(414, "URL too long"),
    "content_type_unsupported": Row(415, "Content type not supported"),
    "content_encoding_unsupported": Row(415, "Content encoding not supported"),
    "idempotency_key_reused": Row(422, "Idempotency-Key used for another request"),
    "validation_failed": Row(422, "Input not valid"),
    "precondition_required": Row(428, "Say which state you change"),
    "too_many_requests": Row(429, "Too many requests", Retry.SAFE),
    "headers_too_large": Row(431, "Headers too large"),
    "internal": Row(500, "Internal error", Retry.IF_IDEMPOTENT),
    "unavailable": Row(503, "Not available now", Retry.SAFE),
    "overloaded": Row(503, "Too many requests at once", Retry.SAFE),
    "not_ready": Row(503, "Not ready", Retry.SAFE),
    "response_timeout": Row(504, "Took too long", Retry.IF_IDEMPOTENT),
}

# What a bare HTTPException(status) means, where several codes share a status.
_BY_STATUS = {
    400: "bad_request", 404: "not_found", 409: "conflict", 410: "gone", 415: "content_type_unsupported",
    422: "validation_failed", 503: "unavailable",
}  # fmt: skip
_IDEMPOTENT = {"GET", "HEAD", "PUT", "DELETE", "OPTIONS"}  # RFC 9110 §9.2.2


class CodedHTTPError(HTTPException):
    """An HTTP-level refusal with a code of the table; FastAPI lets an HTTPException pass through its body parsing."""

    def __init__(
        self,
        code: str,
        detail: str | None = None,
        *,
        expected: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(TABLE[code].status, detail, headers)
        self.detail = detail  # type: ignore[assignment]  # Starlette would put the status' name here
        self.code = code
        self.expected = expected


def row_of(error: ServiceError | type[ServiceError]) -> Row:
    """Row of the error's own code, else of its kind; a title on the class wins. Unknown codes are `internal`."""
    row = TABLE.get(error.code) or TABLE.get(error.kind) or TABLE["internal"]
    return Row(row.status, error.title, row.retry) if error.title else row


def code_for_status(status: int) -> str:
    """Code for an HTTP status raised without one; 5xx is `internal`, an unlisted 4xx `bad_request`."""
    if status in _BY_STATUS:
        return _BY_STATUS[status]
    listed = (code for code, row in TABLE.items() if row.status == status)
    return next(listed, "bad_request" if status < 500 else "internal")


def is_retryable(row: Row, method: str, *, has_idempotency_key: bool) -> bool:
    """Whether sending the very same request again is safe. Computed, never set by hand."""
    if row.retry is Retry.IF_IDEMPOTENT:
        return method in _IDEMPOTENT or has_idempotency_key
    return row.retry is Retry.SAFE
