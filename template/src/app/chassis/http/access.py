"""Route parameters that say who may come in. May import exchange."""

from typing import Annotated

from fastapi import Depends, Request

from app.chassis.exchange import Caller, Exchange

__all__ = ["Public", "caller_of"]


async def caller_of(request: Request) -> Caller:
    """Who asks; anonymous where nobody knows."""
    exchange: Exchange = request.scope["exchange"]
    return exchange.caller


Public = Annotated[Caller, Depends(caller_of)]
"""Anybody may: the caller, known or anonymous."""
