"""Deliberate breaks, `contract/waivers.toml`. May import http, validation."""

import tomllib
from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from app.chassis.http.recordings import ContractError, shown
from app.chassis.validation import explain

__all__ = ["Waiver", "read_waivers"]


class Waiver(BaseModel):
    """One break that is meant: its name as `make contract-check` prints it, why, and the last day it is let pass."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    what: str = Field(alias="break", pattern=r"^v[1-9][0-9]{0,3}\.[^\s]+$")
    reason: str = Field(min_length=10)
    until: date = Field(strict=True)


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    waiver: list[Waiver] = []


def read_waivers(folder: Path) -> Mapping[str, Waiver]:
    """Waivers by the break they let pass; none if there is no file.

    Raises:
        ContractError: the file cannot be used.
    """
    file = folder / "waivers.toml"
    if not file.exists():
        return {}
    try:
        waivers = _File.model_validate(tomllib.loads(file.read_text(encoding="utf-8"))).waiver
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        detail, expected = explain(problem)
        where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"])
        raise ContractError(f"{shown(file)}: {where} {detail}; expected {expected}") from None
    except (OSError, ValueError) as error:
        raise ContractError(f"{shown(file)}: cannot be read: {error}; expected TOML with [[waiver]] tables") from None
    return {waiver.what: waiver for waiver in waivers}
