"""Loads the team's service and settings by name, with a clear word when that fails."""

from importlib import import_module
from typing import Any

from app.chassis.settings import ChassisSettings, load_settings

__all__ = ["load_service", "loaded_settings"]


def load_service() -> Any:
    """`app` of `app.main`."""
    return import_module("app.main").app


def loaded_settings() -> ChassisSettings:
    """`Settings` of `app.settings`, read.

    Raises:
        SettingsError: a variable cannot be used.
    """
    settings: type[ChassisSettings] = import_module("app.settings").Settings
    return load_settings(settings)
