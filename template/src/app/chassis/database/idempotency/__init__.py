"""Answers kept for retries: a key's row is saved in the same transaction as the work it stands for.

May import cleaning, columns, engine, feature, work. Source of the idea: IETF draft-ietf-httpapi-idempotency-key-header.
"""

import hashlib
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import Index, LargeBinary, MetaData, SmallInteger, String, delete, insert, select, text, tuple_
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.chassis.database.cleaning import EVERY_SECONDS, cleaning
from app.chassis.database.columns import UtcDateTime, utc_now
from app.chassis.database.engine import Database
from app.chassis.database.work import WriteWork
from app.chassis.feature import MigrationRoom

__all__ = ["ROOM", "InFlightError", "Kept", "find", "forget", "forgetting", "keep"]

_AT_ONCE = 1_000


class _Base(DeclarativeBase):
    metadata = MetaData()


class _Row(_Base):
    __tablename__ = "chassis_idempotency_keys"
    __table_args__ = (Index("ix_chassis_idempotency_keys_kept_at", "kept_at"),)

    scope: Mapped[str] = mapped_column(String(64), primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    fingerprint: Mapped[str] = mapped_column(String(64))
    status: Mapped[int] = mapped_column(SmallInteger)
    headers: Mapped[bytes] = mapped_column(LargeBinary)
    body: Mapped[bytes] = mapped_column(LargeBinary)
    kept_at: Mapped[datetime] = mapped_column(UtcDateTime)


ROOM = MigrationRoom("idempotency", _Base.metadata, Path(__file__).parent)


@dataclass(frozen=True, slots=True)
class Kept:
    """An answer: fingerprint of the request it belongs to, status, headers as `name: value` lines, body."""

    fingerprint: str
    status: int
    headers: bytes
    body: bytes


class InFlightError(Exception):
    """A request with that key is under way in another connection."""


async def find(work: WriteWork, subject: str | None, key: str, max_age: timedelta) -> Kept | None:
    """The answer kept for the key of that caller; holds the key until the work ends.

    SQLite's writers come one after the other, so there a second request waits for the first and finds its answer.

    Raises:
        InFlightError: another request holds it.
    """
    scope, session = _scope(subject), work.session
    if session.get_bind().dialect.name == "postgresql":
        lock = text("SELECT pg_try_advisory_xact_lock(hashtextextended(:name, 0))")
        if not await session.scalar(lock, {"name": f"{scope} {key}"}):
            raise InFlightError
    row = await session.get(_Row, (scope, key))
    if row is not None and row.kept_at < utc_now() - max_age:
        await session.execute(delete(_Row).where(_Row.scope == scope, _Row.key == key))
        return None
    return None if row is None else Kept(row.fingerprint, row.status, row.headers, row.body)


async def keep(work: WriteWork, subject: str | None, key: str, answer: Kept) -> None:
    """Save an answer with the work: both or neither."""
    values = {"fingerprint": answer.fingerprint, "status": answer.status, "headers": answer.headers}
    row = {"scope": _scope(subject), "key": key, **values, "body": answer.body, "kept_at": utc_now()}
    await work.session.execute(insert(_Row).values(row))


async def forget(work: WriteWork, max_age: timedelta) -> int:
    """Delete up to 1,000 answers that are older; returns how many."""
    old = select(_Row.scope, _Row.key).where(_Row.kept_at < utc_now() - max_age).limit(_AT_ONCE)
    # One statement: between two, a key that is old could be used again, and its new answer would go.
    done: Any = await work.session.execute(
        delete(_Row).where(tuple_(_Row.scope, _Row.key).in_(old)), execution_options={"synchronize_session": False}
    )
    return int(done.rowcount)


def forgetting(
    database: Database, max_age: timedelta, every_seconds: float = EVERY_SECONDS
) -> AbstractAsyncContextManager[None]:
    """While the service lives, what is older is deleted again and again."""

    async def is_more(work: WriteWork) -> bool:
        return await forget(work, max_age) == _AT_ONCE

    return cleaning(database, "idempotency", is_more, every_seconds)


def _scope(subject: str | None) -> str:
    """Callers never share keys. Of one who is not known all have one scope: there the key is all that is known."""
    return "" if subject is None else hashlib.sha256(subject.encode()).hexdigest()
