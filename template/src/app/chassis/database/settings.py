"""Settings of the database room."""

import re
from urllib.parse import unquote

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["DatabaseSettings"]


class DatabaseSettings(BaseSettings):
    """Which database, and how long to wait for it."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    database_url: str = "sqlite+aiosqlite:///./var/app.db"
    """`sqlite+aiosqlite:///PATH`: the embedded default, for one process."""
    database_busy_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Longest wait for a lock or a free connection; then 503."""
    database_read_connections: int = Field(default=4, ge=1, le=64)
    """Connections for reading; the embedded database has one more for writing."""

    @field_validator("database_url")
    @classmethod
    def _known_driver(cls, url: str) -> str:
        if not url.isprintable() or not re.fullmatch(r"sqlite\+aiosqlite:///(?!:mem|file:)[^?\0]+(?<!/)", unquote(url)):
            raise ValueError("names a database this release cannot use; sqlite+aiosqlite:///PATH of a file, no options")
        return url
