"""Finds `tests/service.py`, where the team tells the suite about its service, and `tests/<domain>/seed.py`."""

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from app.chassis.about import project_root
from app.chassis.testing.client import Client

__all__ = ["Team", "team"]


@dataclass(frozen=True, slots=True)
class Team:
    """What `tests/service.py` offers."""

    app: Callable[[], Any]
    """The service under test."""
    headers: Callable[[str, str], dict[str, str]]
    """Headers a request to (method, path template) needs, such as a token."""
    seed: Callable[[Client], None]
    """Puts a few things into the empty service, over HTTP; then each domain's own `seed` does."""


def team() -> Team:
    """`tests.service`, imported from the service's folder."""
    service = import_module("tests.service")

    def seed(client: Client) -> None:
        service.seed(client)
        for path in sorted(project_root().glob("tests/*/seed.py")):
            domain = import_module(f"tests.{path.parent.name}.seed")
            getattr(domain, "seed", lambda _: None)(client)

    return Team(service.app, service.headers, seed)
