"""Route parameters that give a route its unit of work. May import database, exchange."""

from typing import Annotated, TypeVar

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant

from app.chassis.database.work import ReadWork, WriteWork
from app.chassis.exchange import Exchange

__all__ = ["Read", "Write", "finish_works", "has_write"]

W = TypeVar("W", bound=ReadWork)


def _work(request: Request, kind: type[W]) -> W:
    exchange: Exchange = request.scope["exchange"]
    if kind not in exchange.works:
        exchange.works[kind] = kind(request.app.state.database)
    work: W = exchange.works[kind]
    return work


async def _read(request: Request) -> ReadWork:
    return _work(request, ReadWork)


async def _write(request: Request) -> WriteWork:
    return _work(request, WriteWork)


Read = Annotated[ReadWork, Depends(_read)]
Write = Annotated[WriteWork, Depends(_write)]


def has_write(dependant: Dependant) -> bool:
    """Whether a route, or a dependency of it, takes a `Write`."""
    return dependant.call is _write or any(map(has_write, dependant.dependencies))


async def finish_works(exchange: Exchange, *, is_good: bool) -> None:
    """Commit (or roll back) what the request's works did, and give their connections back.

    Once a commit begins the request timeout no longer strikes, so a 504 always means: nothing was saved.
    """
    works, exchange.works = exchange.works, {}
    # What is saved comes last: a reader that fails after it would say "try again" of a thing that is done.
    left = sorted(works.values(), key=lambda work: isinstance(work, WriteWork))
    try:
        while left:
            if is_good and isinstance(left[0], WriteWork):
                exchange.disarm_deadline()
            await left.pop(0).finish(is_good=is_good)
    finally:
        for work in left:  # one failed: the others are rolled back, and no connection stays out
            await work.finish(is_good=False)
