"""PostgreSQL: one pool, lent to readers as read-only snapshots. May import about, errors, settings."""

import re
from functools import partial
from typing import Any

import asyncpg  # type: ignore[import-untyped]
from sqlalchemy import event
from sqlalchemy.exc import DisconnectionError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from app.chassis.about import about
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import UnavailableError

__all__ = ["postgresql_engines"]

_DRIVER_ERRORS = (
    OSError,
    TimeoutError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server's farewell has come and its end of the connection has not
)
_QUOTED = re.compile(r""""[^"]*"|: (?s:.*?)(?= \(value out of \w+ range\)\Z|\Z)""")


def postgresql_engines(settings: DatabaseSettings) -> tuple[AsyncEngine, AsyncEngine]:
    """The writing engine and the reading one, which share a pool; a reader sees one moment and cannot write.

    Writers see what others committed meanwhile (READ COMMITTED): who changes what it read, reads it `with_for_update`.
    """
    writer = create_async_engine(
        settings.database_url,
        pool_size=settings.database_pool_size,
        max_overflow=settings.database_pool_overflow,
        pool_timeout=settings.database_busy_timeout_seconds,
        hide_parameters=True,
        connect_args={
            "async_creator_fn": _connect,
            "timeout": settings.database_connect_timeout_seconds,
            "server_settings": {
                "application_name": about().slug,
                "timezone": "UTC",
                "statement_timeout": str(int(settings.database_statement_timeout_seconds * 1000)),
                "lock_timeout": str(int(settings.database_busy_timeout_seconds * 1000)),
            },
        },
    )
    ping_seconds = settings.database_connect_timeout_seconds if settings.database_pool_pre_ping else None
    event.listen(writer.sync_engine, "checkout", partial(_require_alive, ping_seconds))
    event.listen(writer.sync_engine, "handle_error", _hide_values)
    return writer, writer.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)


async def _connect(*arguments: Any, **options: Any) -> Any:
    """Raises UnavailableError: the driver tells of a server that is gone or full in errors of five families."""
    try:
        return await asyncpg.connect(*arguments, **options)
    except _DRIVER_ERRORS as error:
        raise UnavailableError(
            "the database does not answer", expected="the same request, a little later", retry_after=1
        ) from error


def _require_alive(ping_seconds: float | None, connection: Any, record: Any, _proxy: Any) -> None:
    """What the server closed is never lent, ping or no ping. The pool's own ping asks three times, in a transaction."""
    if connection.driver_connection.is_closed():
        raise DisconnectionError("closed by the server")
    is_used = record.info.setdefault("is_used", False)
    record.info["is_used"] = True
    if ping_seconds is None or not is_used:
        return
    try:
        connection.run_async(lambda driver: driver.execute("SELECT 1", timeout=ping_seconds))
    except _DRIVER_ERRORS as error:
        raise InvalidatePoolError("does not answer") from error


def _hide_values(context: Any) -> None:
    """Errors of this database quote the row that they are about; a log must not."""
    failure = context.original_exception
    told = failure.__cause__
    if isinstance(told, asyncpg.InternalClientError):
        context.is_disconnect = True  # the driver lost the thread, as when a server is killed while it answers
    if not isinstance(told, asyncpg.PostgresError | asyncpg.InterfaceError):
        return
    told.detail = None
    if (getattr(told, "sqlstate", None) or "22").startswith("22") and told.args:
        words = _QUOTED.sub("", str(told.args[0]))
        told.args = failure.args = (words,)
        if context.sqlalchemy_exception is not None:
            context.sqlalchemy_exception.args = (f"({type(failure).__name__}) {words}",)
