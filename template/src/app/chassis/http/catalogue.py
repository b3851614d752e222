"""What each error code means, for people: `/errors`, where the `type` of an error leads, and docs/chassis/errors.md.

May import codes, errors, failures, routing.
"""

from pydantic import BaseModel

from app.chassis.errors import error_kinds
from app.chassis.http.codes import TABLE, CodedHTTPError, Retry
from app.chassis.http.failures import known_rows
from app.chassis.http.routing import Router

__all__ = ["MEANINGS", "ErrorMeaning", "catalogue", "catalogue_page", "catalogue_router"]

MEANINGS: dict[str, str] = {
    "http_malformed": "The bytes are no HTTP/1.1 request. Look at the client or the proxy in between.",
    "url_invalid": "The URL holds a NUL. Send it without %00.",
    "host_not_allowed": "The service is not reached by that host name. Use the address you were given.",
    "json_malformed": "The body is not JSON as RFC 8259 has it: broken, not UTF-8, NaN or Infinity, or too deep.",
    "body_malformed": "The body was announced in chunks that cannot be read.",
    "api_version_unknown": "No such API version. `expected` names those that are served.",
    "api_version_conflict": "Path and X-API-Version name two versions. Name one.",
    "idempotency_key_malformed": "An Idempotency-Key has 1 to 255 visible ASCII characters. Nothing was done.",
    "idempotency_key_required": "This route wants an Idempotency-Key, so that a retry does not do it twice.",
    "bad_request": "The request cannot be understood. `detail` says what.",
    "unauthenticated": "Nobody is known by these credentials, or there were none.",
    "forbidden": "The caller is known and may not do this.",
    "route_not_found": "No route has that path. Look for a slash too many.",
    "not_found": "The thing does not exist, or the caller may not know that it does.",
    "method_not_allowed": "The path has other methods. `Allow` names them.",
    "not_acceptable": "The answer has no form that `Accept` takes.",
    "request_timeout": "Headers or body came too slowly. Nothing was done; send it again.",
    "idempotency_key_in_use": "The first request with that key is under way. Send it again; its answer will come.",
    "conflict": "The change clashes with what is there. Read it and decide again.",
    "gone": "The thing existed and is gone for good.",
    "api_version_sunset": "That API version is not served any more. `expected` names those that are.",
    "precondition_failed": "The thing changed since it was read. Read it again, then repeat the change.",
    "body_too_large": "The body is larger than the limit in `expected`.",
    "url_too_long": "The URL is longer than the limit in `expected`.",
    "content_type_unsupported": "The body has another content type than the one in `expected`.",
    "content_encoding_unsupported": "Encoded bodies are not unpacked. Send it plain.",
    "idempotency_key_reused": "That key was used for another request. A new thing to do needs a new key.",
    "validation_failed": "Input breaks a rule. `fields` names each: where it stands, what is wrong, what is expected.",
    "precondition_required": "A change must say which state it means. Send If-Match with the ETag that was read.",
    "too_many_requests": "This caller asks too often. Nothing was done; send it again after `retry_after`.",
    "headers_too_large": "The headers together are larger than the limit in `expected`.",
    "internal": "A failure of the service. Report the request id.",
    "unavailable": "Something the service needs does not answer. Nothing was done; send it again after `retry_after`.",
    "overloaded": "Too many requests are being answered. Nothing was done; send it again after `retry_after`.",
    "not_ready": "The service is starting, stopping, or lacks something. Only probes ask this.",
    "response_timeout": "The answer took too long. Nothing was saved.",
}


class ErrorMeaning(BaseModel):
    """One error code."""

    code: str
    status: int
    title: str
    retry: Retry
    meaning: str


def catalogue() -> list[ErrorMeaning]:
    """Every code of the chassis, then those of the domains, whose docstrings are their meaning."""
    meanings = {kind.code: " ".join((kind.__doc__ or "").split()) for kind in error_kinds()} | MEANINGS
    return [
        ErrorMeaning(code=code, status=row.status, title=row.title, retry=row.retry, meaning=meanings[code])
        for code, row in known_rows().items()
    ]


def catalogue_page() -> str:
    """The chassis' codes as the Markdown table of docs/chassis/errors.md."""
    lines = ["| code | status | again? | what it means |", "|---|---|---|---|"]
    words = {Retry.SAFE: "yes", Retry.IF_IDEMPOTENT: "if idempotent", Retry.NEVER: "no"}
    known = [error for error in catalogue() if error.code in TABLE]
    lines += [f"| `{error.code}` | {error.status} | {words[error.retry]} | {error.meaning} |" for error in known]
    return "\n".join(lines)


def catalogue_router() -> Router:
    """`/errors` and `/errors/{code}`."""
    router = Router(tags=["errors"])

    @router.get("/errors", summary="Every error code and what it means")
    async def errors() -> list[ErrorMeaning]:
        return catalogue()

    @router.get("/errors/{code}", summary="What one error code means")
    async def error(code: str) -> ErrorMeaning:
        for known in catalogue():
            if known.code == code:
                return known
        raise CodedHTTPError("not_found", "no such error code", expected="a code that /errors lists")

    return router
