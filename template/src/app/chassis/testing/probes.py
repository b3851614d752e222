"""Routes the conformance suite adds beside the team's, so that every failure can be provoked on purpose."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated, Any

from fastapi import BackgroundTasks, Depends, Query, Request
from pydantic import Field
from sqlalchemy import inspect, text
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from app.chassis.database import Slice
from app.chassis.database.keyset import Position
from app.chassis.errors import ForbiddenError, UnavailableError
from app.chassis.http import (
    CursorPage,
    CursorPaging,
    Email,
    IdempotencyKey,
    Read,
    RequiredIdempotencyKey,
    Router,
    Schema,
    Write,
)

__all__ = ["NUMBERS", "ProbeMiddleware", "direct_write", "probe_router"]

SECRET = "a-planted-secret"  # noqa: S105  # the suite looks for it where it must not be
NUMBERS = 200_000  # more than pages reach


class ProbeIn(Schema):
    """One field of each kind."""

    text: Annotated[str, Field(min_length=2, max_length=20)] = "text"
    number: Annotated[int, Field(ge=-(2**63), le=2**63 - 1)] = 1
    ratio: float = 0.5
    flag: bool = True
    email: Email = "ada@example.com"
    nested: list[dict[str, int]] = Field(default_factory=list)


class ProbeOut(Schema):
    """What the shape probe promises and does not keep."""

    number: int


class ProbeMiddleware:
    """Middleware of a team: passes everything on but what asks it not to."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Raise if the request says so."""
        if (b"x-probe", b"refuse") in scope["headers"]:
            raise ForbiddenError("the middleware says no")
        if (b"x-probe", b"silence") in scope["headers"]:
            return
        await self._app(scope, receive, send)


def probe_router() -> Router:  # noqa: C901  # a list of small routes
    """Routes below `/-probe`; part of no contract."""
    router = Router(prefix="/-probe", include_in_schema=False)

    @router.get("/hello")
    async def hello() -> dict[str, str]:
        return {"hello": "world"}

    @router.post("/body")
    async def body(body: ProbeIn) -> ProbeIn:
        return body

    @router.get("/query")
    async def query(number: Annotated[int, Query(le=2**63 - 1)] = 1, text: str = "") -> dict[str, Any]:
        return {"number": number, "length": len(text)}

    @router.get("/numbers")
    async def numbers(paging: CursorPaging, step: int = 1) -> CursorPage[ProbeOut]:
        first = int(paging.part.after.values[0]) if paging.part.after else paging.part.offset
        rows = [{"number": place * step} for place in range(first, min(first + paging.part.limit, NUMBERS))]
        end = first + len(rows)
        found = Slice(rows, NUMBERS, Position("numbers", (end,)) if end < NUMBERS else None)
        return paging.page_of(ProbeOut, found)

    @router.get("/numbers/again")
    async def numbers_again(paging: CursorPaging) -> CursorPage[ProbeOut]:
        return paging.page_of(ProbeOut, Slice([], 0, None))

    @router.get("/raise")
    async def fail() -> None:
        password = SECRET
        raise RuntimeError(f"password={password}")

    @router.post("/raise")
    async def fail_after_write(work: Write) -> None:
        await work.session.execute(text("CREATE TABLE probe_rolled_back (id INTEGER)"))
        raise RuntimeError("after a write")

    @router.get("/sql")
    async def mistaken_sql(work: Read, statement: str) -> None:
        await work.session.execute(text(statement))

    @router.get("/tables")
    async def tables(work: Write) -> list[str]:
        connection = await work.session.connection()
        return await connection.run_sync(lambda sync: inspect(sync).get_table_names())

    @router.post("/keyed/{word}", status_code=201)
    @router.post("/keyed", status_code=201)
    async def keyed(
        work: Write,
        response: Response,
        _key: IdempotencyKey,
        number: int = 0,
        fails: bool = False,
        seconds: float = 0.0,
    ) -> dict[str, int]:
        await work.session.execute(text("CREATE TABLE IF NOT EXISTS probe_keyed (number INTEGER)"))
        await work.session.execute(text("INSERT INTO probe_keyed VALUES (:number)"), {"number": number})
        await asyncio.sleep(seconds)
        if fails:
            raise RuntimeError("after a write")
        found = await work.session.scalar(text("SELECT count(*) FROM probe_keyed"))
        response.headers["ETag"] = f'"{found}"'
        return {"rows": int(found or 0)}

    @router.post("/must-be-keyed")
    async def must_be_keyed(_key: RequiredIdempotencyKey) -> StreamingResponse:
        return StreamingResponse(_chunks(fails=False), media_type="text/plain")

    @router.post("/commit")
    async def failing_commit(work: Write) -> dict[str, bool]:
        # A deferred constraint is checked when the commit comes, after the route has returned.
        await work.session.execute(text("CREATE TABLE IF NOT EXISTS probe_parent (id INTEGER PRIMARY KEY)"))
        await work.session.execute(
            text(
                "CREATE TABLE IF NOT EXISTS probe_child "
                "(id INTEGER REFERENCES probe_parent (id) DEFERRABLE INITIALLY DEFERRED)"
            )
        )
        await work.session.execute(text("INSERT INTO probe_child VALUES (7)"))
        return {"saved": True}

    @router.post("/notes/{number}")
    async def note(number: int, work: Write) -> dict[str, int]:
        await work.session.execute(text("CREATE TABLE IF NOT EXISTS probe_notes (number INTEGER PRIMARY KEY)"))
        await work.session.execute(text("INSERT INTO probe_notes VALUES (:number)"), {"number": number})
        return {"number": number}

    @router.get("/shape", response_model=ProbeOut)
    async def wrong_shape() -> Any:
        return {"number": SECRET}

    @router.get("/by-hand")
    async def error_by_hand() -> Response:
        return JSONResponse({"oops": SECRET}, status_code=418, headers={"Retry-After": "7"})

    @router.post("/late-refusal", dependencies=[Depends(_refuses_late, scope="function")])
    async def refused_after_the_route(work: Write) -> None:
        await work.session.execute(text("CREATE TABLE probe_refused (id INTEGER)"))

    @router.get("/slow")
    async def slow(seconds: float = 60.0) -> dict[str, bool]:
        await asyncio.sleep(seconds)
        return {"done": True}

    @router.get("/unavailable")
    async def unavailable() -> None:
        raise UnavailableError("the store is down", retry_after=7)

    @router.get("/stream")
    async def stream(fails: bool = False) -> StreamingResponse:  # a query parameter
        return StreamingResponse(_chunks(fails=fails), media_type="text/plain")

    router.routes.extend(_mistakes().routes)
    return router


