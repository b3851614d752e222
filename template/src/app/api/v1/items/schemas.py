"""Wire shapes of the sample. A rule that stands here is in the contract, and its breach is told field by field."""

from datetime import datetime
from typing import Annotated

from pydantic import Field

from app.chassis.http import Email, Schema

Name = Annotated[str, Field(min_length=3, max_length=80, examples=["Brass plumb bob"])]
Quantity = Annotated[int, Field(ge=0, le=1_000_000, examples=[12])]
Note = Annotated[str | None, Field(max_length=500, examples=[None])]


class ItemIn(Schema):
    """What a client sends for a new or replaced item."""

    name: Name
    """Unique among all items."""
    contact_email: Email
    """Whom to ask about it."""
    quantity: Quantity = 0
    """How many are in stock."""
    note: Note = None
    """Anything else worth knowing."""


class ItemOut(Schema):
    """What a client gets of an item."""

    id: int
    name: str
    contact_email: str
    quantity: int
    note: str | None
    version: int
    """Counts up with every change; also the ETag."""
    created_at: datetime
    updated_at: datetime
