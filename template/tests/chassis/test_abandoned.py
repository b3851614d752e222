"""Requests that end in the middle: nobody holds a lock, a statement or an old moment of the data after them."""

import asyncio
import gc
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import text

from app.chassis.database import ReadWork, WriteWork
from app.chassis.database.engine import Database
from app.chassis.database.failures import DATABASE_ERRORS, told
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import ServiceError
from app.chassis.exchange import Exchange
from app.chassis.http.work import finish_works
from app.chassis.testing.databases import execute

ENDLESS = "WITH RECURSIVE more(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM more) SELECT count(*) FROM more"


@pytest.fixture
def no_collection() -> Iterator[None]:
    """What only a collection of garbage would free stays held."""
    gc.disable()
    yield
    gc.enable()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database with three rows."""
    file = tmp_path / "test.db"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("CREATE TABLE things (id INTEGER)")
        database.executemany("INSERT INTO things VALUES (?)", [(1,), (2,), (3,)])
    return file


def on(file: Path, **settings: Any) -> Database:
    """The database of that file."""
    return Database(DatabaseSettings(database_url=f"sqlite+aiosqlite:///{file}", **settings))


@pytest.mark.usefixtures("no_collection")
@pytest.mark.parametrize("has_stream", [False, True])
def test_cancelled_statement_ends_and_frees_the_lock(file: Path, *, has_stream: bool) -> None:
    """On SQLite a statement would go on in its thread, and its cursor would keep the lock after it."""
    streams = []

    async def scenario() -> float:
        database = on(file)
        began = time.monotonic()
        try:
            async with WriteWork.on(database) as work, asyncio.timeout(0.2):
                await work.session.execute(text("INSERT INTO things VALUES (4)"))
                if has_stream:
                    streams.append(await work.session.stream(text("SELECT id FROM things")))
                    await streams[0].fetchone()
                await work.session.execute(text(ENDLESS))
        except TimeoutError:
            ended = time.monotonic() - began
            async with WriteWork.on(database) as work:
                await work.session.execute(text("INSERT INTO things VALUES (5)"))
        finally:
            await database.close()
        return ended

    assert asyncio.run(scenario()) < 60  # it never ends by itself
    with closing(sqlite3.connect(file, timeout=0)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert other.execute("SELECT id FROM things ORDER BY id").fetchall() == [(1,), (2,), (3,), (5,)]


@pytest.mark.parametrize("kind", [ReadWork, WriteWork])
def test_stream_that_was_not_read_holds_no_moment(file: Path, kind: type[ReadWork]) -> None:
    """Whoever keeps the result of a stream: the connection shows what is there now, and can be written."""
    streams = []

    async def scenario() -> list[int]:
        database = on(file, database_read_connections=1)
        try:
            async with kind.on(database) as work:
                streams.append(await work.session.stream(text("SELECT id FROM things ORDER BY id")))
                await streams[0].fetchone()
            with closing(sqlite3.connect(file)) as other, other:
                other.execute("INSERT INTO things VALUES (4)")
            async with WriteWork.on(database) as work:
                await work.session.execute(text("INSERT INTO things VALUES (5)"))
            async with kind.on(database) as work:
                return list(await work.session.scalars(text("SELECT id FROM things ORDER BY id")))
        finally:
            await database.close()

    assert asyncio.run(scenario()) == [1, 2, 3, 4, 5]


@pytest.mark.engines("postgresql")
def test_reader_that_fails_saves_nothing(database_url: str) -> None:
    """A 503 says that nothing was done: the change is saved last."""
    execute(database_url, "CREATE TABLE saved (id integer)")

    async def scenario() -> None:
        database = Database(DatabaseSettings(database_url=database_url))
        write, read = WriteWork(database), ReadWork(database)
        try:
            await write.session.execute(text("INSERT INTO saved VALUES (1)"))
            backend = await read.session.scalar(text("SELECT pg_backend_pid()"))
            await write.session.execute(text(f"SELECT pg_terminate_backend({backend})"))
            exchange = SimpleNamespace(works={WriteWork: write, ReadWork: read}, disarm_deadline=lambda: None)
            with pytest.raises(DATABASE_ERRORS) as caught:
                await finish_works(cast(Exchange, exchange), is_good=True)
            error = told(caught.value)
            assert error is not None
            assert error.code == "unavailable"
        finally:
            await database.close()

    asyncio.run(scenario())
    assert execute(database_url, "SELECT count(*) FROM saved")[0][0] == 0


SILENT = (
    "CREATE TABLE saved (id integer)",
    "CREATE FUNCTION probe_wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
    "CREATE CONSTRAINT TRIGGER p AFTER INSERT ON saved INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION probe_wait()",
)


@pytest.mark.engines("postgresql")
def test_silence_of_the_server_while_saving_has_an_end(database_url: str) -> None:
    """Nobody knows whether it was saved: `internal`, and the connection is given up."""
    for statement in SILENT:
        execute(database_url, statement)

    async def scenario() -> None:
        database = Database(DatabaseSettings(database_url=database_url, database_statement_timeout_seconds=0.5))
        try:
            work = WriteWork(database)
            await work.session.execute(text("SET LOCAL statement_timeout = 0"))  # the server's own end of it
            await work.session.execute(text("INSERT INTO saved VALUES (1)"))
            with pytest.raises(ServiceError) as caught:
                await work.finish(is_good=True)
            assert caught.value.code == "internal"
            async with ReadWork.on(database) as reading:
                assert await reading.session.scalar(text("SELECT 1")) == 1
        finally:
            await database.close()

    asyncio.run(scenario())
