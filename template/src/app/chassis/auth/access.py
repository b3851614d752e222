"""Route parameters that let known callers in, and those that give them tokens. Team code imports from here.

May import exchange, http, refresh, tokens. Source: RFC 6750 §3.
"""

from typing import Annotated, Any

from fastapi import Depends, Request, Security
from fastapi.openapi.models import HTTPBearer
from fastapi.security import SecurityScopes
from fastapi.security.base import SecurityBase

from app.chassis.auth.refresh import RefreshTokenError, RefreshTokens
from app.chassis.auth.tokens import Tokens
from app.chassis.exchange import Caller, Exchange
from app.chassis.http.codes import CodedHTTPError

__all__ = ["Issuer", "Known", "RefreshTokenError", "Renewals", "issuer_of", "known", "require", "requires"]


class _Bearer(SecurityBase):
    """Declares in OpenAPI how a token is sent."""

    def __init__(self) -> None:
        self.model = HTTPBearer(bearerFormat="JWT", description="An access token with the scopes named here.")
        self.scheme_name = "bearer"

    def __call__(self) -> None:
        """Nothing is done here."""


async def known(request: Request, scopes: SecurityScopes, _: Annotated[None, Depends(_Bearer())]) -> Caller:
    """The caller, if its token holds the scopes that the route and its dependencies ask for."""
    exchange: Exchange = request.scope["exchange"]
    require(exchange, tuple(scopes.scopes))
    return exchange.caller


def requires(*scopes: str) -> Any:
    """Let in a caller whose token holds all of the scopes: `Annotated[Caller, requires("items:write")]`.

    Without a good token the answer is 401 `unauthenticated`, without a scope 403 `forbidden`, before the body is read.
    """
    return Security(known, scopes=list(scopes))


Known = Annotated[Caller, requires()]
"""Any caller with a good token."""


def require(exchange: Exchange, scopes: tuple[str, ...]) -> None:
    """Refuse a caller who is not known, or lacks a scope."""
    if exchange.caller_problem is not None:
        raise exchange.caller_problem
    if exchange.caller.subject is None:
        raise CodedHTTPError("unauthenticated", "no token", expected="Authorization: Bearer <access token>")
    if not exchange.caller.may(*scopes):
        needed = " ".join(scopes)
        headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{needed}"'}
        raise CodedHTTPError(
            "forbidden", "the token lacks a scope", expected=f"a token with the scopes: {needed}", headers=headers
        )


async def issuer_of(request: Request) -> Tokens:
    """What issues access tokens."""
    tokens: Tokens = request.app.state.tokens
    return tokens


async def _renewals(request: Request) -> RefreshTokens:
    renewals: RefreshTokens = request.app.state.refresh_tokens
    return renewals


Issuer = Annotated[Tokens, Depends(issuer_of)]
"""What issues access tokens, for the route that a caller logs in by."""
Renewals = Annotated[RefreshTokens, Depends(_renewals)]
"""What keeps refresh tokens."""
