"""Which rule of which table a statement broke, told alike on every engine. May import columns, errors.

SQLite tells it in words, PostgreSQL in fields of its error; both are turned into the constraint of the model.
"""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Index, Numeric, String, Table, UniqueConstraint
from sqlalchemy.exc import DBAPIError, IntegrityError, StatementError

from app.chassis.database.columns import Base
from app.chassis.errors import ServiceError

__all__ = ["Violation", "violation_of", "when_violated"]

# SQLSTATE (PostgreSQL, appendix A) and SQLite's words -> the rule.
_STATES = {"23505": "unique", "23503": "foreign_key", "23514": "check", "23502": "not_null", "22001": "too_long"}
_OVERFLOW = "22003"
_WORDS = (
    ("unique", re.compile(r"UNIQUE constraint failed: (?P<columns>[\w., ]+)$")),
    ("unique", re.compile(r"UNIQUE constraint failed: index '(?P<constraint>\w+)'")),
    ("check", re.compile(r"CHECK constraint failed: (?P<constraint>\w+)")),
    ("not_null", re.compile(r"NOT NULL constraint failed: (?P<columns>[\w.]+)")),
    ("foreign_key", re.compile(r"FOREIGN KEY constraint failed")),
)
_STATEMENT = re.compile(r"\s*(INSERT INTO|UPDATE|DELETE FROM)\s+\"?(\w+)\"?\s*(?:\(([^)]*)\))?", re.IGNORECASE)
_ARGUMENT = re.compile(r"query argument \$(\d+)")
_BIG = 2**63


@dataclass(frozen=True, slots=True)
class Violation:
    """`rule` unique, foreign_key, check, not_null, too_long or overflow; constraint and columns as far as known."""

    rule: str
    constraint: str | None = None
    columns: tuple[str, ...] = ()


@contextmanager
def when_violated(constraint: str, error: Callable[[], ServiceError]) -> Iterator[None]:
    """Raise what `error` makes in place of the database's own error if what runs inside breaks the constraint.

    A look before the change would leave a race open; the database decides. After it the work can only end.
    """
    try:
        yield
    except IntegrityError as refusal:
        found = violation_of(refusal)
        if found is None or found.constraint != constraint:
            raise
        raise error() from refusal


def violation_of(error: StatementError) -> Violation | None:
    """The rule that the statement broke; None if it failed in another way."""
    if isinstance(error.orig, OverflowError):
        return Violation("overflow", columns=_too_big(error))
    if not isinstance(error, DBAPIError):
        return None
    state = getattr(error.orig, "sqlstate", None)
    if state is not None:
        return _of_postgresql(error, state)
    if isinstance(error, IntegrityError):
        return _of_sqlite(error)
    return None


def _of_postgresql(error: DBAPIError, state: str) -> Violation | None:
    told: Any = getattr(error.orig, "__cause__", None)
    if state == _OVERFLOW or (state == "22000" and " out of " in str(error.orig)):  # the driver's own check
        argument = _ARGUMENT.search(str(error.orig))
        column = _column_of_argument(error.statement or "", int(argument[1])) if argument else None
        return Violation("overflow", columns=(column,) if column else _too_wide(error))
    if state == "22001":
        return Violation("too_long", columns=_too_long(error))
    rule, name = _STATES.get(state), getattr(told, "constraint_name", None)
    if rule is None:
        return None
    if rule == "not_null":
        return Violation(rule, columns=(told.column_name,))
    return Violation(
        rule, name, _columns_of(_table(getattr(told, "table_name", None)), name) if _changes(error) else ()
    )


def _of_sqlite(error: IntegrityError) -> Violation | None:
    for rule, words in _WORDS:
        if found := words.search(str(error.orig)):
            names = found.groupdict()
            table = _table(_part(error, 2))
            columns = tuple(name.rpartition(".")[2].strip() for name in (names.get("columns") or "").split(",") if name)
            if rule == "foreign_key":
                return _missing_parent(table) if _changes(error) else Violation(rule)
            constraint = names.get("constraint") or (_unique_name(table, set(columns)) if rule == "unique" else None)
            return Violation(rule, constraint, columns or _columns_of(table, constraint))
    return None


