"""Loads the team's service and settings by name, with a clear word when that fails."""

from importlib import import_module
from typing import Any

from app.chassis.settings import ChassisSettings, load_settings

__all__ = ["load_service", "team_settings"]


def load_service() -> Any:
    """`app` of `app.main`."""
    return import_module("app.main").app


def team_settings() -> type[ChassisSettings]:
    """`Settings` of `app.settings`."""
    settings: type[ChassisSettings] = import_module("app.settings").Settings
    return settings


def loaded_settings() -> ChassisSettings:
    """The team's settings, read.

    Raises:
        SettingsError: a variable cannot be used.
    """
    return load_settings(team_settings())
