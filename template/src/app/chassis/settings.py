"""All chassis settings in one class, made of each room's own.

May import database, features, observability, security, validation.
"""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.chassis.database.settings import DatabaseSettings
from app.chassis.features import FeatureSettings
from app.chassis.observability.settings import LogSettings
from app.chassis.security.settings import SecuritySettings
from app.chassis.validation import explain

__all__ = ["ChassisSettings", "SettingsError", "env_file", "load_settings", "weak_secrets"]

_PLACEHOLDER = "change-me"
_STRENGTH = "16 characters or more, 8 of them different"

S = TypeVar("S", bound=BaseSettings)


class SettingsError(Exception):
    """Settings that cannot be used; each line names the variable and what is expected, never its value."""


class ServerSettings(BaseSettings):
    """Where the service listens and how long anything may take."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    host: str = "127.0.0.1"
    """Address to listen on; `0.0.0.0` in a container."""
    port: int = Field(default=8000, ge=0, le=65535)
    """Port to listen on; 0 takes a free one and logs it."""
    server_request_timeout_seconds: float = Field(default=30.0, gt=0, le=86_400)
    """Longest time until an answer begins; then 504, and nothing was saved."""
    server_body_timeout_seconds: float = Field(default=10.0, gt=0, le=86_400)
    """Longest time for a request body to arrive; then 408."""
    server_header_timeout_seconds: float = Field(default=10.0, gt=0, le=86_400)
    """Longest time for request line and headers to arrive; then 408."""
    server_write_timeout_seconds: float = Field(default=30.0, gt=0, le=86_400)
    """Longest time a client may read nothing of an answer that waits for it; then the connection is cut."""
    server_keep_alive_seconds: int = Field(default=5, ge=0, le=86_400)
    """How long an idle connection is kept."""
    server_max_in_flight: int = Field(default=100, ge=1, le=100_000)
    """Requests answered at once; more are 503 with Retry-After. Probes always pass."""
    server_backlog: int = Field(default=128, ge=1, le=65_535)
    """Connections the kernel may queue before they are accepted."""
    server_drain_seconds: float = Field(default=5.0, ge=0, le=86_400)
    """After SIGTERM: how long `/readyz` says 503 while requests are still served."""
    server_shutdown_seconds: float = Field(default=30.0, gt=0, le=86_400)
    """After that: how long running requests may take to finish."""

    @field_validator("host")
    @classmethod
    def _host_name(cls, value: str) -> str:
        if not re.fullmatch(r"(?!.*([^.]{64}|\.\.))[\w:][\w.:%-]{0,252}", value, re.ASCII):
            raise ValueError("is not a host; a host name or address of 1 to 253 characters, such as 127.0.0.1 or ::1")
        return value


def _stripped(value: Any) -> Any:
    return value.strip() or None if isinstance(value, str) else value


class ChassisSettings(FeatureSettings, ServerSettings, SecuritySettings, LogSettings, DatabaseSettings):
    """What every service can be told from outside. `Settings` of the team derives from it."""

    model_config = SettingsConfigDict(hide_input_in_errors=True, frozen=True)

    environment: Literal["development", "test", "production"] = "development"
    """`production` refuses missing and placeholder secrets."""
    operations_token: Annotated[SecretStr | None, BeforeValidator(_stripped)] = None
    """Secret that `/metrics` asks for as a bearer token; required in production."""
    api_default_version: str | None = None
    """Version that answers when a request names none, such as `v1`; unset: the oldest served."""
    idempotency_keep_hours: float = Field(default=24.0, gt=0, le=8_760)
    """How long the answer of a request with an `Idempotency-Key` is kept for a retry."""
    docs_enabled: bool = True
    """Whether `/docs` and `/vN/openapi.json` are served."""
    deploy_id: str = Field(default="", max_length=64, pattern=r"^[\w.-]*$")
    """Which deployment started this process, as `/readyz` shows it; whoever deploys sets it."""

    @field_validator("api_default_version")
    @classmethod
    def _version_name(cls, value: str | None) -> str | None:
        if value is not None and not (value[:1] == "v" and value[1:].isdigit()):
            raise ValueError("is not the name of a version; a name such as v1")
        return value

    @model_validator(mode="after")
    def _production_is_safe(self) -> Self:
        if self.environment == "production":
            problems = [f"{name}: {problem}" for name, problem in weak_secrets(self)]
            if "security_allowed_hosts" not in self.model_fields_set:
                problems.append("SECURITY_ALLOWED_HOSTS: is missing; expected the host names clients use")
            if problems:
                raise ValueError("\n".join(problems))
        return self


def weak_secrets(settings: ChassisSettings) -> Iterator[tuple[str, str]]:
    """Each secret that production would refuse, by its variable, and what is wrong with it."""
    for name, field in type(settings).model_fields.items():
        if "SecretStr" not in str(field.annotation):
            continue
        held = getattr(settings, name)
        held = held.values() if isinstance(held, dict) else held
        for secret in held if isinstance(held, Iterable) else (held,):
            if problem := _weakness(secret.get_secret_value().strip() if secret else "", secret == field.default):
                yield name.upper(), problem
                break


def _weakness(value: str, is_default: bool) -> str | None:
    if not value:
        return f"is missing; expected a secret of {_STRENGTH}"
    if is_default or value.startswith(_PLACEHOLDER):
        return "still has its placeholder; expected a secret of your own"
    if len(value) < 16 or len(set(value)) < 8:
        return f"is too short or too simple; expected {_STRENGTH}"
    return None


def env_file() -> Path:
    """The file of settings: the one `ENV_FILE` names, which must be there, or `.env`. A folder stands for none.

    Raises:
        SettingsError: `ENV_FILE` names no file.
    """
    file = Path(os.environ.get("ENV_FILE", ".env"))
    if os.environ.get("ENV_FILE") and (file.is_dir() or not file.exists()):
        raise SettingsError("ENV_FILE: names no file; expected the path of a file that is there, or nothing")
    return file


def load_settings(settings: type[S], **given: Any) -> S:
    """Read the environment, then the file of settings, which may begin with a byte order mark. `given` wins over both.

    Raises:
        SettingsError: one line for each variable that cannot be used.
    """
    try:
        return settings(_env_file=env_file(), _env_file_encoding="utf-8-sig", **given)
    except ValidationError as error:
        raise SettingsError("\n".join(_line(problem) for problem in error.errors(include_input=False))) from None
    except (OSError, ValueError) as error:
        if field := re.match(r'error parsing value for field "(\w+)"', str(error)):
            raise SettingsError(f"{field[1].upper()}: is not JSON; expected JSON, such as [1, 2]") from None
        raise SettingsError(f"ENV_FILE or .env: cannot be read: {type(error).__name__}; expected UTF-8 text") from None


def _line(problem: Any) -> str:
    detail, expected = explain(problem)
    if not problem["loc"]:
        return str(problem["ctx"]["error"])
    return f"{str(problem['loc'][0]).upper()}: {detail}; expected {expected}"
