"""Settings of the security room."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

__all__ = ["SecuritySettings", "TextList"]


def _split(value: Any) -> Any:
    return tuple(part.strip() for part in value.split(",") if part.strip()) if isinstance(value, str) else value


TextList = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_split)]


class SecuritySettings(BaseSettings):
    """Hosts, origins and sizes the edge accepts."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    security_allowed_hosts: TextList = Field(default=("localhost", "127.0.0.1", "[::1]"), min_length=1)
    """Host names this service answers to, comma-separated; `*.example.com` takes subdomains, `*` takes all."""
    security_cors_origins: TextList = ()
    """Origins whose browsers may call, comma-separated, such as `https://app.example.com`; empty: none."""
    security_trusted_proxies: int = Field(default=0, ge=0, le=16)
    """How many proxies in front append to `X-Forwarded-For`; 0: the peer's address is the client's."""
    security_max_body_bytes: int = Field(default=1_048_576, ge=0, le=1_099_511_627_776)
    """Largest request body; more is 413."""
    security_max_url_bytes: int = Field(default=8_192, ge=256, le=1_048_576)
    """Longest path with query; more is 414."""
    security_max_header_bytes: int = Field(default=32_768, ge=1_024, le=1_048_576)
    """Largest sum of all request headers; more is 431."""
    security_hsts_seconds: int = Field(default=0, ge=0, le=2_147_483_647)
    """`Strict-Transport-Security` max-age; 0 sends none. Set it once the service is reached by HTTPS only."""
