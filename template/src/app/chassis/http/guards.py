"""Runs what features put before routes. Imports nothing of the chassis."""

from typing import NoReturn

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.types import Receive, Scope, Send

__all__ = ["let_in", "no_route"]


async def let_in(request: Request) -> None:
    """Ask every guard; what one raises is the answer."""
    for guard in request.app.state.guards:
        await guard(request)


async def no_route(scope: Scope, receive: Receive, send: Send) -> NoReturn:  # noqa: ARG001  # an ASGI application
    """Refuse a path that no route has, once the guards had their say: guessing paths is asking too."""
    await let_in(Request(scope))
    raise HTTPException(404)
