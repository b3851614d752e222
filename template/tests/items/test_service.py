"""The rules of the sample domain, on a real database without HTTP."""

import asyncio

import pytest

from app.chassis.database import ReadWork, WriteWork
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.settings import DatabaseSettings
from app.domains.items import queries, service
from app.domains.items.errors import ItemChangedError, ItemNameTakenError


@pytest.fixture
def database(database_url: str) -> Database:
    """A migrated database of its own."""
    settings = DatabaseSettings(database_url=database_url)
    asyncio.run(migrate(Database(settings)))
    return Database(settings)


async def _bump(database: Database, item_id: int) -> None:
    async with WriteWork.on(database) as work:
        item = await queries.item_for_change(work, item_id)
        assert item is not None
        item.quantity += 1


def test_concurrent_changes_are_all_kept(database: Database) -> None:
    """Of 200 read-modify-write transactions at once, over two programs' connections, none is lost."""
    other = Database(DatabaseSettings(database_url=database.url))

    async def scenario() -> int:
        async with WriteWork.on(database) as work:
            item = await service.create_item(work, name="Counter", contact_email="a@b.co", quantity=0, note=None)
        await asyncio.gather(*(_bump(each, item.id) for each in (database, other) for _ in range(100)))
        async with ReadWork.on(database) as reading:
            quantity = (await service.read_item(reading, item.id)).quantity
        await database.close()
        await other.close()
        return quantity

    assert asyncio.run(scenario()) == 200


def test_rules_hold_without_http(database: Database) -> None:
    """A taken name and a stale version are refused by the domain itself."""

    async def scenario() -> None:
        async with WriteWork.on(database) as work:
            item = await service.create_item(work, name="One", contact_email="a@b.co", quantity=0, note=None)
        with pytest.raises(ItemNameTakenError):
            async with WriteWork.on(database) as work:
                await service.create_item(work, name="One", contact_email="a@b.co", quantity=0, note=None)
        with pytest.raises(ItemChangedError):
            async with WriteWork.on(database) as work:
                await service.delete_item(work, item.id, expected_version=item.version + 1)
        await database.close()

    asyncio.run(scenario())
