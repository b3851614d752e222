"""Everything the sample domain asks of the database."""

from collections.abc import Sequence

from sqlalchemy import func, select

from app.chassis.database import ReadWork, WriteWork
from app.domains.items.models import Item


async def item_by_id(work: ReadWork, item_id: int) -> Item | None:
    """The item with that key."""
    return await work.session.get(Item, item_id)


async def item_for_change(work: WriteWork, item_id: int) -> Item | None:
    """The item with that key, locked: who else wants to change it waits for this work to end."""
    return await work.session.get(Item, item_id, with_for_update=True)


async def newest_items(work: ReadWork, *, offset: int, limit: int) -> Sequence[Item]:
    """A window of all items, newest first; the key breaks every tie, so pages never overlap."""
    statement = select(Item).order_by(Item.id.desc()).offset(offset).limit(limit)
    return (await work.session.scalars(statement)).all()


async def count_items(work: ReadWork) -> int:
    """Number of all items."""
    return await work.session.scalar(select(func.count()).select_from(Item)) or 0


async def add(work: WriteWork, item: Item) -> None:
    """Insert the item; its key and times are known afterwards."""
    work.session.add(item)
    await work.session.flush()


async def save(work: WriteWork) -> None:
    """Write the changes made so far."""
    await work.session.flush()


async def remove(work: WriteWork, item: Item) -> None:
    """Delete the item."""
    await work.session.delete(item)
    await work.session.flush()
