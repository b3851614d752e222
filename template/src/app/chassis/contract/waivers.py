"""Deliberate breaks, `contract/waivers.toml`. May import http, tables."""

from collections.abc import Mapping
from datetime import date
from pathlib import Path

from pydantic import Field

from app.chassis.http.recordings import ContractError, shown
from app.chassis.tables import Table, TablesError, read_tables

__all__ = ["Waiver", "read_waivers"]


class Waiver(Table):
    """One break that is meant: its name as `make contract-check` prints it, why, and the last day it is let pass."""

    what: str = Field(alias="break", pattern=r"^v[1-9][0-9]{0,3}\.[^\s]+$")
    reason: str = Field(min_length=10)
    until: date = Field(strict=True)


def read_waivers(folder: Path) -> Mapping[str, Waiver]:
    """Waivers by the break they let pass; none if there is no file.

    Raises:
        ContractError: the file cannot be used.
    """
    file = folder / "waivers.toml"
    if not file.exists():
        return {}
    try:
        return {waiver.what: waiver for waiver in read_tables(file, "waiver", Waiver)}
    except TablesError as error:
        raise ContractError(f"{shown(file)}: {error}") from None
