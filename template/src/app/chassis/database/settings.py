"""Settings of the database room."""

import re
from urllib.parse import parse_qsl, unquote

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError

__all__ = ["DatabaseSettings", "is_postgresql"]

_SQLITE = r"sqlite\+aiosqlite:///(?!:mem|file:)[^?\0]+(?<!/)"
_OPTIONS = {"host", "ssl", "prepared_statement_cache_size"}  # a socket's folder, TLS, 0 behind an old PgBouncer


class DatabaseSettings(BaseSettings):
    """Which database, and how long to wait for it."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    database_url: str = "sqlite+aiosqlite:///./var/app.db"
    """`sqlite+aiosqlite:///PATH`: the embedded default, for one process. `postgresql+asyncpg://USER:PASSWORD@HOST/NAME`."""
    database_busy_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """Longest wait for a lock or a free connection; then 503."""
    database_read_connections: int = Field(default=4, ge=1, le=64)
    """SQLite: connections for reading; there is one more for writing."""
    database_pool_size: int = Field(default=10, ge=1, le=1_000)
    """PostgreSQL: connections a process keeps open."""
    database_pool_overflow: int = Field(default=5, ge=0, le=1_000)
    """PostgreSQL: connections beyond those, closed after use."""
    database_pool_pre_ping: bool = True
    """PostgreSQL: whether a connection is tried before use, so that none that died meanwhile is lent."""
    database_connect_timeout_seconds: float = Field(default=5.0, gt=0, le=60)
    """PostgreSQL: longest time for a new connection; then 503."""
    database_statement_timeout_seconds: float = Field(default=20.0, gt=0, le=86_400)
    """PostgreSQL: longest time for one statement; then 503. Migrations have none."""

    @field_validator("database_url")
    @classmethod
    def _known_driver(cls, url: str) -> str:
        if not url.isprintable() or not (re.fullmatch(_SQLITE, unquote(url)) or _is_usable_postgresql(url)):
            raise ValueError(
                "names a database this release cannot use; sqlite+aiosqlite:///PATH of a file, no options, or "
                f"postgresql+asyncpg://USER:PASSWORD@HOST:PORT/NAME, options: {', '.join(sorted(_OPTIONS))}"
            )
        return url


def is_postgresql(url: str) -> bool:
    """Whether the URL names PostgreSQL; else it is SQLite."""
    return url.startswith("postgresql+asyncpg://")


def _is_usable_postgresql(url: str) -> bool:
    if not is_postgresql(url):
        return False
    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        return False
    is_somewhere = bool(parts.host or parts.query.get("host"))
    options = [name for name, _ in parse_qsl(url.partition("?")[2], keep_blank_values=True)]
    return bool(parts.database and is_somewhere and set(options) <= _OPTIONS and len(options) == len(set(options)))
