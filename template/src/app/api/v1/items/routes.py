"""Routes of the sample: HTTP in, HTTP out. What is decided, is decided in `domains/items/service.py`."""

from typing import Annotated

from fastapi import Path

from app.api.v1.items.access import MayRead, MayWrite
from app.api.v1.items.schemas import ItemIn, ItemOut
from app.chassis.http import (
    MAX_ID,
    CursorPage,
    CursorPaging,
    ExpectedVersion,
    IdempotencyKey,
    Location,
    NewTag,
    Read,
    ReadTag,
    Router,
    Write,
    fails_with,
)
from app.domains.items import service

router = Router(prefix="/items", tags=["items"])

ItemId = Annotated[int, Path(ge=1, le=MAX_ID, description="Key of the item")]


@router.get("", summary="List items, newest first")
async def list_items(_who: MayRead, work: Read, paging: CursorPaging) -> CursorPage[ItemOut]:
    return paging.page_of(ItemOut, await service.list_items(work, paging.part))


@router.post("", status_code=201, summary="Create an item", responses=fails_with("item_name_taken"))
async def create_item(
    _who: MayWrite, work: Write, body: ItemIn, tag: NewTag, location: Location, _key: IdempotencyKey
) -> ItemOut:
    item = await service.create_item(work, **body.model_dump())
    tag.set(item.version)
    location.set(f"/items/{item.id}")
    return ItemOut.model_validate(item)


@router.get("/{item_id}", summary="Read an item", responses=fails_with("item_not_found"))
async def read_item(_who: MayRead, work: Read, item_id: ItemId, tag: ReadTag) -> ItemOut:
    item = await service.read_item(work, item_id)
    tag.set(item.version)
    return ItemOut.model_validate(item)


@router.put(
    "/{item_id}",
    summary="Replace an item; If-Match names the version you read",
    responses=fails_with("item_not_found", "item_changed", "item_name_taken"),
)
async def replace_item(
    _who: MayWrite, work: Write, item_id: ItemId, body: ItemIn, expected: ExpectedVersion, tag: NewTag
) -> ItemOut:
    item = await service.replace_item(work, item_id, expected_version=expected, **body.model_dump())
    tag.set(item.version)
    return ItemOut.model_validate(item)


@router.delete(
    "/{item_id}",
    status_code=204,
    summary="Delete an item; If-Match names the version you read",
    responses=fails_with("item_not_found", "item_changed"),
)
async def delete_item(_who: MayWrite, work: Write, item_id: ItemId, expected: ExpectedVersion) -> None:
    await service.delete_item(work, item_id, expected_version=expected)
