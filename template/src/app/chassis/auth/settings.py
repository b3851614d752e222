"""Settings of the auth room. May import security."""

import re
from pathlib import Path

from pydantic import Field, Secret, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.chassis.security.settings import TextList

__all__ = ["AuthSettings"]

_SUPPORTED = ("ES256", "Ed25519", "RS256", "HS256")


class AuthSettings(BaseSettings):
    """Who issues tokens, for whom, how long they are good, and where the keys are."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    auth_issuer: str | None = Field(default=None, min_length=1, max_length=255)
    """`iss` of the tokens this service issues; unset: the service's slug."""
    auth_audience: str | None = Field(default=None, min_length=1, max_length=255)
    """`aud` that every token must name; unset: the service's slug."""
    auth_keys: Secret[str] | None = None
    """Signing keys as a JWK Set, the content of such a file; wins over `AUTH_KEYS_FILE`."""
    auth_keys_file: Path = Path("var/keys.json")
    """File of signing keys, which `python -m app keys` writes; made on first use, but not in production."""
    auth_algorithms: TextList = Field(default=("ES256", "Ed25519", "RS256"), min_length=1)
    """Signature algorithms that are taken, comma-separated: ES256, Ed25519, RS256; HS256 only if it is listed."""
    auth_access_token_seconds: int = Field(default=900, ge=30, le=86_400)
    """How long an access token is good."""
    auth_refresh_token_seconds: int = Field(default=2_592_000, ge=60, le=31_536_000)
    """How long after a log-in refresh tokens are good; then the caller logs in again."""
    auth_leeway_seconds: int = Field(default=30, ge=0, le=120)
    """How far clocks may be apart: for `exp`, `nbf` and `iat`."""
    auth_external_issuers: dict[str, str] = Field(default_factory=dict, max_length=16)
    """Issuers beside this service, each with the URL of its keys, as JSON: `{"https://id.example.com": "https://…"}`."""
    auth_jwks_cache_seconds: int = Field(default=600, ge=10, le=86_400)
    """How long keys are kept: those of other issuers here, those of this service elsewhere."""

    @field_validator("auth_algorithms")
    @classmethod
    def _known_algorithms(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        if set(value) - set(_SUPPORTED):
            raise ValueError(f"names an algorithm that is not taken; some of {', '.join(_SUPPORTED)}")
        return value

    @field_validator("auth_external_issuers")
    @classmethod
    def _sane_urls(cls, value: dict[str, str]) -> dict[str, str]:
        local = r"http://(127\.0\.0\.1|localhost|\[::1\])(:\d+)?(/.*)?"
        if not all(issuer and re.fullmatch(rf"https://[^\s/@]+/.*|{local}", url) for issuer, url in value.items()):
            raise ValueError("holds a URL that cannot be used; https://host/path, or http on this machine")
        return value
