"""Many rows at once, each inserted or brought up to date by its key, on every engine. May import columns, work."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import inspect, or_
from sqlalchemy.dialects import postgresql, sqlite

from app.chassis.database.columns import Base
from app.chassis.database.work import WriteWork

__all__ = ["insert_or_update"]


async def insert_or_update(
    work: WriteWork, model: type[Base], rows: Sequence[Mapping[str, Any]], *, key: Sequence[str]
) -> None:
    """Insert each row; where its key is there, change what differs. Twice is as good as once, and the last one counts.

    A row that holds these values already is left as it is; one that changes counts its version up and its `onupdate`
    columns are set anew.

    Args:
        work: Where to write.
        model: Table of the rows.
        rows: Columns and their values, the same columns in each.
        key: Columns of a unique constraint of the table.
    """
    if not rows:
        return
    mapper = inspect(model)
    table, version = mapper.local_table, mapper.version_id_col
    connection = await work.session.connection()
    insert: Any = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    statement = insert(table)
    given = [name for name in rows[0] if name not in key]
    changes = {name: statement.excluded[name] for name in given}
    differs = or_(*(table.c[name].is_distinct_from(statement.excluded[name]) for name in given))
    changes |= {column.name: statement.excluded[column.name] for column in table.columns if column.onupdate is not None}
    values = [dict(row) for row in rows]
    if version is not None:
        changes[version.name] = table.c[version.name] + 1
        values = [{version.name: 1} | row for row in values]
    if given:
        statement = statement.on_conflict_do_update(index_elements=list(key), set_=changes, where=differs)
    else:
        statement = statement.on_conflict_do_nothing(index_elements=list(key))
    await connection.execute(statement, values)
