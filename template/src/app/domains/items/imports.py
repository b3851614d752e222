"""Rows of items in bulk: `python -m app import items FILE`. Found by its name, with `Row` and `store` in it."""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field

from app.chassis.data.imports import Email, ImportRow
from app.chassis.database import WriteWork
from app.domains.items import queries


class Row(ImportRow):
    """An item. Its name says which."""

    name: Annotated[str, Field(min_length=3, max_length=80)]
    contact_email: Email
    quantity: Annotated[int, Field(ge=0, le=1_000_000)] = 0
    note: Annotated[str | None, Field(max_length=500)] = None


async def store(work: WriteWork, rows: Sequence[Row]) -> None:
    """New items, and new content for those that there are."""
    await queries.put_all(work, [row.model_dump() for row in rows])
