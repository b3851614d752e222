"""What stands before every route: finds out who asks, and refuses whom the route would refuse.

May import access, errors, exchange, http, tokens.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant

from app.chassis.auth.access import known, require
from app.chassis.auth.tokens import Tokens
from app.chassis.errors import UnavailableError
from app.chassis.exchange import Exchange
from app.chassis.http.access import caller_of
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.routing import EnvelopeRoute

__all__ = ["admit", "all_scopes", "identify", "is_public", "wanted"]

_scopes_of: dict[int, tuple[str, ...] | None] = {}  # by route; they live as long as the process


async def identify(request: Request) -> None:
    """Guard: who bears the token. A bad one is nobody's: only a route that asks for a caller refuses it."""
    exchange: Exchange = request.scope["exchange"]
    sent = [value for name, value in request.scope["headers"] if name == b"authorization"]
    if not sent:
        return
    tokens: Tokens = request.app.state.tokens
    if len(sent) > 1 or sent[0][:7].lower() != b"bearer ":
        exchange.caller_problem = tokens.refusal("scheme")
        return
    try:
        exchange.caller = await tokens.caller(sent[0][7:].strip())
    except (CodedHTTPError, UnavailableError) as problem:
        exchange.caller_problem = problem


async def admit(request: Request) -> None:
    """Guard, after all others: a caller that the route would refuse is refused before its body is read."""
    route = request.scope.get("route")
    if id(route) not in _scopes_of:
        _scopes_of[id(route)] = None if route is None else wanted(route.dependant)
    if (scopes := _scopes_of[id(route)]) is not None:
        require(request.scope["exchange"], scopes)


def wanted(dependant: Dependant) -> tuple[str, ...] | None:
    """Scopes that a route asks for; None if it asks for no known caller."""
    found = [scopes for scopes in map(wanted, dependant.dependencies) if scopes is not None]
    if dependant.call is not known and not found:
        return None
    scopes = (*(dependant.own_oauth_scopes or ()), *(scope for scopes in found for scope in scopes))
    return tuple(dict.fromkeys(scopes))


def all_scopes(parts: Iterable[Any]) -> tuple[str, ...]:
    """Every scope that a route of these apps or routers asks for."""
    dependants = [route.dependant for part in parts for route in part.routes if isinstance(route, EnvelopeRoute)]
    return tuple(sorted({scope for one in dependants for scope in wanted(one) or ()}))


def is_public(dependant: Dependant) -> bool:
    """Whether a route says that it takes anybody."""
    return dependant.call is caller_of or any(map(is_public, dependant.dependencies))
