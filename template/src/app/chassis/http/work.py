"""Route parameters that give a route its unit of work. May import database and exchange."""

from typing import Annotated

from fastapi import Depends, Request

from app.chassis.database.work import ReadWork, WriteWork
from app.chassis.exchange import Exchange

__all__ = ["Read", "Write", "finish_works"]


async def _read(request: Request) -> ReadWork:
    works = request.scope["exchange"].works
    if ReadWork not in works:
        works[ReadWork] = ReadWork(request.app.state.database)
    work: ReadWork = works[ReadWork]
    return work


async def _write(request: Request) -> WriteWork:
    works = request.scope["exchange"].works
    if WriteWork not in works:
        works[WriteWork] = WriteWork(request.app.state.database)
    work: WriteWork = works[WriteWork]
    return work


Read = Annotated[ReadWork, Depends(_read)]
Write = Annotated[WriteWork, Depends(_write)]


async def finish_works(exchange: Exchange, *, is_good: bool) -> None:
    """Commit (or roll back) what the request's works did, and give their connections back.

    Once a commit begins the request timeout no longer strikes, so a 504 always means: nothing was saved.
    """
    works, exchange.works = exchange.works, {}
    if is_good:
        exchange.disarm_deadline()
    for work in works.values():
        await work.finish(is_good=is_good)
