"""The manifest: which features this service has. The only Python file a render may shape; it holds none yet."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from sqlalchemy import MetaData

__all__ = ["FEATURES", "Feature", "MigrationRoom"]


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
    lifespan: Callable[[Any], AbstractAsyncContextManager[None]] | None = None
    readiness: Callable[[Any], Awaitable[None]] | None = None
    routers: Sequence[APIRouter] = ()
    migrations: MigrationRoom | None = None


FEATURES: tuple[Feature, ...] = ()
