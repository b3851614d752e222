"""What was answered is kept, through kill -9, cancellation and a lost file. KILL_ROUNDS kills more often."""

import asyncio
import http.client
import itertools
import os
import shutil
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from sqlalchemy import event, text

from app.chassis.database import ReadWork, WriteWork
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import UnavailableError
from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.databases import execute

ROUNDS = int(os.environ.get("KILL_ROUNDS", "1"))
WRITERS = 4


@pytest.mark.engines("sqlite", "postgresql")
def test_killed_service_keeps_what_it_answered(tmp_path: Path, database_url: str, engine: str) -> None:
    """Every number that got its 200 is in the database; at most one for each writer got none and is there."""
    numbers, promised = itertools.count(), set[int]()
    for round_ in range(ROUNDS):
        enough = threading.Semaphore(0)
        with ServiceProcess(tmp_path, DATABASE_URL=database_url) as service:
            assert service.client().request("POST", f"/-probe/notes/{-1 - round_}").status == 200  # makes the table
            writers = [
                threading.Thread(target=_write, args=(service.url, numbers, promised, enough)) for _ in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            for _ in range(50):
                assert enough.acquire(timeout=30)
            service.stop(signal.SIGKILL)
            for writer in writers:
                writer.join(30)
    kept = _numbers(tmp_path, database_url, engine)
    assert promised - kept == set()
    assert len(kept - promised) <= WRITERS * ROUNDS


def _numbers(folder: Path, url: str, engine: str) -> set[int]:
    statement = "SELECT number FROM probe_notes WHERE number >= 0"
    if engine == "postgresql":
        return {row[0] for row in execute(url, statement)}
    with closing(sqlite3.connect(folder / "test.db")) as database:
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        return {row[0] for row in database.execute(statement)}


def test_commit_is_finished_whoever_is_cancelled(tmp_path: Path) -> None:
    """The database's thread commits in any case, so the answer must not say otherwise."""

    async def scenario() -> int:
        database = Database(DatabaseSettings(database_url=f"sqlite+aiosqlite:///{tmp_path}/test.db"))
        task = asyncio.current_task()
        assert task is not None
        event.listen(database.writer.sync_engine, "commit", lambda _connection: task.cancel())
        async with WriteWork.on(database) as work:
            await work.session.execute(text("CREATE TABLE kept (id INTEGER)"))
        async with ReadWork.on(database) as reading:
            found = await reading.session.execute(text("SELECT count(*) FROM kept"))
        await database.close()
        return int(found.scalar_one())

    assert asyncio.run(scenario()) == 0


@pytest.mark.parametrize("is_replaced", [False, True])
def test_file_that_is_gone_gets_nothing_more(tmp_path: Path, *, is_replaced: bool) -> None:
    """A database file deleted or replaced under the service: unavailable until a new start, nothing written away."""
    file = tmp_path / "test.db"

    async def count(work: ReadWork) -> None:
        await work.session.execute(text("SELECT count(*) FROM sqlite_master"))

    async def scenario() -> None:
        database = Database(DatabaseSettings(database_url=f"sqlite+aiosqlite:///{file}"))
        for kind in (WriteWork, ReadWork):
            async with kind.on(database) as work:
                await count(work)
        file.rename(tmp_path / "kept.db")
        if is_replaced:
            shutil.copy(tmp_path / "kept.db", file)
        for kind in (WriteWork, ReadWork, WriteWork):
            with pytest.raises(UnavailableError, match="moved or replaced"):
                async with kind.on(database) as work:
                    await count(work)
        await database.close()

    asyncio.run(scenario())
    assert file.exists() == is_replaced


def _write(url: str, numbers: Iterator[int], promised: set[int], enough: threading.Semaphore) -> None:
    client = Client(url)
    try:
        for number in numbers:
            assert client.request("POST", f"/-probe/notes/{number}").status == 200
            promised.add(number)
            enough.release()
    except (OSError, http.client.HTTPException):
        pass  # the service was killed
    finally:
        client.close()
