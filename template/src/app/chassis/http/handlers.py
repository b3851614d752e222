"""Turns every raised error into an envelope. May import allow, codes, envelope, errors, exchange, fields, security."""

import logging
from collections.abc import Mapping

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from app.chassis.errors import ServiceError
from app.chassis.exchange import Exchange
from app.chassis.http.allow import allowed_methods
from app.chassis.http.codes import TABLE, CodedHTTPError, Row, code_for_status, row_of
from app.chassis.http.envelope import error_bytes, error_type
from app.chassis.http.fields import MAX_FIELDS, field_problems
from app.chassis.security.cors import preflight_headers

__all__ = ["install_handlers"]

_log = logging.getLogger(__name__)


def install_handlers(app: FastAPI) -> None:
    """Register the handlers; whatever they do not know goes up to the edge and is `internal`."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(RequestValidationError, _validation_error)


def _answer(request: Request, body: bytes, status: int, headers: Mapping[str, str] | None = None) -> Response:
    _exchange(request).is_error_told = True  # any other error answer is replaced by the edge
    return Response(body, status, headers, media_type=error_type(_exchange(request)))


async def _service_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ServiceError)  # noqa: S101  # registered for this type
    row, headers = row_of(error), {}
    if row.status >= 500 and error.code != "not_ready":  # a failed check has told its own story
        level = logging.WARNING if row.status == 503 else logging.ERROR
        cause = error.__cause__ or (error if error.code == "internal" else None)
        _log.log(level, "request failed", exc_info=cause, extra={"code": error.code})
    if row.status == 401:
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 §11.6.1 wants one
    if error.retry_after is not None:
        headers["Retry-After"] = str(error.retry_after)
    is_told = row.status < 500 or error.code != "internal"
    body = error_bytes(
        _exchange(request),
        error.code if is_told else "internal",
        detail=error.detail if is_told else None,
        expected=error.expected if is_told else None,
        row=row,
        retry_after=error.retry_after,
        fields=error.fields,
    )
    return _answer(request, body, row.status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this type
    exchange, status, headers = _exchange(request), error.status_code, dict(error.headers or {})
    if status < 300:
        raise error  # a success is returned, not raised: a mistake of ours
    if status < 400:
        return Response(status_code=status, headers=headers)
    if status == 401 and "www-authenticate" not in map(str.lower, headers):
        headers["WWW-Authenticate"] = "Bearer"  # RFC 9110 §11.6.1 wants one
    retry_after = next((value for name, value in headers.items() if name.lower() == "retry-after"), "")
    seconds = int(retry_after) if retry_after.isdigit() else None
    if isinstance(error, CodedHTTPError):
        body = error_bytes(exchange, error.code, detail=error.detail, expected=error.expected, retry_after=seconds)
        return _answer(request, body, status, headers)
    if status == 404 and "route" not in request.scope:
        return _answer(request, error_bytes(exchange, "route_not_found", expected="a path this service documents"), 404)
    if status == 405:
        return _wrong_method(request, exchange)
    code = code_for_status(status)
    row = Row(status, TABLE[code].title, TABLE[code].retry)
    detail = error.detail if status < 500 and error.detail and isinstance(error.detail, str) else None
    body = error_bytes(exchange, code, detail=detail, row=row, retry_after=seconds)
    return _answer(request, body, status, headers)


def _wrong_method(request: Request, exchange: Exchange) -> Response:
    allow = ", ".join(allowed_methods(request.app, request.scope))
    if request.method == "OPTIONS":
        is_preflight = "access-control-request-method" in request.headers
        return Response(status_code=204, headers={"Allow": allow} | (preflight_headers(allow) if is_preflight else {}))
    return _answer(request, error_bytes(exchange, "method_not_allowed", expected=allow), 405, {"Allow": allow})


async def _validation_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this type
    errors = error.errors()
    detail = f"{len(errors)} input{' is' if len(errors) == 1 else 's are'} not valid"
    if len(errors) > MAX_FIELDS:
        detail += f"; the first {MAX_FIELDS} are listed"
    body = error_bytes(
        _exchange(request), "validation_failed", detail=detail, expected="see fields", fields=field_problems(errors)
    )
    return _answer(request, body, 422)


def _exchange(request: Request) -> Exchange:
    exchange: Exchange = request.scope["exchange"]
    return exchange
