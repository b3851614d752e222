"""Which records are rows of a domain, and what is wrong with the others.

May import database, errors, reader, rejects, validation.
"""

import traceback
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from app.chassis.data.imports.reader import Record
from app.chassis.data.imports.rejects import Reject
from app.chassis.database import WriteWork
from app.chassis.database.failures import DATABASE_ERRORS, told
from app.chassis.errors import ServiceError, UnavailableError
from app.chassis.validation import explain

__all__ = ["REFUSALS", "Rows", "Target", "checked", "rejects_of", "words_of"]

REFUSALS = {"validation_failed", "conflict", "not_found", "gone", "forbidden", "precondition_failed"}
"""Kinds of errors that are about a row; any other stops the import."""
Rows = list[tuple[Record, BaseModel]]


@dataclass(frozen=True, slots=True)
class Target:
    """What a domain says of its imports: the shape of a row, and what becomes of a chunk of them."""

    name: str
    row: type[BaseModel]
    store: Callable[[WriteWork, Sequence[Any]], Awaitable[None]]

    @property
    def columns(self) -> dict[str, bool]:
        """Names of the columns, and whether each must be there."""
        return {one.alias or name: one.is_required() for name, one in self.row.model_fields.items()}


def checked(target: Target, records: list[Record]) -> tuple[Rows, list[Reject]]:
    """The records that are rows, and what is wrong with the others."""
    rows: Rows = []
    rejects: list[Reject] = []
    for record in records:
        if record.problem is not None:
            rejects.append(Reject(record.line, "", *record.problem))
            continue
        try:
            row = _read(target, record.content)
        except ValidationError as error:
            rejects += [_reject(record, problem) for problem in error.errors(include_url=False)]
            continue
        nul = next((name for name, value in row if isinstance(value, str) and "\0" in value), None)
        if nul is None:
            rows.append((record, row))
        else:
            rejects.append(Reject(record.line, nul, "a NUL character", "a text without NUL characters"))
    return rows, rejects


def _read(target: Target, content: dict[str, str] | str) -> BaseModel:
    """JSON is taken at its word; in CSV all is text."""
    if isinstance(content, str):
        return target.row.model_validate_json(content, strict=True)
    return target.row.model_validate(content)


def _reject(record: Record, problem: Any) -> Reject:
    _, expected = explain(problem)
    if problem["type"] == "json_invalid" or (problem["type"] == "model_type" and not problem["loc"]):
        return Reject(record.line, "", str(record.content).strip(), "a JSON object")
    field_ = ".".join(map(str, problem["loc"]))
    return Reject(record.line, field_, "nothing" if problem["type"] == "missing" else str(problem["input"]), expected)


def rejects_of(row: tuple[Record, BaseModel], refusal: ServiceError) -> list[Reject]:
    """What the database or the domain said of a row, column by column."""
    record, values = row
    if not refusal.fields:
        return [Reject(record.line, "", refusal.detail or refusal.code, refusal.expected or "see the documentation")]
    names = [(one.pointer.strip("/"), one.expected) for one in refusal.fields]
    return [Reject(record.line, name, str(getattr(values, name, "")), expected) for name, expected in names]


def words_of(error: Exception) -> str:
    """What stopped a chunk, in a line; of a mistake of the program the place, never a value."""
    refusal = error if isinstance(error, ServiceError) else told(error) if isinstance(error, DATABASE_ERRORS) else None
    if isinstance(refusal, UnavailableError):
        return "the database does not answer; expected one that is not locked, full or gone"
    if refusal is not None:
        return f"{refusal.detail or refusal.code}; expected {refusal.expected or 'a database that can be written'}"
    frames = [one for one in traceback.extract_tb(error.__traceback__) if "/app/domains/" in one.filename]
    name = type(error).__name__
    if not frames:
        return f"the database refuses to work ({name}); expected one that DATABASE_URL may read and write"
    where = f"{frames[-1].filename.rpartition('/src/')[2]}:{frames[-1].lineno}"
    return (
        f"store() fails with {name} at {where}; expected one that stores these rows, or raises an error of the domain"
    )
