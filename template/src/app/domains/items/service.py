"""What can be done with items, and its rules. Imports neither FastAPI nor SQLAlchemy."""

from app.chassis.database import Part, ReadWork, Slice, WriteWork, when_violated
from app.domains.items import queries
from app.domains.items.errors import ItemChangedError, ItemNameTakenError, ItemNotFoundError
from app.domains.items.models import Item


async def list_items(work: ReadWork, part: Part) -> Slice[Item]:
    """A part of the items, newest first, and the number of all."""
    return await queries.newest_items(work, part)


async def read_item(work: ReadWork, item_id: int) -> Item:
    """One item.

    Raises:
        ItemNotFoundError: there is none with that key.
    """
    return _found(await queries.item_by_id(work, item_id))


async def create_item(work: WriteWork, *, name: str, contact_email: str, quantity: int, note: str | None) -> Item:
    """A new item.

    Raises:
        ItemNameTakenError: another item has that name.
    """
    item = Item(name=name, contact_email=contact_email, quantity=quantity, note=note)
    with when_violated("uq_items_name", _name_taken):
        await queries.add(work, item)
    return item


async def replace_item(
    work: WriteWork,
    item_id: int,
    *,
    expected_version: int | None,
    name: str,
    contact_email: str,
    quantity: int,
    note: str | None,
) -> Item:
    """The item with new content; `expected_version` None takes whatever version there is.

    Raises:
        ItemNotFoundError: there is none with that key.
        ItemChangedError: it has another version by now.
        ItemNameTakenError: another item has that name.
    """
    item = await _expected_item(work, item_id, expected_version)
    item.name, item.contact_email, item.quantity, item.note = name, contact_email, quantity, note
    with when_violated("uq_items_name", _name_taken):
        await queries.save(work)
    return item


async def delete_item(work: WriteWork, item_id: int, *, expected_version: int | None) -> None:
    """Delete an item.

    Raises:
        ItemNotFoundError: there is none with that key.
        ItemChangedError: it has another version by now.
    """
    await queries.remove(work, await _expected_item(work, item_id, expected_version))


async def _expected_item(work: WriteWork, item_id: int, expected_version: int | None) -> Item:
    item = _found(await queries.item_for_change(work, item_id))
    if expected_version not in (None, item.version):
        raise ItemChangedError("the item has another version by now", expected="the ETag of a fresh read")
    return item


def _found(item: Item | None) -> Item:
    if item is None:
        raise ItemNotFoundError("no item has that key", expected="the key of an item")
    return item


def _name_taken() -> ItemNameTakenError:
    return ItemNameTakenError("another item has that name", expected="a name no other item has")
