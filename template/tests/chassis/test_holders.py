"""Who holds the database so that others wait is named, on each engine: real sessions, real processes."""

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing

import asyncpg  # type: ignore[import-untyped]
import pytest

from app.chassis.about import project_root
from app.chassis.testing.guarded import ServerMissingError
from app.chassis.testing.postgresql import programs

pytestmark = [pytest.mark.engines("sqlite", "postgresql"), pytest.mark.thorough]
CREATE = "CREATE TABLE held (id INTEGER PRIMARY KEY, word TEXT)"
CHANGE = "UPDATE held SET word = 'planted-value'"
HOLDER = (
    "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); print(1, flush=True); input()"
)


def holders(url: str, *asked: str) -> tuple[int, str]:
    """Exit code and what is printed."""
    environment = os.environ | {"ENV_FILE": "", "DATABASE_URL": url}
    if url.startswith("postgresql") and not os.environ.get("PG_BIN"):
        environment["PG_BIN"] = str(programs())
    command = [sys.executable, str(project_root() / "ops/holders.py"), *(asked or ["--all"])]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own
    return done.returncode, done.stdout + done.stderr


def test_who_keeps_others_waiting_is_named(database_url: str) -> None:
    """Nobody at first; then the one that wrote and did not end, with its number, and nothing that it wrote."""
    try:
        if database_url.startswith("postgresql"):
            asyncio.run(held_on_postgresql(database_url))
        else:
            held_on_sqlite(database_url)
    except ServerMissingError as error:
        pytest.skip(str(error))


def held_on_sqlite(url: str) -> None:
    """A program that begins to write and stays."""
    path = url.partition(":///")[2]
    with closing(sqlite3.connect(path)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute(CREATE)
        assert holders(url)[0] == 0
        command = [sys.executable, "-c", HOLDER, path]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:  # noqa: S603
            assert holder.stdout
            holder.stdout.readline()
            code, said = holders(url)
            assert holders(url, "--end", str(os.getppid()))[0] == 2
            assert holder.poll() is None
            assert holders(url, "--end", str(holder.pid))[0] == 0
            assert holder.wait() == -signal.SIGTERM
    assert (code, f"holds it: process {holder.pid}: " in said) == (1, True)


async def held_on_postgresql(url: str) -> None:
    """A session that changed a row and stays, and one that waits for it."""
    plain = url.replace("+asyncpg", "", 1)
    holding, waiting = await asyncpg.connect(plain), await asyncpg.connect(plain)
    await holding.execute(CREATE)
    await holding.execute("INSERT INTO held VALUES (1, NULL)")
    assert (await asyncio.to_thread(holders, url))[0] == 0
    change = holding.transaction()
    await change.start()
    await holding.execute(CHANGE)
    waits = asyncio.create_task(waiting.execute(CHANGE))
    blocked = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    while not await holding.fetchval(blocked):  # noqa: ASYNC110  # the server has no event for it
        await asyncio.sleep(0.05)
    code, said = await asyncio.to_thread(holders, url)
    number = holding.get_server_pid()
    refused = await asyncio.to_thread(holders, url, "--end", str(os.getpid()))
    assert (refused[0], refused[1].startswith(f"process {os.getpid()} has not this database open; ")) == (2, True)
    ended = await asyncio.to_thread(holders, url, "--end", str(number))
    assert (ended[0], ended[1].startswith(f"asked to end: process {number} of the server: ")) == (0, True)
    await waits
    holding.terminate()
    await waiting.close()
    assert (code, f"holds it: process {number} of the server: " in said, "(1 wait for it)" in said) == (1, True, True)
    assert "planted-value" not in said
