"""The measured routes inside the rendered service: the bare app's, on the chassis' router."""

from app.api.v1.bench.models import Item, ItemIn, make
from app.chassis.http import Router

router = Router(prefix="/bench/items", tags=["bench"])


@router.get("")
async def list_bench() -> list[Item]:
    """Answer with fifty items."""
    return [make(number) for number in range(50)]


@router.post("", status_code=201)
async def create_bench(body: ItemIn) -> Item:
    """Answer with what was sent."""
    return make(1, body.name, body.quantity, body.note)


@router.get("/{item_id}")
async def read_bench(item_id: int) -> Item:
    """Answer with one item."""
    return make(item_id)
