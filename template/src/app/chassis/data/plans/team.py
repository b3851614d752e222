"""What the team says about its data and its plans: `tests/volume.py` and each domain's `plans.toml`.

May import about, tables.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import Field, TypeAdapter, ValidationError

from app.chassis.about import project_root
from app.chassis.tables import Table, TablesError, read_tables

__all__ = ["Accepted", "PlansError", "Volume", "read_accepted", "read_volume"]

_VOLUME = "tests.volume"


class PlansError(Exception):
    """The plans cannot be looked at; says what is wrong and what is expected."""


@dataclass(frozen=True, slots=True)
class Volume:
    """The team's words: rows and values by table, arguments by query (`items.newest_items`)."""

    rows: Mapping[str, int] = field(default_factory=dict)
    values: Mapping[str, Callable[[int], Mapping[str, Any]]] = field(default_factory=dict)
    arguments: Mapping[str, Sequence[Mapping[str, Any]]] = field(default_factory=dict)


class Accepted(Table):
    """A query whose plan is right as it is, and why."""

    query: str = Field(pattern=r"^\w+(\.total)?$")
    reason: str = Field(min_length=10)


_SHAPES: dict[str, tuple[TypeAdapter[Any], str]] = {
    "ROWS": (TypeAdapter(dict[str, int]), "{table: number of rows}"),
    "VALUES": (TypeAdapter(dict[str, Callable[[int], Any]]), "{table: function from a row's number to a dict}"),
    "ARGUMENTS": (TypeAdapter(dict[str, dict[str, Any] | list[dict[str, Any]]]), '{"domain.query": a dict or several}'),
}


def read_volume() -> Volume:
    """What `tests/volume.py` says; nothing if there is no such file.

    Raises:
        PlansError: it cannot be used.
    """
    if find_spec("tests") is None or find_spec(_VOLUME) is None:
        return Volume()
    try:
        module = import_module(_VOLUME)
    except Exception as error:  # the team's code may raise anything
        raise PlansError(f"tests/volume.py: {type(error).__name__}: {error}; expected a file that runs") from error
    told: dict[str, Any] = {}
    for name, (shape, expected) in _SHAPES.items():
        try:
            told[name.lower()] = shape.validate_python(getattr(module, name, {}))
        except ValidationError:
            raise PlansError(f"tests/volume.py: {name} cannot be used; expected {expected}") from None
    told["arguments"] = {name: one if isinstance(one, list) else [one] for name, one in told["arguments"].items()}
    return Volume(**told)


def read_accepted() -> dict[str, tuple[Path, str]]:
    """File and reason by query, `items.newest_items.total`.

    Raises:
        PlansError: a file cannot be used.
    """
    found: dict[str, tuple[Path, str]] = {}
    for file in sorted((project_root() / "src/app/domains").glob("*/plans.toml")):
        shown = file.relative_to(project_root())
        try:
            entries = read_tables(file, "accepted", Accepted)
        except TablesError as error:
            raise PlansError(f"{shown}: {error}") from None
        found |= {f"{file.parent.name}.{entry.query}": (shown, entry.reason) for entry in entries}
    return found
