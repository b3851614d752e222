"""Lists in a fixed order, by offset or from where the page before ended (keyset), alike on every engine.

May import errors, sortable, work.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from sqlalchemy import ColumnElement, Select, and_, func, literal, or_, select, tuple_
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import UnaryExpression

from app.chassis.database.sortable import as_stored, is_key, read_value, require_sortable, told_value
from app.chassis.database.work import ReadWork
from app.chassis.errors import FieldProblem, InvalidError

__all__ = ["Order", "Part", "Position", "Slice", "cursor_refused"]

T = TypeVar("T")


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
        require_sortable([column for column, _ in sorted_by])
        if not sorted_by or not is_key(sorted_by[-1][0]):
            raise TypeError(f"found an order that ends with {columns[-1:]}; expected a key at its end: (…, Item.id)")
        self.name = ",".join(f"{column.table.name}.{column.name}{' desc' * down}" for column, down in sorted_by)
        self._clauses = [column.desc() if down else column.asc() for column, down in sorted_by]
        self._columns = [column for column, _ in sorted_by]
        self._as_stored = [as_stored(column) for column in self._columns]
        self._is_down = [down for _, down in sorted_by]

    async def slice(self, work: ReadWork, statement: Select[T], part: Part, *, count_to: int | None = None) -> Slice[T]:
        """The rows of `statement`, which selects one thing in no order, that the part asks for.

        Args:
            work: Where to ask.
            statement: Each row once.
            part: Which of the rows.
            count_to: Count no further; None counts all. Only the first part of a walk is counted.

        Raises:
            InvalidError: the part is after a position in another order.
        """
        columns = self._as_stored if work.session.get_bind().dialect.name == "sqlite" else self._columns
        wanted = statement.add_columns(*(one.label(None) for one in columns))  # beside a model that has them, too
        wanted = wanted.order_by(None).order_by(*self._clauses).limit(part.limit + 1)
        wanted = wanted.offset(part.offset) if part.after is None else wanted.where(self._after(part.after, columns))
        found = (await work.session.execute(wanted)).all()
        total = part.total
        if total is None:
            counted = statement.order_by(None).limit(count_to).subquery()
            count = select(func.count()).select_from(counted).execution_options(part_of_query="total")
            total = await work.session.scalar(count) or 0
        rows, end = found[: part.limit], None
        if len(found) > part.limit:
            end = Position(self.name, tuple(told_value(value) for value in rows[-1][1:]))
        return Slice([row[0] for row in rows], total, end)

    def _after(self, position: Position, columns: Sequence[Any]) -> ColumnElement[bool]:
        if position.order != self.name or len(position.values) != len(columns):
            raise cursor_refused()
        pairs = zip(columns, position.values, strict=True)
        try:
            values = [literal(read_value(column, value), column.type) for column, value in pairs]
        except ValueError:
            raise cursor_refused() from None
        if len(set(self._is_down)) == 1:
            # Engines read a comparison of rows from one index; of ORs they make a scan.
            left, right = tuple_(*columns), tuple_(*values)
            return left < right if self._is_down[0] else left > right
        *before, (column, value, down) = zip(columns, values, self._is_down, strict=True)
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
