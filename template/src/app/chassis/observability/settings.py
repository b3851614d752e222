"""Settings of the observability room."""

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["LogSettings"]


class LogSettings(BaseSettings):
    """How much is logged and in which form."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important level that is written; `debug` also shows probes and `/metrics` that went well."""
    log_format: Literal["json", "text"] = "json"
    """`json`: one object a line, for machines; `text`: for eyes."""
    log_buffer_lines: int = Field(default=10_000, ge=100, le=1_000_000)
    """Lines kept while the reader of the log is slow; more are dropped and counted."""