def _mistakes() -> Router:  # noqa: C901  # a list of small routes
    router = Router(prefix="/-probe", include_in_schema=False)

    @router.get("/raise/{kind}")
    async def raise_kind(kind: str) -> None:
        kinds = {"exit": SystemExit(3), "base": BaseException("base"), "cancelled": asyncio.CancelledError()}
        raise kinds[kind]

    @router.get("/deaf")
    async def deaf() -> str:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(60)
        return "late"

    @router.get("/status/{status}")
    async def raised_status(status: int) -> None:
        raise HTTPException(status)

    @router.get("/empty")
    async def body_without_a_place() -> Response:
        return JSONResponse({"oops": SECRET}, status_code=204)

    @router.get("/empty-stream")
    async def stream_without_a_place() -> StreamingResponse:
        return StreamingResponse(_chunks(fails=False), status_code=204)

    @router.get("/header")
    async def header_from_outside(response: Response, value: str, name: str = "X-Value") -> None:
        response.headers[name] = value

    @router.get("/json-by-hand")
    async def json_of_another_type() -> Response:
        return JSONResponse([1], media_type="application/json; charset=utf-8")

    @router.get("/thread")
    def thread() -> None:
        time.sleep(60)

    @router.get("/large")
    async def large() -> Response:
        return Response(b"x" * 32 * 2**20, media_type="text/plain")

    @router.post("/late-work")
    async def work_after_the_answer(work: Write, tasks: BackgroundTasks) -> None:
        async def later() -> None:
            await work.session.execute(text("CREATE TABLE probe_late (id INTEGER)"))

        tasks.add_task(later)

    @router.post("/json")
    async def json_by_hand(request: Request) -> Any:
        return await request.json()

    @router.get("/file")
    async def file() -> FileResponse:
        return FileResponse(__file__)

    return router


async def direct_write(work: Write) -> dict[str, bool]:
    """A route added to the service itself, without a router."""
    await work.session.execute(text("CREATE TABLE IF NOT EXISTS probe_direct (id INTEGER)"))
    return {"saved": True}


async def _refuses_late() -> AsyncIterator[None]:
    yield
    raise ForbiddenError("after the route")


async def _chunks(*, fails: bool) -> AsyncIterator[bytes]:
    for number in range(3):
        yield b"%d\n" % number
        await asyncio.sleep(0)
    if fails:
        raise RuntimeError("in the middle of a stream")
