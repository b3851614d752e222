"""Refresh tokens: each is used once and followed by the next; one that comes again ends its whole family.

May import database, errors, feature. Sources: RFC 6749 §6, RFC 9700 §4.14.2.
"""

import hashlib
import hmac
import logging
import re
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Collection
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter
from sqlalchemy import Index, LargeBinary, MetaData, String, delete, select, update
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.chassis.database.cleaning import cleaning
from app.chassis.database.columns import UtcDateTime, utc_now
from app.chassis.database.engine import Database
from app.chassis.database.work import WriteWork
from app.chassis.errors import UnauthenticatedError
from app.chassis.feature import MigrationRoom

__all__ = ["ROOM", "RefreshTokenError", "RefreshTokens", "Used", "forget", "forgetting"]

_log = logging.getLogger(__name__)
_AGAIN_SECONDS = 30  # an answer may be lost: so long the same token has the same successor
_AT_ONCE = 1_000
_TOKEN = re.compile(r"([\w-]{22})\.([\w-]{43})", re.ASCII)


class _Base(DeclarativeBase):
    metadata = MetaData()


class _Family(_Base):
    __tablename__ = "chassis_auth_refresh_families"
    __table_args__ = (
        Index("ix_chassis_auth_refresh_families_expires_at", "expires_at"),
        Index("ix_chassis_auth_refresh_families_subject", "subject"),
    )

    id: Mapped[str] = mapped_column(String(22), primary_key=True)
    subject: Mapped[str] = mapped_column(String(255))
    scopes: Mapped[str] = mapped_column(String(4096))
    salt: Mapped[bytes] = mapped_column(LargeBinary)
    current: Mapped[bytes] = mapped_column(LargeBinary)
    previous: Mapped[bytes] = mapped_column(LargeBinary)
    rotated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ended_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


ROOM = MigrationRoom("auth", _Base.metadata, Path(__file__).parent)
_NOBODY = _Family(id="", salt=b"", current=b"-" * 32, previous=b"-" * 32)


class RefreshTokenError(UnauthenticatedError):
    """The refresh token is not known, was used before, or is over."""

    code = "refresh_token_invalid"
    title = "Refresh token not valid"


@dataclass(frozen=True, slots=True)
class Used:
    """What a refresh token stood for, and its successor."""

    subject: str
    scopes: tuple[str, ...]
    token: str


class RefreshTokens:
    """Families of refresh tokens, one a log-in, kept as digests only."""

    def __init__(self, database: Database, good_seconds: float, registry: CollectorRegistry) -> None:
        self._database = database
        self._good = timedelta(seconds=good_seconds)
        self._reused = Counter(
            "auth_refresh_reuse_total", "Refresh tokens that came again; each ended its family", registry=registry
        )

    async def begin(self, work: WriteWork, subject: str, scopes: Collection[str]) -> str:
        """First token of a new family, saved with the work."""
        family, secret, now = secrets.token_urlsafe(16), secrets.token_urlsafe(32), utc_now()
        digests = {"current": _digest(secret), "previous": b"-" * 32, "salt": secrets.token_bytes(32)}
        times = {"rotated_at": now, "expires_at": now + self._good}
        row = _Family(id=family, subject=subject, scopes=" ".join(scopes), ended_at=None, **digests, **times)
        work.session.add(row)
        await work.session.flush()
        return f"{family}.{secret}"

    async def use(self, token: str) -> Used:
        """Replace a token by its successor, in a work of its own: an ended family stays ended, whatever is answered.

        Raises:
            RefreshTokenError: it is not known, or is over, or came again, which ends its family.
        """
        family, secret = _parts(token)
        async with WriteWork.on(self._database) as work:
            found = await work.session.get(_Family, family, with_for_update=True)
            used = self._successor(found or _NOBODY, secret)
        if used is None:
            raise RefreshTokenError("the refresh token is not good any more", expected="a new log-in")
        return used

    def _successor(self, row: _Family, secret: str) -> Used | None:
        """One road for tokens that are unknown, wrong or good."""
        now, digest = utc_now(), _digest(secret)
        is_current = hmac.compare_digest(digest, row.current)
        is_previous = hmac.compare_digest(digest, row.previous)
        successor = urlsafe_b64encode(hmac.digest(row.salt or b"-", secret.encode(), "sha256")).decode().rstrip("=")
        if row is _NOBODY or row.ended_at is not None or row.expires_at <= now:
            return None
        if is_current:
            row.previous, row.current, row.rotated_at = row.current, _digest(successor), now
        elif not (is_previous and row.rotated_at + timedelta(seconds=_AGAIN_SECONDS) > now):
            row.ended_at = now
            self._reused.inc()
            _log.warning("a refresh token came again: its family is ended", extra={"subject": row.subject})
            return None
        return Used(row.subject, tuple(row.scopes.split()), f"{row.id}.{successor}")

    async def end(self, token: str) -> None:
        """Log out: the token's family is over, also by one of its older tokens. One that is not known is nobody's."""
        family, _ = _parts(token)
        mine = update(_Family).where(_Family.id == family, _Family.ended_at.is_(None))
        async with WriteWork.on(self._database) as work:
            await work.session.execute(mine.values(ended_at=utc_now()))

    async def end_all(self, work: WriteWork, subject: str) -> None:
        """Every family of a caller is over, as after a change of password; saved with the work."""
        mine = update(_Family).where(_Family.subject == subject, _Family.ended_at.is_(None))
        await work.session.execute(mine.values(ended_at=utc_now()))


async def forget(work: WriteWork) -> bool:
    """Delete up to 1,000 families that are over; says whether there may be more."""
    old = select(_Family.id).where(_Family.expires_at < utc_now()).limit(_AT_ONCE)
    gone: Any = await work.session.execute(
        delete(_Family).where(_Family.id.in_(old)), execution_options={"synchronize_session": False}
    )
    return bool(gone.rowcount == _AT_ONCE)


def forgetting(database: Database) -> AbstractAsyncContextManager[None]:
    """While the service lives, families that are over are deleted."""
    return cleaning(database, "auth", forget)


def _parts(token: str) -> tuple[str, str]:
    """Family and secret; of what is no such token the family is one that nobody has."""
    found = _TOKEN.fullmatch(token)
    return (found[1], found[2]) if found else ("", "")


def _digest(secret: str) -> bytes:
    return hashlib.sha256(secret.encode()).digest()
