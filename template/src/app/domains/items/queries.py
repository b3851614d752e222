"""Everything the sample domain asks of the database."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import select

from app.chassis.database import Order, Part, ReadWork, Slice, WriteWork, insert_or_update
from app.domains.items.models import Item

_NEWEST_FIRST = Order(Item.id.desc())


async def item_by_id(work: ReadWork, item_id: int) -> Item | None:
    """The item with that key."""
    return await work.session.get(Item, item_id)


async def item_for_change(work: WriteWork, item_id: int) -> Item | None:
    """The item with that key, locked: who else wants to change it waits for this work to end."""
    return await work.session.get(Item, item_id, with_for_update=True)


async def newest_items(work: ReadWork, part: Part) -> Slice[Item]:
    """A part of all items, newest first."""
    return await _NEWEST_FIRST.slice(work, select(Item), part)


async def add(work: WriteWork, item: Item) -> None:
    """Insert the item; its key and times are known afterwards."""
    work.session.add(item)
    await work.session.flush()


async def put_all(work: WriteWork, rows: Sequence[Mapping[str, Any]]) -> None:
    """Insert each row, or give the item of that name its content."""
    await insert_or_update(work, Item, rows, key=["name"])


async def save(work: WriteWork) -> None:
    """Write the changes made so far."""
    await work.session.flush()


async def remove(work: WriteWork, item: Item) -> None:
    """Delete the item."""
    await work.session.delete(item)
    await work.session.flush()
