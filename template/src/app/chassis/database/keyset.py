"""Lists in a fixed order, by offset or from where the page before ended (keyset), alike on every engine.

May import columns, errors, work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Generic, TypeVar
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Date,
    Enum,
    Integer,
    Select,
    String,
    Uuid,
    and_,
    func,
    literal,
    or_,
    select,
    tuple_,
)
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from app.chassis.database.columns import UtcDateTime
from app.chassis.database.work import ReadWork
from app.chassis.errors import FieldProblem, InvalidError

__all__ = ["Order", "Part", "Position", "Slice", "cursor_refused"]

T = TypeVar("T")
_MAX_TEXT = 500  # characters of a text that a list is sorted by: its last value travels in a URL
_BIG = 2**63


@dataclass(frozen=True, slots=True)
class Position:
    """The last row of a page: `values` of its sort columns as JSON has them, in the order of that name."""

    order: str
    values: tuple[int | str, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """Which rows of a list are asked for: `limit` of them from `offset`, or those after a position.

    `total` is what was counted when the walk began; None has it counted now.
    """

    limit: int
    offset: int = 0
    after: Position | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Slice(Generic[T]):
    """Rows of a part, the number of all, and where the next part begins: None if these are the last."""

    rows: Sequence[T]
    total: int
    end: Position | None


def cursor_refused() -> InvalidError:
    """The answer to a cursor that this list did not give."""
    expected = "the next_cursor of a page of this list, asked with the same filters"
    problem = FieldProblem("query", "/cursor", "cursor", "is not a cursor of this list", expected)
    return InvalidError("1 input is not valid", expected="see fields", fields=[problem])


class Order:
    """A total order of the rows of a list: `Order(Item.created_at.desc(), Item.id.desc())`.

    The last column is a key, so that no two rows are equal, and pages neither overlap nor leave a row out, whatever is
    inserted and deleted between them. Columns in one direction are answered by one index over them.

    Raises:
        TypeError: a column may be null, or engines do not compare its type alike, or the last is no key.
    """

    def __init__(self, *columns: Any) -> None:
        sorted_by = [_direction(column) for column in columns]
        for column, _ in sorted_by:
            _require_sortable(column)
        if not sorted_by or not _is_key(sorted_by[-1][0]):
            raise TypeError(f"found an order that ends with {columns[-1:]}; expected a key at its end: (…, Item.id)")
        self.name = ",".join(f"{column.table.name}.{column.name}{' desc' * down}" for column, down in sorted_by)
        self._clauses = [column.desc() if down else column.asc() for column, down in sorted_by]
        self._columns = [column for column, _ in sorted_by]
        self._is_down = [down for _, down in sorted_by]

    async def slice(
        self, work: ReadWork, statement: Select[T], part: Part, *, count_to: int | None = None
    ) -> Slice[T]:
        """The rows of `statement`, which selects one thing in no order, that the part asks for.

        Args:
            work: Where to ask.
            statement: Each row once.
            part: Which of the rows.
            count_to: Count no further; None counts all. Only the first part of a walk is counted.

        Raises:
            InvalidError: the part is after a position in another order.
        """
        wanted = statement.add_columns(*self._columns).order_by(None).order_by(*self._clauses).limit(part.limit + 1)
        wanted = wanted.offset(part.offset) if part.after is None else wanted.where(self._after(part.after))
        found = (await work.session.execute(wanted)).all()
        total = part.total
        if total is None:
            counted = statement.order_by(None).limit(count_to).subquery()
            count = select(func.count()).select_from(counted).execution_options(part_of_query="total")
            total = await work.session.scalar(count) or 0
        rows, end = found[: part.limit], None
        if len(found) > part.limit:
            end = Position(self.name, tuple(_told(value) for value in rows[-1][1:]))
        return Slice([row[0] for row in rows], total, end)

    def _after(self, position: Position) -> ColumnElement[bool]:
        if position.order != self.name or len(position.values) != len(self._columns):
            raise cursor_refused()
        pairs = zip(self._columns, position.values, strict=True)
        values = [literal(_read(column, value), column.type) for column, value in pairs]
        if len(set(self._is_down)) == 1:
            # Engines read a comparison of rows from one index; of ORs they make a scan.
            left, right = tuple_(*self._columns), tuple_(*values)
            return left < right if self._is_down[0] else left > right
        *before, (column, value, down) = zip(self._columns, values, self._is_down, strict=True)
        condition: ColumnElement[bool] = column < value if down else column > value
        for column, value, down in reversed(before):
            nearer, beyond = (column <= value, column < value) if down else (column >= value, column > value)
            condition = and_(nearer, or_(beyond, condition))
        return condition


def _direction(column: Any) -> tuple[Any, bool]:
    down = False
    if isinstance(column, UnaryExpression):
        down, column = column.modifier is operators.desc_op, column.element
    return getattr(column, "expression", column), down


def _require_sortable(column: Any) -> None:
    kind, name = getattr(column, "type", None), getattr(column, "name", column)
    if getattr(column, "table", None) is None or column.nullable:
        raise TypeError(f"found {name} in an order; expected a column that is never null")
    is_short = isinstance(kind, String) and not isinstance(kind, Enum) and (kind.length or _BIG) <= _MAX_TEXT
    if not is_short and not isinstance(kind, Integer | UtcDateTime | Date) and not getattr(kind, "as_uuid", False):
        raise TypeError(
            f"found {name} in an order, {kind!r}; expected a whole number, a moment, a date, a UUID "
            f"or a text of at most {_MAX_TEXT} characters"
        )


def _is_key(column: Any) -> bool:
    return bool(column.unique or (column.primary_key and len(column.table.primary_key.columns) == 1))


def _told(value: Any) -> int | str:
    if isinstance(value, datetime | date):
        return value.isoformat()
    return str(value) if isinstance(value, UUID) else value


def _read(column: Any, value: int | str) -> Any:
    """The value that `_told` told; whoever made the cursor, nothing reaches the database that it could not hold."""
    kind = column.type
    if isinstance(kind, Integer):
        fits = isinstance(value, int) and -_BIG <= value < _BIG
    elif isinstance(kind, String):
        fits = isinstance(value, str) and "\0" not in value
    else:
        try:
            return _parsed(kind, value)
        except (TypeError, ValueError, OverflowError):
            fits = False
    if not fits:
        raise cursor_refused()
    return value


def _parsed(kind: Any, value: Any) -> Any:
    if isinstance(kind, Date):
        return date.fromisoformat(value)
    if isinstance(kind, Uuid):
        return UUID(value)
    moment = datetime.fromisoformat(value)
    if moment.tzinfo is None:
        raise ValueError("a naive moment")
    return moment.astimezone(UTC)