def _missing_parent(table: Table | None) -> Violation:
    """SQLite does not say which: the only one, or every one there is."""
    keys = [one for one in table.constraints if isinstance(one, ForeignKeyConstraint)] if table is not None else []
    name = str(keys[0].name) if len(keys) == 1 else None
    return Violation("foreign_key", name, tuple(sorted(column.name for key in keys for column in key.columns)))


def _table(name: str | None) -> Table | None:
    return Base.metadata.tables.get(name or "")


def _part(error: StatementError, number: int) -> str | None:
    found = _STATEMENT.match(error.statement or "")
    return found[number] if found else None


def _changes(error: StatementError) -> bool:
    """Whether the statement gives values; one that deletes has no field to blame."""
    return (_part(error, 1) or "").upper() != "DELETE FROM"


def _unique_name(table: Table | None, columns: set[str]) -> str | None:
    if table is None:
        return None
    rules = [one for one in table.constraints if isinstance(one, UniqueConstraint)]
    indexes: list[UniqueConstraint | Index] = [*rules, *(one for one in table.indexes if one.unique)]
    names = (one.name for one in indexes if {column.name for column in one.columns} == columns)
    found = next(names, None)
    return str(found) if found else None


def _columns_of(table: Table | None, constraint: str | None) -> tuple[str, ...]:
    if table is None:
        return ()
    rules: list[Any] = [*table.constraints, *table.indexes]
    found = next((one for one in rules if one.name == constraint), None)
    return () if found is None else tuple(sorted(column.name for column in found.columns)) or _named_in(table, found)


def _named_in(table: Table, rule: Any) -> tuple[str, ...]:
    """Columns that the text of a check names."""
    words = set(re.findall(r"\w+", str(getattr(rule, "sqltext", ""))))
    return tuple(column.name for column in table.columns if column.name in words)


def _column_of_argument(statement: str, number: int) -> str | None:
    """Column that `$number` is for: by its place in an INSERT, else by the name before its `=`."""
    found = _STATEMENT.match(statement)
    if found and found[3]:
        names = [name.strip(' "') for name in found[3].split(",")]
        return names[(number - 1) % len(names)]
    named = re.search(rf"(\w+)\"?\s*[=<>]+\s*\${number}\b", statement)
    return named[1] if named else None


def _values(error: StatementError) -> Iterator[tuple[str, Any]]:
    found = _STATEMENT.match(error.statement or "")
    values = error.params[0] if isinstance(error.params, list) and error.params else error.params
    if found and found[3] and isinstance(values, tuple):
        yield from zip((name.strip(' "') for name in found[3].split(",")), values, strict=False)
    elif isinstance(values, dict):
        yield from values.items()


def _too_long(error: DBAPIError) -> tuple[str, ...]:
    table = _table(_part(error, 2))
    lengths = {
        column.name: column.type.length or _BIG
        for column in (table.columns if table is not None else ())
        if isinstance(column.type, String)
    }
    return tuple(n for n, value in _values(error) if isinstance(value, str) and len(value) > lengths.get(n, _BIG))


def _too_wide(error: DBAPIError) -> tuple[str, ...]:
    """Columns of decimals that have too few digits before the point."""
    table = _table(_part(error, 2))
    kinds = {one.name: one.type for one in (table.columns if table is not None else ())}
    return tuple(
        name
        for name, value in _values(error)
        if isinstance(kind := kinds.get(name), Numeric)
        and kind.precision is not None
        and value is not None
        and round(abs(value), kind.scale or 0) >= 10 ** (kind.precision - (kind.scale or 0))
    )


def _too_big(error: StatementError) -> tuple[str, ...]:
    return tuple(name for name, value in _values(error) if isinstance(value, int) and not -_BIG <= value < _BIG)
