"""The measured routes that ask the database: the sample's own queries. Copied into `api/v1/stored` of the service."""

from app.api.v1.items.schemas import ItemOut
from app.chassis.http import Read, Router, Write
from app.domains.items import queries
from app.domains.items.models import Item

router = Router(prefix="/stored")


@router.get("/{item_id}")
async def read_stored(work: Read, item_id: int) -> ItemOut:
    """Answer with a row."""
    return ItemOut.model_validate(await queries.item_by_id(work, item_id))


@router.post("")
async def change_stored(work: Write) -> ItemOut:
    """Change a row and answer with it."""
    item = await queries.item_for_change(work, 1)
    if item is None:
        item = Item(id=1, name="Brass plumb bob", contact_email="ada@example.com", quantity=0, note=None)
        await queries.add(work, item)
    item.quantity += 1
    await queries.save(work)
    return ItemOut.model_validate(item)
