"""`Idempotency-Key`: a request that is sent again gets the answer of the first.

May import codes, database, exchange, failures, work.
"""

import hashlib
import re
from datetime import timedelta
from typing import Annotated

from fastapi import Depends, Header, Request
from fastapi.dependencies.models import Dependant
from pydantic.json_schema import SkipJsonSchema
from starlette.responses import Response

from app.chassis.database.idempotency import InFlightError, Kept, find, keep
from app.chassis.database.work import WriteWork
from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.failures import REQUIRED
from app.chassis.http.work import Write

__all__ = ["Claim", "IdempotencyKey", "Replay", "RequiredIdempotencyKey", "only_look_at_keys", "takes_key"]

_KEY = re.compile(r'(?P<quote>"?)(?P<key>[!#-~]{1,255})(?P=quote)')  # a token, or the string of the draft
_DECLARED = {"pattern": '^([!#-~]{1,255}|"[!#-~]{1,255}")$', "maxLength": 257}
_EXPECTED = "Idempotency-Key: 1 to 255 visible ASCII characters, new for each thing to be done, such as a UUID"
_Given = Annotated[str | SkipJsonSchema[None], Header(alias="Idempotency-Key", json_schema_extra=_DECLARED)]
_Wanted = Annotated[
    str | SkipJsonSchema[None], Header(alias="Idempotency-Key", json_schema_extra={**_DECLARED, REQUIRED: True})
]


class Replay(Exception):  # noqa: N818  # no failure: it ends a request whose answer is there already
    """Carries the answer that was kept."""

    def __init__(self, kept: Kept) -> None:
        super().__init__("answered before")
        self.response = Response(kept.body, kept.status)
        pairs = (line.split(b": ", 1) for line in kept.headers.split(b"\n") if line)
        self.response.raw_headers = [(name, value) for name, value in pairs] + [(b"idempotent-replayed", b"true")]


class Claim:
    """A key that this request holds until its work ends."""

    def __init__(self, work: WriteWork, subject: str | None, key: str, fingerprint: str) -> None:
        self._work, self._subject, self._key, self._fingerprint = work, subject, key, fingerprint

    async def keep(self, response: Response) -> None:
        """Save the answer with the work. What is sent in parts is not kept: that is a mistake of the route."""
        if not isinstance(getattr(response, "body", None), bytes):
            raise TypeError("a route with an Idempotency-Key answered with a stream; expected one that can be kept")
        headers = b"\n".join(name + b": " + value for name, value in response.raw_headers)
        kept = Kept(self._fingerprint, response.status_code, headers, bytes(response.body))
        await keep(self._work, self._subject, self._key, kept)


async def _claim(request: Request, work: Write, key: _Given = None) -> None:
    sane = _sane(request, key)
    if sane is None:
        return
    exchange: Exchange = request.scope["exchange"]
    subject = exchange.caller.subject
    max_age = timedelta(hours=request.app.state.settings.idempotency_keep_hours)
    fingerprint = await _fingerprint(request)
    try:
        kept = await find(work, subject, sane, max_age)
    except InFlightError:
        raise CodedHTTPError(
            "idempotency_key_in_use", expected="the same request, a little later", headers={"Retry-After": "1"}
        ) from None
    if kept is None:
        exchange.claim = Claim(work, subject, sane, fingerprint)
    elif kept.fingerprint == fingerprint:
        raise Replay(kept)
    else:
        raise CodedHTTPError("idempotency_key_reused", expected="another key for another request")


async def _required(request: Request, work: Write, key: _Wanted = None) -> None:
    await _claim(request, work, _given(key))


def _given(key: str | None) -> str:
    if key is None:
        raise CodedHTTPError("idempotency_key_required", expected=_EXPECTED)
    return key


def _sane(request: Request, key: str | None) -> str | None:
    """The key, which must be sent once."""
    if key is None:
        return None
    sane = _KEY.fullmatch(key.strip())
    if sane is None or len(request.headers.getlist("idempotency-key")) > 1:
        raise CodedHTTPError("idempotency_key_malformed", expected=_EXPECTED)
    exchange: Exchange = request.scope["exchange"]
    exchange.has_idempotency_key = True
    return sane["key"]


async def _looked_at(request: Request, work: Write, key: _Given = None) -> None:  # noqa: ARG001  # as the one it replaces
    _sane(request, key)


async def _required_and_looked_at(request: Request, work: Write, key: _Wanted = None) -> None:  # noqa: ARG001  # as above
    _sane(request, _given(key))


async def _fingerprint(request: Request) -> str:
    """Method, URL, content type and body: what makes it the same request."""
    scope = request.scope
    parts = (scope["method"], scope["path"], scope["query_string"].hex(), request.headers.get("content-type", ""))
    digest = hashlib.sha256(repr(parts).encode())
    digest.update(await request.body())
    return digest.hexdigest()


def takes_key(dependant: Dependant) -> bool:
    """Whether a route has one of the parameters below."""
    return dependant.call in (_claim, _required) or any(map(takes_key, dependant.dependencies))


def only_look_at_keys(dependant: Dependant) -> None:
    """From now on a route asks no more of a key than its form, as the mock does: nothing is kept, nothing is found."""
    for inner in dependant.dependencies:
        if inner.call is _claim:
            inner.call = _looked_at
        elif inner.call is _required:
            inner.call = _required_and_looked_at
        only_look_at_keys(inner)


IdempotencyKey = Annotated[None, Depends(_claim)]
RequiredIdempotencyKey = Annotated[None, Depends(_required)]
