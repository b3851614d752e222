"""Counts what tables hold. Imports nothing of the chassis."""

import hashlib
from dataclasses import dataclass

from sqlalchemy import Connection, MetaData, Table, Text, cast, func, select

__all__ = ["Census", "Tables", "census"]


@dataclass(frozen=True, slots=True)
class Census:
    """Rows of a table, its columns, and a checksum of the rows in any order."""

    rows: int
    columns: tuple[str, ...]
    checksum: int


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
        line = func.hashtextextended(cast(func.row(*(table.columns[name] for name in names)), Text), 0)
        rows, total = connection.execute(select(func.count(), func.sum(line)).select_from(table)).one()
        return Census(rows, names, int(total or 0))
    quote = connection.dialect.identifier_preparer.quote_identifier
    rows, total = 0, 0
    # As it is stored: a value that its type cannot read is one that a migration meets too.
    query = f"SELECT {', '.join(map(quote, names))} FROM {quote(table.name)}"  # noqa: S608  # quoted
    for row in connection.exec_driver_sql(query):
        rows += 1
        total += int.from_bytes(hashlib.blake2b(repr(tuple(row)).encode(), digest_size=8).digest(), "big")
    return Census(rows, names, total % 2**64)
