"""Calls each query of the team with arguments made from its signature. May import arguments, database, team.

What can be chosen (None, a flag, one of a few words) is tried one by one.
"""

import inspect
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from app.chassis.data.plans.arguments import Samples, options_of
from app.chassis.data.plans.team import PlansError
from app.chassis.database.columns import Base
from app.chassis.database.keyset import Part, Slice
from app.chassis.database.work import ReadWork

__all__ = ["Call", "calls_of"]


@dataclass(frozen=True, slots=True)
class Call:
    """Arguments by name; a model stands for a row of it. `is_deep` if it asks for a page far from the first."""

    arguments: Mapping[str, Any]
    is_deep: bool = False

    def following(self, answer: Any) -> "list[Call]":
        """What asks by cursor for the rows behind the answer, if that is a page in the middle of a list."""
        if not self.is_deep or not isinstance(answer, Slice):
            return []
        behind = {
            name: Part(value.limit, after=answer.end)
            for name, value in self.arguments.items()
            if isinstance(value, Part)
        }
        return [Call({**self.arguments, **behind})] if answer.end is not None else []


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
            one.name: [chosen[one.name]] if one.name in chosen else options_of(name, one, hints, models, samples)
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
    half = samples.counts.get(models[0].__tablename__, 0) // 2 if models else 0
    far: dict[str, Any] = {name: Part(value.limit, half) for name, value in first.items() if isinstance(value, Part)}
    if first.get("offset") == 0:
        far["offset"] = half
    if far:
        yield Call({**first, **far}, is_deep=True)


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
