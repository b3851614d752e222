"""The router teams use: bodies parsed strictly, work committed, answers put into the envelope.

May import codes, cursor, envelope, exchange, failures, guards, idempotency, paging, work.
"""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.params import Form
from fastapi.routing import APIRoute, iter_route_contexts
from pydantic_core import from_json
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.cursor import filters_of
from app.chassis.http.envelope import wrap_data
from app.chassis.http.failures import WRITES
from app.chassis.http.guards import let_in
from app.chassis.http.idempotency import Replay, takes_key
from app.chassis.http.paging import Page, page_links, wrap_page
from app.chassis.http.work import finish_works, has_write

__all__ = ["EnvelopeRoute", "ProbeRoute", "Router", "require_envelopes"]

_JSON, _FORM = "application/json", "multipart/form-data"
_OF_A_BODY = ("content-type", "content-length")
_Handler = Callable[[Request], Coroutine[Any, Any, Response]]


class _JsonRequest(Request):
    """A request whose JSON is RFC 8259 JSON: UTF-8, no NaN, no lone surrogates, bounded depth and digits."""

    async def json(self) -> Any:
        body = await self.body()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError as error:
            # The parser's words name a place, never the input.
            raise CodedHTTPError("json_malformed", str(error), expected="JSON as RFC 8259 has it") from None


def _require_content_type(scope: Scope, is_form: bool) -> None:
    content_type = encoding = b""
    has_body = False
    for name, value in scope["headers"]:
        if name == b"content-type":
            content_type = value.partition(b";")[0].strip().lower()
        elif name == b"content-encoding":
            encoding = value.strip().lower()
        elif (name == b"content-length" and value.strip() != b"0") or name == b"transfer-encoding":
            has_body = True
    if not has_body:
        return
    if encoding not in (b"", b"identity"):
        raise CodedHTTPError("content_encoding_unsupported", expected="a body without Content-Encoding")
    if is_form:
        fits, expected = content_type in (b"multipart/form-data", b"application/x-www-form-urlencoded"), _FORM
    else:
        fits = content_type.startswith(b"application/") and (content_type.endswith((b"/json", b"+json")))
        expected = _JSON
    if not fits:
        raise CodedHTTPError("content_type_unsupported", expected=f"Content-Type: {expected}")


class EnvelopeRoute(APIRoute):
    """A route whose JSON answers are spliced into the envelope, byte by byte, after its work is committed."""

    is_guarded = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.filters = filters_of(self.dependant)
        if has_write(self.dependant):
            self.openapi_extra = {**(self.openapi_extra or {}), WRITES: True}

    def get_route_handler(self) -> _Handler:
        """Wrap FastAPI's handler; what it serialised is never parsed again."""
        handler = super().get_route_handler()
        body_field = self.body_field
        is_page = isinstance(self.response_model, type) and issubclass(self.response_model, Page)
        is_form = body_field is not None and isinstance(body_field.field_info, Form)
        has_key = takes_key(self.dependant)

        async def answer(request: Request) -> Response:
            scope = request.scope
            exchange: Exchange = scope["exchange"]
            try:
                await self._let_in(request)
                if body_field is not None:
                    _require_content_type(scope, is_form)
                if body_field is not None or scope["method"] != "GET":
                    request = _JsonRequest(scope, request.receive, request._send)  # noqa: SLF001  # no public way
                if has_key:
                    await request.body()  # a form would leave nothing to tell it from another request
                return await _saved(await handler(request), scope, exchange, is_page)
            except Replay as replay:
                await finish_works(exchange, is_good=False)
                return replay.response
            except BaseException as error:
                if exchange.works:
                    await finish_works(exchange, is_good=False)
                if isinstance(error, SystemExit | KeyboardInterrupt):
                    # In a task that some middleware starts, these would stop the service before the edge sees them.
                    raise RuntimeError("a route tried to stop the process") from error  # noqa: TRY004
                raise

        return answer

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or refuse a method of a path that has others: that too is asked as often as a caller likes."""
        if scope["method"] not in (self.methods or ()) and scope["method"] != "OPTIONS":  # a preflight asks for nothing
            await self._let_in(Request(scope))
        await super().handle(scope, receive, send)

    async def _let_in(self, request: Request) -> None:
        if self.is_guarded:
            await let_in(request)


async def _saved(response: Response, scope: Scope, exchange: Exchange, is_page: bool) -> Response:
    """The answer in its envelope, once the work that it tells of is committed."""
    if response.status_code >= 400:
        raise _as_error(response)  # rolls back like any other
    if exchange.works:
        # What dependencies of the function's scope do after it may fail, so it comes before the commit.
        await scope["fastapi_function_astack"].aclose()
    enveloped = _enveloped(response, scope, exchange, is_page)
    if exchange.claim is not None:
        await exchange.claim.keep(enveloped)
    if exchange.works:
        await finish_works(exchange, is_good=True)
    return enveloped


def _as_error(response: Response) -> HTTPException:
    """A hand-made error answer has no code: the table gives it one and the envelope. Its other headers stay."""
    headers = {name: value for name, value in response.headers.items() if name not in _OF_A_BODY}
    return HTTPException(response.status_code, "", headers)


def _enveloped(response: Response, scope: Scope, exchange: Exchange, is_page: bool) -> Response:
    headers = response.raw_headers
    if response.status_code in (204, 304):
        # A client would take a body for the beginning of the next answer.
        empty = Response(None, response.status_code, background=response.background)
        empty.raw_headers = [pair for pair in headers if pair[0].decode("latin-1") not in _OF_A_BODY]
        return empty
    if not hasattr(response, "body") or (
        response.media_type != _JSON and not response.headers.get("content-type", "").startswith(_JSON)
    ):
        return response
    if is_page:
        response.body, page = wrap_page(bytes(response.body), exchange)
        headers.append((b"link", page_links(scope, page)))
    else:
        response.body = wrap_data(bytes(response.body), exchange)
    for index, (name, _) in enumerate(headers):
        if name == b"content-length":
            headers[index] = (name, b"%d" % len(response.body))
            break
    return response


class ProbeRoute(EnvelopeRoute):
    """A route for whoever watches the service: no guard stands before it."""

    is_guarded = False


def require_envelopes(app: FastAPI) -> None:
    """Raise TypeError if a route of `app` was made by another router: it has no envelope and saves no work."""
    for context in iter_route_contexts(app.routes):
        route = context.original_route
        is_known = isinstance(route, EnvelopeRoute) or context.path == app.openapi_url
        if isinstance(route, Route | WebSocketRoute) and not is_known:
            raise TypeError(
                f"{context.path}: found a route that app.chassis.http.Router did not make; expected one that it made, "
                "or app.mount() for an application that speaks another language"
            )


class Router(APIRouter):
    """Router of one `routes.py`. Operation ids are the functions' names, so they must be unique in a version."""

    def __init__(self, **arguments: Any) -> None:
        arguments.setdefault("route_class", EnvelopeRoute)
        arguments.setdefault("generate_unique_id_function", lambda route: route.name)
        arguments.setdefault("redirect_slashes", False)
        super().__init__(**arguments)
