"""Turns pydantic's error list into the `fields` of the envelope. May import errors, validation."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from app.chassis.errors import FieldProblem, Place
from app.chassis.validation import explain, printable

__all__ = ["MAX_FIELDS", "field_problems"]

MAX_FIELDS = 50  # an answer stays small, however wrong the input is
_PLACES = {"body", "query", "path", "header", "cookie"}


def field_problems(errors: Sequence[Mapping[str, Any]]) -> list[FieldProblem]:
    """One problem for each pydantic error, at most MAX_FIELDS; names are cut to 64 printable characters."""
    return [_problem(error) for error in errors[:MAX_FIELDS]]


def _problem(error: Mapping[str, Any]) -> FieldProblem:
    location = list(error.get("loc") or ("body",))
    place = location.pop(0) if location and location[0] in _PLACES else "body"
    detail, expected = explain(error)
    code = str(error["type"]) if error["type"] not in ("value_error", "assertion_error") else "invalid"
    pointer = "".join("/" + printable(part).replace("~", "~0").replace("/", "~1") for part in location)
    return FieldProblem(cast(Place, place), pointer, code, detail, expected)
