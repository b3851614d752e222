"""Deletes what is old while the service lives. May import engine, work."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from app.chassis.database.engine import Database
from app.chassis.database.work import WriteWork, is_cancelled

__all__ = ["EVERY_SECONDS", "cleaning"]

_log = logging.getLogger(__name__)
EVERY_SECONDS = 600.0


@asynccontextmanager
async def cleaning(
    database: Database,
    room: str,
    forget: Callable[[WriteWork], Awaitable[bool]],
    every_seconds: float = EVERY_SECONDS,
) -> AsyncIterator[None]:
    """Call `forget` again and again, at once while it says that there is more, each time in a work of its own."""

    async def forget_while_we_live() -> None:
        while not is_cancelled():
            await asyncio.sleep(every_seconds)
            try:
                is_more = True
                while is_more and not is_cancelled():
                    async with WriteWork.on(database) as work:
                        is_more = await forget(work)
            except Exception as error:  # noqa: BLE001  # the next time it may be well
                _log.warning("old rows not cleaned", exc_info=error, extra={"room": room})

    task = asyncio.create_task(forget_while_we_live())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
