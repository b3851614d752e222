"""Values for the arguments of a query, by its signature: those of rows that are there. May import database, team."""

import enum
import inspect as signatures
import types
import typing
import uuid
from collections.abc import Mapping, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Union

from sqlalchemy import inspect

from app.chassis.data.plans.team import PlansError
from app.chassis.database.keyset import Part

__all__ = ["Samples", "options_of"]

_LIMIT = 20
_PLAIN = (bool, int, str, float, Decimal, datetime, date, timedelta, uuid.UUID, bytes)
_FIXED: dict[Any, list[Any]] = {bool: [True, False], Part: [Part(_LIMIT)]}
_MAPPINGS = (Mapping, MutableMapping, dict)


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows of each table that are there (table -> rows), and how many it has."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    counts: Mapping[str, int] = field(default_factory=dict)


def options_of(
    name: str, parameter: signatures.Parameter, hints: Mapping[str, Any], models: Sequence[Any], samples: Samples
) -> list[Any]:
    """Every value of an argument that is tried; the first one is tried with all the others.

    Raises:
        PlansError: none can be made up.
    """
    if parameter.name == "offset":
        return [0]
    if parameter.name == "limit":
        return [_LIMIT]
    made = _values(hints.get(parameter.name), parameter.name, models, samples)
    if parameter.default is not signatures.Parameter.empty and parameter.default not in made:
        made.append(parameter.default)
    if not made:
        kind = getattr(hints.get(parameter.name), "__name__", hints.get(parameter.name))
        raise PlansError(
            f"{name}: no value can be made up for {parameter.name} ({kind}); expected it in tests/volume.py: "
            f'ARGUMENTS = {{"{name}": {{"{parameter.name}": …}}}}'
        )
    return made


def _values(hint: Any, name: str, models: Sequence[Any], samples: Samples) -> list[Any]:
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in _MAPPINGS:
        return _rows(models, samples)[:1]
    if origin is not None:
        return _values_of_parts(origin, parts, name, models, samples)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return list(hint)
    if hint in _FIXED:
        return list(_FIXED[hint])
    if hint in models:
        return [hint]
    return _column_values(hint, name, models, samples)[:1]


def _values_of_parts(
    origin: Any, parts: Sequence[Any], name: str, models: Sequence[Any], samples: Samples
) -> list[Any]:
    if origin is typing.Annotated:
        return _values(parts[0], name, models, samples)
    if origin is Literal:
        return list(parts)
    if origin in (Union, types.UnionType):
        made = [value for part in parts if part is not types.NoneType for value in _values(part, name, models, samples)]
        return [*made, None] if types.NoneType in parts and made else made
    if isinstance(origin, type) and issubclass(origin, Sequence | set | frozenset) and parts:
        if parts[0] in models:
            return [[parts[0]]]
        are_rows = typing.get_origin(parts[0]) in _MAPPINGS
        rows = _rows(models, samples) if are_rows else _column_values(parts[0], name.removesuffix("s"), models, samples)
        kind = origin if origin in (set, frozenset, tuple) else list
        return [kind(rows[:3])] if rows else []
    return []


def _rows(models: Sequence[Any], samples: Samples) -> list[Any]:
    """Rows of the first table that are there: the columns that whoever writes a row gives."""
    if not models:
        return []
    columns = [
        column.name
        for column in models[0].__table__.columns
        if not (column.primary_key or column.default or column.onupdate or column.server_default)
        and column is not inspect(models[0]).version_id_col
    ]
    return [{name: row[name] for name in columns} for row in samples.rows.get(models[0].__tablename__, ())]


def _column_values(kind: Any, name: str, models: Sequence[Any], samples: Samples) -> list[Any]:
    """Values that are there, of a column of that name, else of the key it names, else of the first of that type."""
    if kind not in _PLAIN:
        return []
    places = [(model.__table__, column) for model in models for column in model.__table__.columns]
    named = [(table, column) for table, column in places if column.name == name]
    keys = [
        (table, column)
        for table, column in places
        if column.primary_key and name.removesuffix("_id") in (table.name, table.name.removesuffix("s"))
    ]
    rest = [(t, c) for t, c in places if c.primary_key or kind is not int]
    for table, column in [*named, *keys, *rest]:
        values = [row[column.name] for row in samples.rows.get(table.name, ()) if row[column.name] is not None]
        if values and isinstance(values[0], kind) and isinstance(values[0], bool) == (kind is bool):
            return values
    return []
