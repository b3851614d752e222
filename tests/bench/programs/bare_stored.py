"""The yardstick of database routes: FastAPI and SQLAlchemy alone, the same models, statements and transactions.

DATABASE_URL says on which database. On SQLite the connection is prepared as every guide says: WAL, a
transaction that takes the lock as it begins.
"""

import os
from typing import Any

from app.api.v1.items.schemas import ItemOut
from app.domains.items.models import Item
from fastapi import FastAPI
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from yardstick import serve

app = FastAPI()
_URL = os.environ["DATABASE_URL"]


def _engine(begin: str) -> AsyncEngine:
    if not _URL.startswith("sqlite"):
        return create_async_engine(_URL, pool_size=10, pool_pre_ping=True)
    engine = create_async_engine(_URL)

    @event.listens_for(engine.sync_engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        for pragma in ("journal_mode = WAL", "synchronous = NORMAL", "busy_timeout = 5000"):
            cursor.execute(f"PRAGMA {pragma}")
        cursor.close()

    @event.listens_for(engine.sync_engine, "begin")
    def _begins(connection: Any) -> None:
        connection.exec_driver_sql(begin)

    return engine


_reader, _writer = _engine("BEGIN"), _engine("BEGIN IMMEDIATE")


@app.get("/livez")
async def livez() -> dict[str, bool]:
    """Say that the process answers."""
    return {"ok": True}


@app.get("/v1/stored/{item_id}")
async def read_stored(item_id: int) -> ItemOut:
    """Answer with a row."""
    async with AsyncSession(_reader, expire_on_commit=False) as session, session.begin():
        return ItemOut.model_validate(await session.get(Item, item_id))


@app.post("/v1/stored")
async def change_stored() -> ItemOut:
    """Change a row and answer with it."""
    async with AsyncSession(_writer, expire_on_commit=False) as session, session.begin():
        item = await session.get(Item, 1, with_for_update=True)
        assert item is not None
        item.quantity += 1
        await session.flush()
        return ItemOut.model_validate(item)


if __name__ == "__main__":
    serve(app)
