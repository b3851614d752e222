"""`python -m app mock`: the service itself, but recorded cases answer in place of its routes.

May import errors, exchange, http.
"""

import inspect
import json
import re
from collections.abc import Callable
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute, iter_route_contexts
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from app.chassis.errors import FieldProblem, error_kinds
from app.chassis.exchange import Caller, Exchange
from app.chassis.http.codes import TABLE, CodedHTTPError
from app.chassis.http.idempotency import only_look_at_keys
from app.chassis.http.recordings import Case, cases_of

__all__ = ["mock"]

_PREFERRED = re.compile(r'(code|example)="?([^",;\s]+)')
_prefer: ContextVar[str] = ContextVar("prefer", default="")


def mock(service: Any, folder: Path) -> None:
    """Let recorded cases answer. Input is checked as ever; nothing is asked of the database, nothing is changed.

    `Prefer: example=item_not_found` chooses a case, `Prefer: code=404` the first of a status (RFC 7240); else `ok`.

    Raises:
        ContractError: a file is no case.
    """
    for version, app in service.versions.apps.items():
        cases = cases_of(folder, version)
        for context in iter_route_contexts(app.routes):
            route = context.original_route
            if isinstance(route, APIRoute):
                name = route.operation_id or route.name
                own = [case for case in cases if case.operation == name and case.response is not None]
                only_look_at_keys(route.dependant)
                route.dependant.call = _answering(own, is_async=inspect.iscoroutinefunction(route.endpoint))
    service.state.guards = (_let_in,)
    service.state.health.checks.clear()
    service.add_middleware(_Preference)


class _Anybody(Caller):
    def may(self, *_scopes: str) -> bool:
        return True


_ANYBODY = _Anybody("anybody")


async def _let_in(request: Request) -> None:
    """The one guard of a mock: recorded tokens open no door, and nothing is behind this one."""
    exchange: Exchange = request.scope["exchange"]
    exchange.caller = _ANYBODY


class _Preference:
    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        values = [value.decode("latin-1") for name, value in scope["headers"] if name == b"prefer"]
        _prefer.set(", ".join(values))
        await self._app(scope, receive, send)


def _answering(cases: list[Case], *, is_async: bool) -> Callable[..., Any]:
    def answer(**_arguments: Any) -> Response:
        wanted = dict(_PREFERRED.findall(_prefer.get()))
        for case in sorted(cases, key=lambda case: (case.name != "ok", case.name)):
            if _fits(case, wanted):
                return _recorded(case)
        names = ", ".join(case.name for case in cases) or "a case that `make contract` records"
        raise CodedHTTPError("not_acceptable", "nothing like that is recorded", expected=names)

    async def answer_later(**arguments: Any) -> Response:
        return answer(**arguments)

    return answer_later if is_async else answer


def _fits(case: Case, wanted: dict[str, str]) -> bool:
    assert case.response is not None  # noqa: S101  # only such were given
    if "example" in wanted:
        return case.name == wanted["example"]
    if "code" in wanted:
        return str(case.response.status) == wanted["code"]
    return 200 <= case.response.status < 300


def _recorded(case: Case) -> Response:
    assert case.response is not None  # noqa: S101  # only such were given
    status, body = case.response.status, case.response.body
    headers = {name: value for name, value in case.response.headers.items() if name not in ("content-type", "link")}
    if status >= 400:
        raise _error(case.response.error, headers)
    if status >= 300:
        raise HTTPException(status, headers=headers)
    if body is None:
        return Response(case.response.text, status, headers, case.response.headers.get("content-type"))
    members = body["data"]
    if "page" in body["meta"]:  # as a Page is serialised
        members = {"data": body["data"], "page": body["meta"]["page"]}
    return Response(json.dumps(members, separators=(",", ":")), status, headers, "application/json")


def _error(error: dict[str, Any], headers: dict[str, str]) -> Exception:
    code, detail, expected = error["code"], error["detail"], error["expected"]
    if code in TABLE and code != "validation_failed":
        return CodedHTTPError(code, detail, expected=expected, headers=headers)
    kind = next(kind for kind in error_kinds() if kind.code == code)
    fields = [
        FieldProblem(**{"place": field["in"]} | {k: v for k, v in field.items() if k != "in"})
        for field in error["fields"]
    ]
    return kind(detail, expected=expected, fields=fields, retry_after=error["retry_after"])
