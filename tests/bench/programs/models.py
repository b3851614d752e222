"""The shapes both programs answer with. Copied into the rendered service and beside the bare app."""

from datetime import UTC, datetime

from pydantic import BaseModel


class ItemIn(BaseModel):
    """What a client sends."""

    name: str
    quantity: int
    note: str | None = None


class Item(BaseModel):
    """One item."""

    id: int
    name: str
    contact_email: str
    quantity: int
    note: str | None
    version: int
    created_at: datetime
    updated_at: datetime


_THEN = datetime(2030, 1, 31, 12, tzinfo=UTC)


def make(number: int, name: str = "Brass plumb bob", quantity: int = 12, note: str | None = None) -> Item:
    """Make an item without asking anybody."""
    return Item(
        id=number,
        name=name,
        contact_email="ada@example.com",
        quantity=quantity,
        note=note,
        version=1,
        created_at=_THEN,
        updated_at=_THEN,
    )
