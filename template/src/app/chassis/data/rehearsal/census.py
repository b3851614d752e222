"""Counts what tables hold. Imports nothing of the chassis."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table, Text, cast, func, select

__all__ = ["Census", "Tables", "census"]


@dataclass(frozen=True, slots=True)
class Census:
    """Rows of a table, its columns, a checksum of the rows in any order, one of each column's values, types.

    Types are those of PostgreSQL's columns; SQLite's restrict nothing, and the values tell what they did.
    """

    rows: int
    columns: tuple[str, ...]
    checksum: int
    sums: tuple[int, ...]
    types: tuple[str, ...] = ()


Tables = dict[str, Census]


def census(connection: Connection) -> Tables:
    """What each table holds; those in which Alembic remembers a revision are left out."""
    metadata = MetaData()
    metadata.reflect(connection)
    found = {table.name: _counted(connection, table) for table in metadata.sorted_tables if not _is_version(table.name)}
    connection.rollback()
    return found


def _is_version(name: str) -> bool:
    return name == "alembic_version" or (name.startswith("chassis_") and name.endswith("_version"))


def _counted(connection: Connection, table: Table) -> Census:
    names = tuple(sorted(column.name for column in table.columns))
    if connection.dialect.name == "postgresql":
        columns = [table.columns[name] for name in names]
        lines = [func.hashtextextended(cast(one, Text), 0) for one in (func.row(*columns), *columns)]
        asked = select(func.count(), *(func.sum(line) for line in lines)).select_from(table)
        rows, total, *sums = (int(value or 0) for value in connection.execute(asked).one())
        return Census(rows, names, total, tuple(sums), tuple(str(column.type) for column in columns))
    quote = connection.dialect.identifier_preparer.quote_identifier
    rows, total, sums = 0, 0, [0] * len(names)
    # As it is stored: a value that its type cannot read is one that a migration meets too.
    query = f"SELECT {', '.join(map(quote, names))} FROM {quote(table.name)}"  # noqa: S608  # quoted
    for row in connection.exec_driver_sql(query):
        texts = [repr(value) for value in row]
        rows += 1
        total += int.from_bytes(hashlib.blake2b("\0".join(texts).encode(), digest_size=8).digest(), "big")
        sums = [was + hash(text) for was, text in zip(sums, texts, strict=True)]  # compared in this process only
    return Census(rows, names, total % 2**64, tuple(sums))
