"""Table base and column types that mean the same on every engine. Imports nothing of the chassis."""

from datetime import UTC, datetime
from typing import Any, ClassVar

from sqlalchemy import BigInteger, DateTime, Dialect, Integer, MetaData, TypeDecorator
from sqlalchemy.orm import DeclarativeBase

__all__ = ["Base", "Key", "UtcDateTime", "utc_now"]

# Named constraints: a migration can only drop what has a name.
_NAMES = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_N_name)s",
    "pk": "pk_%(table_name)s",
}

Key = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up only an INTEGER key, and that one has 64 bits


def utc_now() -> datetime:
    """Now, aware, in UTC."""
    return datetime.now(UTC)


class UtcDateTime(TypeDecorator[datetime]):
    """An aware moment, stored and read back in UTC. SQLite keeps no time zone, so it is put back here."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:  # noqa: ARG002  # SQLAlchemy calls it so
        """Raises ValueError for a naive moment: nobody can know what it means."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a naive datetime was given; expected one with a time zone")
        return value.astimezone(UTC)

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:  # noqa: ARG002  # as above
        """Aware moment in UTC."""
        if value is None:
            return None
        moment: datetime = value
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


class Base(DeclarativeBase):
    """Base of the team's tables. The chassis' own tables have other MetaData and never meet these."""

    metadata = MetaData(naming_convention=_NAMES)
    type_annotation_map: ClassVar = {int: Key, datetime: UtcDateTime}  # 64 bits and a time zone, unless told otherwise
