"""The unit of work: one transaction, opened at the first query; read or write is its type.

May import engine, errors.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Self

from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.ext.asyncio import AsyncSession

from app.chassis.database.engine import Database
from app.chassis.errors import ServiceError

__all__ = ["ReadWork", "WriteWork", "is_cancelled"]


_FAREWELL_SECONDS = 5.0  # for a connection that is given up in the middle of a commit


def is_cancelled() -> bool:
    """Whether this task was asked to end: a commit goes on to its end, and who works in a loop asks afterwards."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class ReadWork:
    """A consistent look at the data; the database refuses writes. Ends with the request that asked for it."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._session: AsyncSession | None = None
        self._is_over = False

    @property
    def session(self) -> AsyncSession:
        """SQLAlchemy session; connects at its first statement.

        Raises:
            RuntimeError: the work is over, as in a background task or a stream: nothing would ever be saved.
        """
        if self._session is None:
            if self._is_over:
                raise RuntimeError("this work is over; expected a work of its own: `async with WriteWork.on(database)`")
            self._session = self._open()
        return self._session

    def _open(self) -> AsyncSession:
        return self._database.read_session()

    async def release(self) -> None:
        """Give the connection back before something slow that is no query; the next query sees the data anew."""
        await self.finish(is_good=True)
        self._is_over = False

    async def finish(self, *, is_good: bool) -> None:
        """Give the connection back; a WriteWork commits first if all went well."""
        session, self._session, self._is_over = self._session, None, True
        if session is None:
            return
        try:
            if is_good:
                await self._commit(session)
        except BaseException:
            # SQLite keeps a transaction open whose commit failed, and SQLAlchemy would hand it to the next request.
            await session.invalidate()
            raise
        finally:
            await session.close()

    async def _commit(self, session: AsyncSession) -> None:
        await session.commit()

    @classmethod
    @asynccontextmanager
    async def on(cls, database: Database) -> AsyncIterator[Self]:
        """Work outside a request (commands, jobs): commits at the end, rolls back on any error."""
        work = cls(database)
        try:
            yield work
        except BaseException:
            await work.finish(is_good=False)
            raise
        await work.finish(is_good=True)


class WriteWork(ReadWork):
    """Changes that are saved together or not at all: committed before the answer is sent."""

    def _open(self) -> AsyncSession:
        return self._database.write_session()

    async def release(self) -> None:
        """Not of changes: they are saved together, at the end.

        Raises:
            RuntimeError: always.
        """
        raise RuntimeError("a WriteWork saves once, at its end; expected a ReadWork for what is read before")

    async def _commit(self, session: AsyncSession) -> None:
        """Commit to the end: the database's own thread would go on, whoever is cancelled here."""
        commit = asyncio.ensure_future(session.commit())
        until = asyncio.get_running_loop().time() + self._database.commit_seconds
        try:
            while not commit.done() and (left := until - asyncio.get_running_loop().time()) > 0:
                with suppress(asyncio.CancelledError):
                    await asyncio.wait({commit}, timeout=left)
            if not commit.done():
                commit.cancel()
                await asyncio.wait({commit}, timeout=_FAREWELL_SECONDS)
                raise ServiceError("the database did not say whether it saved")
            commit.result()
        except DBAPIError as error:
            if not error.connection_invalidated or isinstance(error, InterfaceError):  # then it was never asked
                raise
            # Nobody can say whether it was saved: that is no refusal, which could be sent again.
            raise ServiceError("the database went away while it saved") from error
