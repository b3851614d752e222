"""Makes up values of a column, by its type and the checks of its table. May import team."""

import random
import re
import string
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy import CheckConstraint, Column, types

from app.chassis.data.plans.team import PlansError

__all__ = ["Maker", "is_wide", "maker_of"]

Maker = Callable[[int], Any]
_BEGINNING = datetime(2024, 1, 1, tzinfo=UTC)  # fixed, so that every run meets the same rows
_LETTERS = string.ascii_lowercase + string.digits
_BOUND = r"\b{name}\b\"?\s*(>=|<=|>|<)\s*(-?\d+)"
_BETWEEN = r"\b{name}\b\"?\s+BETWEEN\s+(-?\d+)\s+AND\s+(-?\d+)"
_ONE_OF = r"\b{name}\b\"?\s+IN\s*\(((?:\s*'[^']*'\s*,?)+)\)"


def maker_of(column: Column[Any], rows: int, *, is_unique: bool) -> Maker | None:
    """Gives the value of row `number`; None where the database or the model makes it.

    Raises:
        PlansError: values of that type cannot be made up, or not so many.
    """
    if column.computed is not None or (column.identity is not None and column.identity.always):
        return None
    made = _by_type(column, rows, is_unique=is_unique)
    if made is None:
        if column.nullable or column.default is not None or column.server_default is not None:
            return None
        raise PlansError(
            f"{column.table.name}.{column.name}: no value of type {column.type!r} can be made up; "
            f"expected a function for it in tests/volume.py: VALUES"
        )
    if column.nullable and not is_unique:
        return lambda number: None if number % 4 == 0 else made(number)
    return made


def is_wide(column: Column[Any]) -> bool:
    """Whether its values can all be different."""
    kind, (low, high) = _plain(column.type), _bounds(column)
    if isinstance(kind, types.Integer):
        return (low, high) == (0, None)
    is_long = isinstance(kind, types.String) and not isinstance(kind, types.Enum) and (kind.length or 99) >= 8
    return (is_long and not _one_of(column)) or isinstance(kind, types.DateTime | types.Uuid)


def _plain(kind: Any) -> Any:
    while isinstance(kind, types.TypeDecorator) and not isinstance(kind, types.Interval):
        kind = kind.impl_instance
    return kind


def _by_type(column: Column[Any], rows: int, *, is_unique: bool) -> Maker | None:
    kind = _plain(column.type)
    if isinstance(kind, types.Enum):
        members: list[Any] = list(kind.enum_class or kind.enums)
        return lambda number: members[number % len(members)]
    if choices := _one_of(column):
        return lambda number: choices[number % len(choices)]
    if isinstance(kind, types.String):
        return _text(column, kind.length, rows, is_unique=is_unique)
    if isinstance(kind, types.Boolean):
        return lambda number: number % 2 == 0
    if isinstance(kind, types.Integer | types.Numeric | types.Float):
        return _number(column, kind, is_unique=is_unique)
    return next((make(kind) for known, make in _MAKERS if isinstance(kind, known)), None)


def _date_time(kind: Any) -> Maker:
    """A minute later each row, as it is in a table that grows."""
    first = _BEGINNING if kind.timezone else _BEGINNING.replace(tzinfo=None)
    return lambda number: first + timedelta(minutes=number)


def _uuid(kind: Any) -> Maker:
    def make(number: int) -> Any:
        value = uuid.UUID(int=random.Random(number).getrandbits(128), version=4)  # noqa: S311  # no secret
        return value if kind.as_uuid else str(value)

    return make


_MAKERS: tuple[tuple[type, Callable[[Any], Maker]], ...] = (
    (types.DateTime, _date_time),
    (types.Date, lambda _: lambda number: date(2024, 1, 1) + timedelta(days=number // 50)),
    (types.Time, lambda _: lambda number: time(number // 60 % 24, number % 60)),
    (types.Interval, lambda _: lambda number: timedelta(minutes=number % 1_000)),
    (types.Uuid, _uuid),
    (types.JSON, lambda _: lambda number: {"number": number}),
    (types.LargeBinary, lambda _: lambda number: number.to_bytes(8)),
)


def _text(column: Column[Any], length: int | None, rows: int, *, is_unique: bool) -> Maker:
    """`name 17`, `mail17@example.com`, or letters where there is little room; others than unique ones repeat."""
    different = rows if is_unique else max(rows // 10, 1)
    name = str(column.name)
    form = "{}{}@example.com" if "mail" in name else "{} {}"
    if length is None or len(form.format(name, different)) <= length:
        return lambda number: form.format(name, number % different)
    if is_unique and len(_LETTERS) ** length < rows:
        raise PlansError(
            f"{column.table.name}.{name}: {rows:,} different texts do not fit into {length} characters; "
            f"expected fewer rows in tests/volume.py: ROWS"
        )

    def letters(number: int) -> str:
        number, told = number % different, ""
        for _ in range(min(length, 8)):
            number, rest = divmod(number, len(_LETTERS))
            told = _LETTERS[rest] + told
        return told

    return letters


def _number(column: Column[Any], kind: Any, *, is_unique: bool) -> Maker:
    low, high = _bounds(column)
    top = high if high is not None else low + (2**62 if is_unique else 999)
    if isinstance(kind, types.Integer):
        return lambda number: low + (number + (column.primary_key and low == 0)) % (top - low + 1)
    if isinstance(kind, types.Float):
        return lambda number: float(low + number % (top - low + 1))
    scale = kind.scale if kind.scale is not None else 2
    if kind.precision is not None and high is None:
        top = min(top, 10 ** (kind.precision - scale) - 1)
    as_number: Callable[[Any], Any] = Decimal if kind.asdecimal else float
    return lambda number: as_number(low + number % (top - low + 1))


def _checks(column: Column[Any]) -> Iterator[str]:
    for rule in [*column.table.constraints, *column.constraints]:
        if isinstance(rule, CheckConstraint) and not re.search(r"(?i)\bOR\b", str(rule.sqltext)):
            yield str(rule.sqltext)


def _bounds(column: Column[Any]) -> tuple[int, int | None]:
    """Smallest and largest whole number that the checks allow, as far as they say it with a number."""
    low, high, name = 0, None, re.escape(str(column.name))
    for told in _checks(column):
        for sign, bound in re.findall(_BOUND.format(name=name), told):
            if ">" in sign:
                low = max(low, int(bound) + (sign == ">"))
            else:
                high = int(bound) - (sign == "<")
        for first, last in re.findall(_BETWEEN.format(name=name), told, re.IGNORECASE):
            low, high = int(first), int(last)
    return (min(low, high), high) if high is not None else (low, None)


def _one_of(column: Column[Any]) -> list[str]:
    found = (
        re.search(_ONE_OF.format(name=re.escape(str(column.name))), told, re.IGNORECASE) for told in _checks(column)
    )
    return next((re.findall(r"'([^']*)'", one[1]) for one in found if one), [])
