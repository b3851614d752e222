"""Columns that a list may be sorted by, and their values on the way through a cursor. May import columns."""

from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import BigInteger, Date, Enum, Integer, SmallInteger, String, TypeDecorator, Uuid, type_coerce

from app.chassis.database.columns import UtcDateTime

__all__ = ["as_stored", "is_key", "read_value", "require_sortable", "told_value"]

_MAX_TEXT = 500  # characters of all texts that a list is sorted by: its last values travel in a URL
_NO_VALUE = "no value of that column"


def require_sortable(columns: Sequence[Any]) -> None:
    """Raise TypeError if a column may be null, engines do not compare its type alike, or texts are too long."""
    left = _MAX_TEXT
    for column in columns:
        kind, name = getattr(column, "type", None), getattr(column, "name", column)
        if getattr(column, "table", None) is None or column.nullable:
            raise TypeError(f"found {name} in an order; expected a column that is never null")
        is_plain = isinstance(kind, UtcDateTime) or not isinstance(kind, TypeDecorator)
        is_text = isinstance(kind, String) and not isinstance(kind, Enum)
        left -= (kind.length or _MAX_TEXT + 1) if isinstance(kind, String) else 0
        is_other = isinstance(kind, Integer | UtcDateTime | Date) or getattr(kind, "as_uuid", False)
        if not is_plain or not (is_text or is_other) or left < 0:
            raise TypeError(
                f"found {name} in an order, {kind!r}; expected a whole number, a moment, a date, a UUID "
                f"or texts of at most {_MAX_TEXT} characters together"
            )


def is_key(column: Any) -> bool:
    """Whether no two rows have the same value."""
    return bool(column.unique or (column.primary_key and len(column.table.primary_key.columns) == 1))


def as_stored(column: Any) -> Any:
    """The column as SQLite compares it: the text or the number that is there, whoever wrote it.

    Its CURRENT_TIMESTAMP has no fraction, SQLAlchemy's moments have one: to SQLite those are two moments.
    """
    return type_coerce(column, BigInteger() if isinstance(column.type, Integer) else String())


def told_value(value: Any) -> int | str:
    """A value as JSON has it."""
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def read_value(column: Any, value: int | str) -> Any:
    """The value that was told.

    Raises:
        ValueError: the column could not hold it; whoever made the cursor, it never reaches the database.
    """
    kind = column.type
    if isinstance(kind, Integer):
        bits = 15 if isinstance(kind, SmallInteger) else 63 if isinstance(kind, BigInteger) else 31
        if not isinstance(value, int) or not -(2**bits) <= value < 2**bits:
            raise ValueError(_NO_VALUE)
        return value
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(_NO_VALUE)
    if isinstance(kind, String):
        return value
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    return UUID(value) if isinstance(kind, Uuid) else _moment(value)


def _moment(value: str) -> datetime:
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a naive moment")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise ValueError(_NO_VALUE) from None
