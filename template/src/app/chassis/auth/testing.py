"""What tests of a service with auth need: keys of the run's own, and a token that opens every door."""

from functools import cache
from typing import Annotated

from fastapi import Depends
from prometheus_client import CollectorRegistry

from app.chassis.auth.access import Issuer, Known, requires
from app.chassis.auth.guards import all_scopes
from app.chassis.auth.keys import KeyRing
from app.chassis.auth.settings import AuthSettings
from app.chassis.auth.store import KeyStore, now
from app.chassis.auth.tokens import Tokens
from app.chassis.http import Caller, Public, Router, Schema
from app.chassis.http.versions import discover_versions

__all__ = ["ENVIRONMENT", "ROUTES", "SUBJECT", "headers", "token"]

ENVIRONMENT = {"AUTH_KEYS": KeyRing.of_one("ES256", now()).dump()}
SUBJECT = "conformance"


@cache
def _tokens() -> Tokens:
    settings = AuthSettings.model_validate({"auth_keys": ENVIRONMENT["AUTH_KEYS"]})
    return Tokens(settings, KeyStore(settings, may_make=False), [], CollectorRegistry())


def token(*scopes: str, subject: str = SUBJECT, seconds: int = 86_400) -> str:
    """A token with these scopes and no others."""
    return _tokens().issue(subject, scopes, seconds=seconds).value


async def _needs_write(_who: Annotated[Caller, requires("probe:write")]) -> None:
    """A dependency of the team's that asks for a scope itself."""


_router = Router(prefix="/-probe", include_in_schema=False)


class _Body(Schema):
    number: int


@_router.get("/known")
async def _known(who: Known) -> dict[str, object]:
    return {"subject": who.subject, "scopes": sorted(who.scopes)}


@_router.post("/scoped")
async def _scoped(_who: Annotated[Caller, requires("probe:write")], body: _Body) -> _Body:
    return body


@_router.get("/both-scoped")
async def _both(_who: Annotated[Caller, requires("probe:read")], _also: Annotated[None, Depends(_needs_write)]) -> None:
    return None


@_router.post("/token")
async def _token(issuer: Issuer) -> dict[str, str]:
    return {"token": issuer.issue(SUBJECT).value}


@_router.get("/anybody")
async def _anybody(who: Public) -> dict[str, object]:
    return {"subject": who.subject}


_inner = Router()


@_inner.post("/inner")
async def _included(_who: Public, body: _Body) -> _Body:
    return body


_router.include_router(_inner, dependencies=[requires("probe:inner")])

ROUTES = _router.routes


def headers() -> dict[str, str]:
    """What a caller sends who may do everything."""
    routers = [router for version in discover_versions("app.api") for router in version.routers]
    return {"Authorization": f"Bearer {token(*all_scopes(routers))}"}
