"""What the features' rooms want of a test: each has a `testing.py`. May import features."""

from functools import cache
from importlib import import_module
from typing import Protocol, cast

from starlette.routing import BaseRoute

from app.chassis.features import FEATURES

__all__ = ["caller_headers", "probe_routes", "suite_environment"]


class Room(Protocol):
    """What `testing.py` of a room offers."""

    ENVIRONMENT: dict[str, str]
    """Settings of a service under test."""

    def headers(self) -> dict[str, str]:
        """What a caller sends who may do everything."""


def _rooms() -> list[Room]:
    return [cast(Room, import_module(f"app.chassis.{name}.testing")) for name in FEATURES]


@cache
def caller_headers() -> dict[str, str]:
    """What a caller sends who may do everything."""
    return {name: value for room in _rooms() for name, value in room.headers().items()}


def probe_routes() -> list[BaseRoute]:
    """Routes that a room's tests ask, `ROUTES` of those that have some."""
    return [route for room in _rooms() for route in getattr(room, "ROUTES", ())]


def suite_environment() -> dict[str, str]:
    """Settings of a service under test, beyond what every service has."""
    return {name: value for room in _rooms() for name, value in room.ENVIRONMENT.items()}
