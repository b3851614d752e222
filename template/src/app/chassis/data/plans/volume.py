"""Fills every table of the team with rows, parents first. May import database, errors, team, values."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import ForeignKeyConstraint, Table, UniqueConstraint, func, insert, select, text
from sqlalchemy.exc import SAWarning, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.chassis.data.plans.team import PlansError, Volume
from app.chassis.data.plans.values import Maker, is_wide, maker_of
from app.chassis.database.columns import Base
from app.chassis.database.engine import Database
from app.chassis.database.failures import told
from app.chassis.errors import UnavailableError

__all__ = ["fill", "row_maker"]

_BATCH = 5_000
_ENOUGH = 2**62
Row = dict[str, Any]


async def fill(database: Database, volume: Volume, rows: int) -> dict[str, int]:
    """Rows of each table afterwards. What a migration put into a table is all that table gets.

    Raises:
        PlansError: rows cannot be made up, or the database refuses them.
    """
    metadata = Base.metadata
    if unknown := sorted({*volume.rows, *volume.values} - set(metadata.tables)):
        known = ", ".join(sorted(metadata.tables)) or "none"
        raise PlansError(f"tests/volume.py: no table {', '.join(unknown)}; expected one of: {known}")
    counts: dict[str, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SAWarning)  # tables that refer to each other: told below, if it matters
        tables = metadata.sorted_tables
    async with database.writer.begin() as connection:
        for table in tables:
            counts[table.name] = await _fill_table(connection, table, volume, rows)
            if database.is_postgresql:
                await _move_sequences(connection, table)
    return counts


async def _fill_table(connection: AsyncConnection, table: Table, volume: Volume, rows: int) -> int:
    present = await connection.scalar(select(func.count()).select_from(table)) or 0
    if present:
        return present
    parents: dict[ForeignKeyConstraint, Sequence[Any]] = {}
    for key in table.foreign_key_constraints:
        if key.referred_table is not table:
            parents[key] = (await connection.execute(select(*(one.column for one in key.elements)))).all()
    make, most = row_maker(table, volume.rows.get(table.name, rows), parents, volume.values.get(table.name))
    for start in range(0, most, _BATCH):
        batch = [make(number) for number in range(start, min(start + _BATCH, most))]
        try:
            await connection.execute(insert(table), batch)
        except SQLAlchemyError as error:
            if isinstance(told(error), UnavailableError):
                raise
            reason = str(getattr(error, "orig", None) or error).splitlines()[0]
            raise PlansError(
                f"{table.name}: the made up rows are refused: {reason}; "
                f"expected a function for what is refused in tests/volume.py: VALUES"
            ) from error
    return most


def row_maker(
    table: Table,
    rows: int,
    parents: Mapping[ForeignKeyConstraint, Sequence[Any]],
    shape: Callable[[int], Mapping[str, Any]] | None,
) -> tuple[Callable[[int], Row], int]:
    """What makes row `number`, and how many rows there can be: fewer where each must refer to another parent."""
    alone, together = _unique_columns(table)
    referring = {column.name for key in table.foreign_key_constraints for column in key.columns}
    makers: dict[str, Maker] = {}
    for column in [one for one in table.columns if one.name not in referring]:
        if made := maker_of(column, rows, is_unique=column.name in alone):
            makers[column.name] = made
    most, references = rows, []
    for key in table.foreign_key_constraints:
        reference, limit = _reference(table, key, parents, makers, alone)
        references.append(reference)
        most = min(most, limit)
    spread, limit = _spread(together, table, parents, referring)
    most = min(most, limit)

    def make(number: int) -> Row:
        row = {name: maker(number) for name, maker in makers.items()}
        for reference in references:
            row |= reference(number)
        row |= spread(number)
        return row | _shaped(shape, table, number) if shape else row

    return make, most


def _shaped(shape: Callable[[int], Mapping[str, Any]], table: Table, number: int) -> Row:
    try:
        row = dict(shape(number))
    except Exception as error:  # the team's code may raise anything
        raise PlansError(
            f"tests/volume.py: VALUES for {table.name}: {type(error).__name__} at row {number}; expected a dict"
        ) from error
    if unknown := sorted(set(row) - set(table.columns.keys())):
        raise PlansError(f"tests/volume.py: {table.name} has no column {', '.join(unknown)}")
    return row


def _unique_columns(table: Table) -> tuple[set[str], list[list[str]]]:
    """Columns each of whose values is there once, and groups of columns that are so together only."""
    rules = [list(table.primary_key.columns.keys())]
    rules += [list(one.columns.keys()) for one in table.constraints if isinstance(one, UniqueConstraint)]
    rules += [list(one.columns.keys()) for one in table.indexes if one.unique]
    alone = {rule[0] for rule in rules if len(rule) == 1}
    together = []
    referring = {column.name for key in table.foreign_key_constraints for column in key.columns}
    for rule in (rule for rule in rules if len(rule) > 1 and not alone & set(rule)):
        wide = next((name for name in rule if name not in referring and is_wide(table.columns[name])), None)
        if wide is None:
            together.append(rule)
        else:
            alone.add(wide)
    return alone, together


def _reference(
    table: Table,
    key: ForeignKeyConstraint,
    parents: Mapping[ForeignKeyConstraint, Sequence[Any]],
    makers: Mapping[str, Maker],
    alone: set[str],
) -> tuple[Callable[[int], Row], int]:
    """What chooses the parent of row `number`, and how many rows have one."""
    names, is_optional = key.column_keys, all(column.nullable for column in key.columns)
    if key.referred_table is table:
        targets = [maker for element in key.elements if (maker := makers.get(element.column.name))]
        if len(targets) == len(names):  # a tree: row 7 hangs below row 3

            def above(number: int) -> Row:
                is_root = is_optional and number == 0
                return {name: None if is_root else of(number // 2) for name, of in zip(names, targets, strict=True)}

            return above, _ENOUGH
    elif found := parents[key]:
        if set(names) & alone:
            return lambda number: dict(zip(names, found[number], strict=True)), len(found)
        return lambda number: dict(zip(names, found[number * 7_919 % len(found)], strict=True)), _ENOUGH
    if is_optional:
        return lambda _: dict.fromkeys(names), _ENOUGH
    raise PlansError(
        f"{table.name}: {', '.join(names)} must refer to {key.referred_table.name}, which has no row yet; "
        f"expected rows there, or tables that do not need each other"
    )


def _spread(
    together: Sequence[Sequence[str]],
    table: Table,
    parents: Mapping[ForeignKeyConstraint, Sequence[Any]],
    referring: set[str],
) -> tuple[Callable[[int], Row], int]:
    """Values of a group that is unique together, such as the two references of a table between two others."""
    if not together:
        return lambda _: {}, _ENOUGH
    choices = []
    for name in together[0]:
        key = next((one for one in parents if one.column_keys == [name]), None)
        if key is not None and parents[key]:
            choices.append((name, [row[0] for row in parents[key]]))
        elif name not in referring and (maker := maker_of(table.columns[name], 50, is_unique=False)):
            choices.append((name, list(dict.fromkeys(maker(number) for number in range(50)))))

    def spread(number: int) -> Row:
        row, rest, turn = {}, number, 0
        for name, values in choices:
            place = (rest + turn) % len(values)
            turn, rest = turn + rest % len(values), rest // len(values)
            row[name] = values[place]
        return row

    most = 1
    for _, values in choices:
        most *= len(values)
    return spread, most


async def _move_sequences(connection: AsyncConnection, table: Table) -> None:
    """The next key that the database gives comes after ours."""
    quote = connection.dialect.identifier_preparer.quote
    for column in table.primary_key.columns:
        names = {"relation": quote(table.name), "name": column.name}
        if await connection.scalar(text("SELECT pg_get_serial_sequence(:relation, :name)"), names):
            last = f"(SELECT coalesce(max({quote(column.name)}), 1) FROM {quote(table.name)})"  # noqa: S608  # quoted names
            await connection.execute(text(f"SELECT setval(pg_get_serial_sequence(:relation, :name), {last})"), names)
