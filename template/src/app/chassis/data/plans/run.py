"""Runs one call of a query and takes back what it changed. May import calls, database, errors, watch."""

import asyncio
import inspect
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from app.chassis.data.plans.calls import Call
from app.chassis.data.plans.watch import Watch
from app.chassis.database.engine import Database
from app.chassis.database.work import ReadWork, WriteWork
from app.chassis.errors import ServiceError

__all__ = ["Outcome", "run"]

_CALL_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a call answered; why it did not come to its end, if that hides what it would have asked."""

    answer: Any = None
    error: str | None = None


async def run(query: Callable[..., Any], call: Call, watch: Watch, database: Database) -> Outcome:
    """Run the call; a value that is taken is tried once more as one that is not."""
    try:
        return Outcome(await _run(query, call.arguments, watch, database))
    except IntegrityError:
        other = {name: value[::-1] if isinstance(value, str) else value for name, value in call.arguments.items()}
        try:
            return Outcome(await _run(query, other, watch, database))
        except Exception as error:  # noqa: BLE001  # the team's code may raise anything
            return _failed(error)
    except ServiceError as error:
        return Outcome() if watch.sent else _failed(error)
    except TimeoutError:  # no wonder, if its plan is bad
        is_bad = any(look.steps for look, *_ in watch.looks)
        return Outcome(error=None if is_bad else f"it takes more than {_CALL_SECONDS:g} s, and no plan says why")
    except Exception as error:  # noqa: BLE001  # as above
        return _failed(error)


def _failed(error: Exception) -> Outcome:
    words = str(getattr(error, "orig", None) or error).splitlines()
    return Outcome(error=f"{type(error).__name__}: {words[0] if words else ''}")


async def _run(query: Callable[..., Any], arguments: Any, watch: Watch, database: Database) -> Any:
    signature, hints = inspect.signature(query), typing.get_type_hints(query)
    kinds = {hint for hint in hints.values() if isinstance(hint, type) and issubclass(hint, ReadWork)}
    work = (ReadWork if kinds == {ReadWork} else WriteWork)(database)
    try:
        values: dict[str, Any] = {}
        for name in signature.parameters:
            if name in arguments:
                values[name] = await _row_of(arguments[name], work)
            elif name == "work" or hints.get(name) in kinds:
                values[name] = work
            elif hints.get(name) is AsyncSession:
                values[name] = work.session
        by_place = [values.pop(n) for n, one in signature.parameters.items() if one.kind is one.POSITIONAL_ONLY]
        watch.start(_CALL_SECONDS)
        async with asyncio.timeout(_CALL_SECONDS):
            called = query(*by_place, **values)
            if inspect.isasyncgen(called):
                return [one async for one in called]
            return await called
    finally:
        watch.stop()
        await work.finish(is_good=False)


async def _row_of(value: Any, work: ReadWork) -> Any:
    """In place of a model, the row in the middle of its table."""
    if isinstance(value, list):
        return [await _row_of(one, work) for one in value]
    if not (isinstance(value, type) and hasattr(value, "__table__")):
        return value
    half = (await work.session.scalar(select(func.count()).select_from(value)) or 0) // 2
    key = value.__table__.primary_key.columns
    return await work.session.scalar(select(value).order_by(*key).offset(half).limit(1))
