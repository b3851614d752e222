"""Many rows at once, each inserted or brought up to date by its key, on every engine.

May import columns, errors, work.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Dialect, Text, cast, false, inspect, or_
from sqlalchemy.dialects import postgresql, sqlite

from app.chassis.database.columns import Base
from app.chassis.database.work import WriteWork
from app.chassis.errors import FieldProblem, InvalidError

__all__ = ["insert_or_update"]


async def insert_or_update(
    work: WriteWork, model: type[Base], rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
) -> None:
    """Insert each row; where its key is there, change what differs. Twice is as good as once, and the last one counts.

    A row that holds these values (JSON as text) is left as it is; one that changes counts up and gets its `onupdate`.

    Args:
        work: Where to write.
        model: Table of the rows.
        rows: Columns and their values, the same columns in each.
        key: Columns of a unique constraint of the table.

    Raises:
        InvalidError: a NULL in the key, which is equal to nothing.
        ValueError: rows of different columns, or without the key.
    """
    if not rows:
        return
    _expect_alike(rows, key)
    table, version = inspect(model).local_table, inspect(model).version_id_col
    connection = await work.session.connection()
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    given = [name for name in rows[0] if name not in key]
    changes = {name: statement.excluded[name] for name in given}
    differs = or_(false(), *(_differs(table.c[name], statement.excluded[name], connection.dialect) for name in given))
    changes |= {one.name: _updated(one) for one in table.columns if one.onupdate and one.name not in rows[0]}
    values = [dict(row) for row in rows]
    if version is not None:
        changes[version.name] = table.c[version.name] + 1
        values = [{version.name: 1} | row for row in values]
    if given:
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changes, where=differs)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(key))
    await connection.execute(statement, values)


def _expect_alike(rows: Sequence[Mapping[str, Any]], key: Sequence[str]) -> None:
    expected = rows[0].keys() | set(key)
    for row in rows:
        if row.keys() != expected:  # the first row makes the statement: what it lacks would be lost without a word
            found, wanted = (", ".join(sorted(names)) for names in (row.keys(), expected))
            raise ValueError(f"found a row of the columns {found}; expected {wanted} in each")
        if missing := [name for name in key if row[name] is None]:
            fields = [FieldProblem("body", f"/{name}", "not_null", "is missing", "a value") for name in missing]
            raise InvalidError("the data does not allow it", expected="see fields", fields=fields)


def _differs(old: ColumnElement[Any], new: ColumnElement[Any], dialect: Dialect) -> ColumnElement[bool]:
    if old.type.compile(dialect=dialect) == "JSON":  # PostgreSQL has no equality for it
        return cast(old, Text).is_distinct_from(cast(new, Text))
    return old.is_distinct_from(new)


def _updated(column: Any) -> Any:
    """What `onupdate` says: a value, what a function without arguments returns, or an expression of SQL."""
    return column.onupdate.arg(None) if column.onupdate.is_callable else column.onupdate.arg
