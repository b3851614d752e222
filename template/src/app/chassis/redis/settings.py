"""Settings of whatever keeps something in Redis. Imports nothing of the chassis."""

import os
import re
from urllib.parse import parse_qsl, urlsplit

from pydantic import field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["RedisSettings"]

_EXPECTED = (
    "redis://USER:PASSWORD@HOST:PORT/NUMBER, rediss:// for TLS, or unix:///PATH?db=NUMBER; "
    "options: db, ssl_ca_certs, ssl_certfile, ssl_keyfile, which are files; percent-encode what stands in a password"
)
_OPTIONS = {
    "redis": {"db"},
    "rediss": {"db", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile"},
    "unix": {"db"},
}


class RedisSettings(BaseSettings):
    """Which Redis or Valkey."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    redis_url: str | None = None
    """`redis://USER:PASSWORD@HOST:PORT/NUMBER`, `rediss://…`, `unix:///PATH`; unset: each process keeps its own."""

    @field_validator("redis_url")
    @classmethod
    def _usable(cls, url: str | None) -> str | None:
        if url is not None and not _is_usable(url):
            raise ValueError(f"names no Redis that could be reached; {_EXPECTED}")
        return url


def _files(options: list[tuple[str, str]]) -> list[str]:
    """Of certificates and keys."""
    return [value for name, value in options if name.startswith("ssl_")]


def _is_usable(url: str) -> bool:
    try:
        parts = urlsplit(url)
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
        port = parts.port
    except ValueError:
        return False
    names = [name for name, _ in options]
    if re.search("%(?![0-9A-Fa-f]{2})", url) or not all(map(os.path.isfile, _files(options))):
        return False
    if not url.isascii() or not url.isprintable() or " " in url or parts.fragment or len(set(names)) < len(names):
        return False
    if not set(names) <= _OPTIONS.get(parts.scheme, set()) or not dict(options).get("db", "0").isdigit():
        return False
    if parts.scheme == "unix":
        return len(parts.path) > 1 and not parts.hostname
    has_host = parts.scheme in _OPTIONS and bool(parts.hostname) and port != 0
    return has_host and bool(re.fullmatch(r"(/\d{0,6})?", parts.path))
