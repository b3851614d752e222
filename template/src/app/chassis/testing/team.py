"""Finds `tests/service.py`, where the team tells the suite about its service."""

from collections.abc import Callable
from importlib import import_module
from typing import Any, Protocol, cast

from app.chassis.testing.client import Client

__all__ = ["Team", "team"]


class Team(Protocol):
    """What `tests/service.py` offers."""

    app: Callable[[], Any]
    """The service under test."""
    headers: Callable[[str, str], dict[str, str]]
    """Headers a request to (method, path template) needs, such as a token."""
    seed: Callable[[Client], None]
    """Puts a few things into the empty service, over HTTP."""


def team() -> Team:
    """`tests.service`, imported from the service's folder."""
    return cast(Team, import_module("tests.service"))
