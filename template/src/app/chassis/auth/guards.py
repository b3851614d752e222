"""What stands before every route: finds out who asks, and refuses whom the route would refuse.

May import access, errors, exchange, http, tokens.
"""

from collections.abc import Iterable
from typing import Any

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from app.chassis.auth.access import issuer_of, known, require
from app.chassis.auth.tokens import Tokens
from app.chassis.errors import UnavailableError
from app.chassis.exchange import Exchange
from app.chassis.http.access import caller_of
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.routing import EnvelopeRoute

__all__ = ["admit", "all_scopes", "identify", "is_public", "token_givers", "wanted"]

_scopes_of: dict[int, tuple[Any, tuple[str, ...] | None]] = {}  # by route, which is held, so the number is no other's


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
    # A route of a router that another one includes: FastAPI tells so what both ask for.
    route = request.scope.get("fastapi", {}).get("effective_route_context") or request.scope.get("route")
    if id(route) not in _scopes_of:
        dependant = getattr(route, "dependant", None)
        _scopes_of[id(route)] = route, None if dependant is None else wanted(dependant)
    if (scopes := _scopes_of[id(route)][1]) is not None:
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
    contexts = (context for part in parts for context in iter_route_contexts(part.routes))
    asking = (context.dependant for context in contexts if isinstance(context.original_route, EnvelopeRoute))
    return tuple(sorted({scope for dependant in asking for scope in wanted(dependant) or ()}))


def token_givers(parts: Iterable[Any]) -> list[str]:
    """Names of the routes of these apps or routers that issue tokens."""
    contexts = (context for part in parts for context in iter_route_contexts(part.routes))
    routes = (context for context in contexts if isinstance(context.original_route, EnvelopeRoute))
    return sorted(str(context.name) for context in routes if _takes(context.dependant, issuer_of))


def is_public(dependant: Dependant) -> bool:
    """Whether a route says that it takes anybody."""
    return _takes(dependant, caller_of)


def _takes(dependant: Dependant, call: Any) -> bool:
    return dependant.call is call or any(_takes(inner, call) for inner in dependant.dependencies)
