"""What an optional room offers, and the rooms this service has. May import features."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import MetaData
from starlette.datastructures import State

from app.chassis.features import FEATURES

__all__ = ["Feature", "MigrationRoom", "loaded_features"]


@dataclass(frozen=True, slots=True)
class MigrationRoom:
    """Tables of one chassis room: `chassis_<name>_*`, revisions in `folder`, version table `chassis_<name>_version`."""

    name: str
    metadata: MetaData
    folder: Path


@dataclass(frozen=True, slots=True)
class Feature:
    """Everything an optional room offers; `app.py` loops over these, so the program holds no `if cache`."""

    name: str
    setup: Callable[[State], None] | None = None
    """Puts into the service's state what the room needs of it; raises SettingsError where settings cannot be used.

    Finds there `settings`, `metrics`, `database`, and `versions` with the team's routes.
    """
    guard: Callable[[Request], Awaitable[None]] | None = None
    """Runs before each route that matched, health and metrics excepted; what it raises is the answer."""
    admit: Callable[[Request], Awaitable[None]] | None = None
    """Runs after all guards: refuses whom the route would refuse, before a body is read."""
    codes: Sequence[str] = ()
    """Error codes of the one table that the guard gives any route."""
    exposed_headers: Sequence[str] = ()
    """Answer headers that browsers of other origins may read."""
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None
    readiness: Callable[[Any], Awaitable[None]] | None = None
    routers: Sequence[APIRouter] = ()
    migrations: MigrationRoom | None = None


@cache
def loaded_features() -> tuple[Feature, ...]:
    """`FEATURE` of each room's `feature.py`, in the order in which their guards run."""
    return tuple(import_module(f"app.chassis.{name}.feature").FEATURE for name in FEATURES)
