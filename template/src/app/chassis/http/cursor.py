"""Cursors: where a page ended, as a text that only the list understands that gave it. May import database."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from typing import Annotated

from fastapi.dependencies.models import Dependant
from pydantic import AliasChoices, BaseModel, Field, TypeAdapter, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import to_json
from starlette.requests import Request

from app.chassis.database.keyset import Position, cursor_refused

__all__ = ["CURSOR_FORMAT", "MAX_CURSOR", "Cursor", "filters_of", "list_of", "read_cursor", "write_cursor"]

CURSOR_FORMAT = "cursor"
"""Mark of a parameter that nobody but the service can make up."""
MAX_CURSOR = 8192  # characters; texts of a sort are 500 characters at most, and JSON may need six bytes for one
_VERSION = b"\x01"  # a cursor of another form is refused, never misread
_SUM_BYTES = 6
_WINDOW = {"page", "limit", CURSOR_FORMAT}

_Count = Annotated[int, Field(ge=0, lt=2**53)]
_content: TypeAdapter[tuple[str, tuple[int | str, ...], int, int]] = TypeAdapter(
    tuple[str, tuple[int | str, ...], Annotated[_Count, Field(ge=1)], _Count]
)


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the page before ended, the number of the page that follows, and what was counted as the walk began."""

    after: Position
    page: int
    total: int


def write_cursor(cursor: Cursor, list_: bytes) -> str:
    """The cursor as letters, digits, hyphens and underscores, bound to that list by a checksum.

    The sum is no signature: a cursor holds nothing that its caller may not know, and forged it is only another place.
    """
    content = to_json([cursor.after.order, cursor.after.values, cursor.page, cursor.total])
    return _text(_VERSION + _sum(list_, content) + content)


def read_cursor(text: str, list_: bytes) -> Cursor:
    """The cursor that `write_cursor` made for that list.

    Raises:
        InvalidError: it did not.
    """
    try:
        raw = urlsafe_b64decode(f"{text}{'=' * (-len(text) % 4)}")
        version, told, content = raw[:1], raw[1 : 1 + _SUM_BYTES], raw[1 + _SUM_BYTES :]
        if _text(raw) != text or version != _VERSION or told != _sum(list_, content):
            raise cursor_refused()
        order, values, page, total = _content.validate_json(content, strict=True)
    except (binascii.Error, ValidationError):
        raise cursor_refused() from None
    return Cursor(Position(order, values), page, total)


def _text(raw: bytes) -> str:
    return urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def _sum(list_: bytes, content: bytes) -> bytes:
    return blake2b(b"%d:%s%s" % (len(list_), list_, content), digest_size=_SUM_BYTES).digest()


def list_of(request: Request) -> bytes:
    """What tells one list from another: path below the version, declared filters; other members say nothing of it."""
    path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
    names: frozenset[str] = request.scope["route"].filters
    filters = sorted(pair for pair in request.query_params.multi_items() if pair[0] in names)
    return to_json([path, filters])


def filters_of(dependant: Dependant) -> frozenset[str]:
    """Names of the query that a route declares beside page, limit and cursor."""
    return frozenset(_names(dependant)) - _WINDOW


def _names(dependant: Dependant) -> Iterator[str]:
    for field in dependant.query_params:
        kind = field.field_info.annotation
        if isinstance(kind, type) and issubclass(kind, BaseModel):  # all of a query in one model
            for name, info in kind.model_fields.items():
                yield from _names_of(info, name)
        yield from _names_of(field.field_info, field.alias)
    for inner in dependant.dependencies:
        yield from _names(inner)


def _names_of(info: FieldInfo, name: str) -> Iterator[str]:
    yield info.alias or name
    alias = info.validation_alias
    for one in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        yield from [one] if isinstance(one, str) else []
