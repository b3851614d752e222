"""Calls each query of the team with arguments made from its signature. May import database, team.

Values come from rows that are there; what can be chosen (None, a flag, one of a few words) is tried one by one.
"""

import enum
import inspect
import types
import typing
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, Union

from sqlalchemy.ext.asyncio import AsyncSession

from app.chassis.data.plans.team import PlansError
from app.chassis.database.columns import Base
from app.chassis.database.work import ReadWork

__all__ = ["Call", "Samples", "calls_of"]

_LIMIT = 20
_PLAIN = (bool, int, str, float, Decimal, datetime, date, timedelta, uuid.UUID, bytes)


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments by name; a model stands for a row of it. `is_deep` if it asks for a page far from the first."""

    arguments: Mapping[str, Any]
    is_deep: bool = False


@dataclass(frozen=True, slots=True)
class Samples:
    """Rows of each table that are there (table -> rows), and how many it has."""

    rows: Mapping[str, Sequence[Mapping[str, Any]]]
    counts: Mapping[str, int] = field(default_factory=dict)


def calls_of(name: str, query: Callable[..., Any], samples: Samples, given: Sequence[Mapping[str, Any]]) -> list[Call]:
    """Every way in which the query is called; `work` and sessions are left to the caller.

    Raises:
        PlansError: an argument cannot be made up.
    """
    signature = inspect.signature(query)
    try:
        hints = typing.get_type_hints(query)
    except NameError as error:
        raise PlansError(f"{name}: {error}; expected types that are imported at run time") from None
    parameters = [one for one in signature.parameters.values() if not _is_work(one, hints) and one.kind not in _REST]
    models = _models_of(query, hints)
    calls = []
    for chosen in given or [{}]:
        if unknown := sorted(set(chosen) - {one.name for one in parameters}):
            raise PlansError(f"tests/volume.py: ARGUMENTS: {name} takes no {', '.join(unknown)}")
        options = {
            one.name: [chosen[one.name]] if one.name in chosen else _options(name, one, hints, models, samples)
            for one in parameters
        }
        calls += list(_one_by_one(options, samples, models))
    return calls


_REST = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)


def _one_by_one(options: Mapping[str, Sequence[Any]], samples: Samples, models: Sequence[Any]) -> Iterator[Call]:
    """The first option of each, then each other option once, then a page in the middle."""
    first = {name: values[0] for name, values in options.items()}
    yield Call(first)
    for name, values in options.items():
        yield from (Call({**first, name: value}) for value in values[1:])
    if len(several := [name for name, values in options.items() if None in values[1:]]) > 1:
        yield Call(first | dict.fromkeys(several))
    if first.get("offset") == 0:
        rows = samples.counts.get(models[0].__tablename__, 0) if models else 0
        yield Call({**first, "offset": rows // 2}, is_deep=True)


def _is_work(parameter: inspect.Parameter, hints: Mapping[str, Any]) -> bool:
    kind = hints.get(parameter.name)
    return parameter.name == "work" or (isinstance(kind, type) and issubclass(kind, ReadWork | AsyncSession))


def _models_of(query: Callable[..., Any], hints: Mapping[str, Any]) -> list[Any]:
    """The models a query is most likely about: what it returns, takes, then those of its domain, then all."""
    every = sorted((mapper.class_ for mapper in Base.registry.mappers), key=lambda model: str(model.__name__))
    domain = query.__module__.split(".queries")[0] + "."
    told = [model for hint in [hints.get("return"), *hints.values()] for model in every if model in _parts(hint)]
    return list(dict.fromkeys([*told, *(model for model in every if model.__module__.startswith(domain)), *every]))


def _parts(hint: Any) -> Iterator[Any]:
    yield hint
    for part in typing.get_args(hint):
        yield from _parts(part)


def _options(
    name: str, parameter: inspect.Parameter, hints: Mapping[str, Any], models: Sequence[Any], samples: Samples
) -> list[Any]:
    if parameter.name == "offset":
        return [0]
    if parameter.name == "limit":
        return [_LIMIT]
    made = _values(hints.get(parameter.name), parameter.name, models, samples)
    if parameter.default is not inspect.Parameter.empty and parameter.default not in made:
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
    if origin is not None:
        return _values_of_parts(origin, parts, name, models, samples)
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return list(hint)
    if hint is bool:
        return [True, False]
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
        rows = _column_values(parts[0], name.removesuffix("s"), models, samples)
        kind = origin if origin in (set, frozenset, tuple) else list
        return [kind(rows[:3])] if rows else []
    return []


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
