"""A stock FastAPI app as tutorials write it, for `leaks.py` to compare with: listens on PORT."""

import os
import sqlite3
from collections.abc import AsyncIterator
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI
from fastapi.middleware.trustedhost import TrustedHostMiddleware
from fastapi.responses import StreamingResponse
from pydantic import BaseModel

app = FastAPI()
app.add_middleware(TrustedHostMiddleware, allowed_hosts=["localhost"])
db = sqlite3.connect(":memory:", check_same_thread=False)
db.execute("CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT UNIQUE)")


class Probe(BaseModel):
    """One field of each kind."""

    text: str = "text"
    number: int = 1
    ratio: float = 0.5
    flag: bool = True


class Item(BaseModel):
    """A thing in stock."""

    name: str
    contact_email: str = ""


async def commits() -> AsyncIterator[None]:
    """A unit of work as a dependency; its commit fails."""
    yield
    raise RuntimeError("commit failed")


async def chunks() -> AsyncIterator[bytes]:
    """A stream that breaks."""
    yield b"0"
    raise RuntimeError("cut")


@app.get("/-probe/hello")
async def hello() -> dict[str, str]:
    """Good."""
    return {"hello": "world"}


@app.post("/-probe/body")
async def body(body: Probe) -> Probe:
    """Send back what came."""
    return body


@app.get("/-probe/raise")
async def fail() -> None:
    """Raise."""
    raise RuntimeError("oops")


@app.post("/-probe/commit")
async def commit(_: Annotated[None, Depends(commits)]) -> dict[str, bool]:
    """Answer before the commit."""
    return {"saved": True}


@app.get("/-probe/shape", response_model=Probe)
async def shape() -> Any:
    """Promise one thing, give another."""
    return {"number": "a-planted-secret"}


@app.get("/-probe/stream")
async def stream() -> StreamingResponse:
    """Break off."""
    return StreamingResponse(chunks())


@app.get("/v1/items")
def items(page: int = 1, limit: int = 20) -> list[Any]:
    """List."""
    return db.execute("SELECT * FROM items LIMIT ? OFFSET ?", (limit, (page - 1) * limit)).fetchall()


@app.post("/v1/items", status_code=201)
def create(item: Item) -> Item:
    """Create."""
    db.execute("INSERT INTO items (name) VALUES (?)", (item.name,))
    return item


@app.get("/v1/items/{key}")
def item(key: int) -> Any:
    """Read."""
    return db.execute("SELECT * FROM items WHERE id = ?", (key,)).fetchall()[0]


if __name__ == "__main__":
    uvicorn.run(app, port=int(os.environ["PORT"]), log_level="critical")
