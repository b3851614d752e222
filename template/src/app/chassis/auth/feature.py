"""What auth offers the service: guards, keys in its state, `/.well-known/jwks.json`, its tables.

May import about, feature, guards, http, issuers, keys, refresh, settings, store, tokens.
"""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fastapi import Request, Response
from starlette.datastructures import State

from app.chassis.about import about
from app.chassis.auth.guards import admit, identify, token_givers
from app.chassis.auth.issuers import ExternalIssuer, kept_fresh
from app.chassis.auth.keys import KeysError
from app.chassis.auth.refresh import ROOM, RefreshTokens, forgetting
from app.chassis.auth.store import KeyStore
from app.chassis.auth.tokens import Tokens
from app.chassis.feature import Feature
from app.chassis.http.routing import Router
from app.chassis.settings import SettingsError

__all__ = ["FEATURE"]


def _setup(state: State) -> None:
    settings = state.settings
    try:
        store = KeyStore(settings, may_make=settings.environment != "production")
    except KeysError as error:
        raise SettingsError(str(error)) from None
    if store.current() is None and not settings.auth_external_issuers:
        raise SettingsError(
            f"AUTH_KEYS_FILE: {settings.auth_keys_file} is not there; expected keys that `python -m app keys new` "
            "made, in that file or in AUTH_KEYS, or AUTH_EXTERNAL_ISSUERS"
        )
    if (settings.auth_issuer or about().slug) in settings.auth_external_issuers:
        raise SettingsError("AUTH_EXTERNAL_ISSUERS: names AUTH_ISSUER, which is this service; expected others only")
    givers = token_givers(state.versions.apps.values()) if store.current() is None else []
    if givers:
        raise SettingsError(
            f"AUTH_KEYS_FILE: {settings.auth_keys_file} is not there, but {', '.join(givers)} gives tokens; expected "
            "keys, or no such route: `make remove-sample NAME=accounts` takes the sample's out"
        )
    others = [
        ExternalIssuer(name, url, settings.auth_jwks_cache_seconds)
        for name, url in settings.auth_external_issuers.items()
    ]
    registry = state.metrics.registry
    state.tokens = Tokens(settings, store, others, registry)
    state.refresh_tokens = RefreshTokens(state.database, settings.auth_refresh_token_seconds, registry)


@asynccontextmanager
async def _live(service: Any) -> AsyncIterator[None]:
    """Whoever issues tokens for us must be there when we start; later its keys are known."""
    for issuer, problem in (await service.state.tokens.fetch_keys()).items():
        raise SettingsError(f"AUTH_EXTERNAL_ISSUERS: {issuer} {problem}")
    async with forgetting(service.state.database), kept_fresh(service.state.tokens.issuers):
        yield


def _router() -> Router:
    router = Router(tags=["auth"])

    @router.get("/.well-known/jwks.json", summary="Public keys of this service, RFC 7517", response_class=Response)
    async def jwks(request: Request) -> Response:
        ring = request.app.state.tokens.store.current()
        seconds = request.app.state.settings.auth_jwks_cache_seconds
        headers = {"Cache-Control": f"public, max-age={seconds}"}
        keys = {"keys": []} if ring is None else ring.published()
        return Response(json.dumps(keys), headers=headers, media_type="application/jwk-set+json")

    return router


FEATURE = Feature(
    "auth",
    setup=_setup,
    guard=identify,
    admit=admit,
    lifespan=_live,
    routers=[_router()],
    exposed_headers=["WWW-Authenticate"],
    migrations=ROOM,
)
