"""Which records are rows of a domain, and what is wrong with the others.

May import database, errors, reader, rejects, validation.
"""

import traceback
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import to_json

from app.chassis.data.imports.reader import Record
from app.chassis.data.imports.rejects import Reject
from app.chassis.database import WriteWork
from app.chassis.database.failures import DATABASE_ERRORS, told
from app.chassis.errors import ServiceError, UnavailableError
from app.chassis.validation import explain, printable

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
        nul = _nul_in(row)
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


def _nul_in(value: Any) -> str | None:
    """Place of the first NUL character, at any depth: PostgreSQL stores none, not even in JSON."""
    if isinstance(value, str):
        return "" if "\0" in value else None
    if isinstance(value, list | tuple | set | frozenset):
        value = dict(enumerate(value))
    for name, part in dict(value).items() if isinstance(value, Mapping | BaseModel) else ():
        place = "" if "\0" in str(name) else _nul_in(part)
        if place is not None:
            return f"{name}.{place}".rstrip(".")
    return None


def _reject(record: Record, problem: Any) -> Reject:
    _, expected = explain(problem)
    if problem["type"] in ("json_invalid", "model_type") and not problem["loc"]:
        expected = "a text without lone surrogates" if "hex escape" in str(problem.get("ctx")) else "a JSON object"
        return Reject(record.line, "", printable(str(record.content).strip()), expected)
    found = "nothing" if problem["type"] == "missing" else _shown(record, problem["input"])
    return Reject(record.line, ".".join(map(str, problem["loc"])), found, expected)


def _shown(record: Record, value: Any) -> str:
    """What was found as the file has it, JSON or text; cut here, as thousands are kept until they are written."""
    if isinstance(record.content, str):
        return printable(to_json(value, fallback=str, inf_nan_mode="constants").decode())
    return "nothing" if value is None else printable(value)


def rejects_of(row: tuple[Record, BaseModel], refusal: ServiceError) -> list[Reject]:
    """What the database or the domain said of a row, column by column."""
    record, values = row
    if not refusal.fields:
        return [Reject(record.line, "", refusal.detail or refusal.code, refusal.expected or "see the documentation")]
    names = [(one.pointer.strip("/"), one.expected) for one in refusal.fields]
    return [Reject(record.line, name, _shown(record, getattr(values, name, None)), wanted) for name, wanted in names]


def words_of(error: BaseException) -> str:
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
