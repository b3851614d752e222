"""The yardstick: the same three routes on FastAPI alone, on the uvicorn the service uses. Runs in its environment.

BENCH_MODULES names a file with modules to import first; BENCH_TELEMETRY=off turns FastAPI's
telemetry check off.
"""

import contextlib
import importlib
import os
from pathlib import Path

if listed := os.environ.get("BENCH_MODULES"):
    for _name in Path(listed).read_text(encoding="utf-8").split():
        with contextlib.suppress(ImportError):
            importlib.import_module(_name)

from fastapi import FastAPI
from models import Item, ItemIn, make
from yardstick import serve

_OFF = {"telemetry": {"tracing": False, "metrics": False}}
app = FastAPI(**(_OFF if os.environ.get("BENCH_TELEMETRY") == "off" else {}))


@app.get("/livez")
async def livez() -> dict[str, bool]:
    """Say that the process answers."""
    return {"ok": True}


@app.get("/v1/bench/items")
async def list_bench() -> list[Item]:
    """Answer with fifty items."""
    return [make(number) for number in range(50)]


@app.post("/v1/bench/items", status_code=201)
async def create_bench(body: ItemIn) -> Item:
    """Answer with what was sent."""
    return make(1, body.name, body.quantity, body.note)


@app.get("/v1/bench/items/{item_id}")
async def read_bench(item_id: int) -> Item:
    """Answer with one item."""
    return make(item_id)


if __name__ == "__main__":
    serve(app)
