"""Reads a file of TOML tables that the team writes, every mistake told by its place. May import validation."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from app.chassis.validation import explain

__all__ = ["Table", "TablesError", "read_tables"]

T = TypeVar("T", bound="Table")


class Table(BaseModel):
    """One table of such a file: these members and no others."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class TablesError(Exception):
    """The file cannot be used: what was found, what is expected. Who reads it knows its name."""


def read_tables(file: Path, name: str, shape: type[T]) -> list[T]:
    """The `[[name]]` tables of a file, in its order.

    Raises:
        TablesError: it holds anything else.
    """
    tables: Any = {name: (list[shape], [])}  # type: ignore[valid-type]  # pydantic makes the class at run time
    whole = create_model("File", __base__=Table, **tables)
    try:
        content = whole.model_validate(tomllib.loads(file.read_text(encoding="utf-8")))
    except ValidationError as error:
        problem = error.errors(include_input=False)[0]
        detail, expected = explain(problem)
        where = ".".join(str(part + 1 if isinstance(part, int) else part) for part in problem["loc"])
        raise TablesError(f"{where} {detail}; expected {expected}") from None
    except (OSError, ValueError) as error:
        raise TablesError(f"cannot be read: {error}; expected TOML with [[{name}]] tables") from None
    found: list[T] = getattr(content, name)
    return found
