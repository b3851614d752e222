"""PostgreSQL's own troubles: connections that die, servers that refuse, locks, replicas that start at once."""

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from app.chassis.database import WriteWork
from app.chassis.database.engine import Database
from app.chassis.database.failures import DATABASE_ERRORS, told
from app.chassis.database.settings import DatabaseSettings
from app.chassis.errors import ServiceError
from app.chassis.testing import ServiceProcess
from app.chassis.testing.databases import execute

pytestmark = pytest.mark.engines("postgresql")

OTHERS = "FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
KILL = f"SELECT pg_terminate_backend(pid) {OTHERS}"


def connections(url: str) -> int:
    """Connections of the service to its database."""
    return int(execute(url, f"SELECT count(*) {OTHERS}")[0][0])


def wait_until(is_so: Callable[[], bool], seconds: float = 30.0) -> None:
    """Wait for something that must come by itself."""
    until = time.monotonic() + seconds
    while not is_so():
        assert time.monotonic() < until, "it did not come"
        time.sleep(0.02)


def all_wait(url: str, replicas: int) -> Callable[[], bool]:
    """Whether each replica that migrates waits for a lock, or asks for its turn again and again."""
    asked = set[str]()

    def look() -> bool:
        rows = execute(url, f"SELECT wait_event_type = 'Lock' AS waits, query_start::text AS at {OTHERS}")
        asked.update(row["at"] for row in rows if not row["waits"])
        return sum(bool(row["waits"]) for row in rows) == replicas or len(asked) > 12  # many times

    return look


class Load:
    """Requests from several threads until it is stopped; every answer is in the envelope, or the test fails."""

    def __init__(self, service: ServiceProcess, path: str, threads: int) -> None:
        self.statuses: Counter[int] = Counter()
        self.problems: list[str] = []
        self._service, self._path, self._stop = service, path, threading.Event()
        self._threads = [threading.Thread(target=self._send) for _ in range(threads)]

    def __enter__(self) -> "Load":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(30)

    def _send(self) -> None:
        client = self._service.client()
        while not self._stop.is_set():
            try:
                self.statuses[client.request("GET", self._path).status] += 1
            except (AssertionError, OSError, http.client.HTTPException) as error:
                self.problems.append(repr(error))


def test_killed_connections_come_back_by_themselves(tmp_path: Path, database_url: str) -> None:
    """Under load every connection dies, twice: answers stay in the envelope, and the pool fills again."""
    with ServiceProcess(tmp_path, DATABASE_URL=database_url, DATABASE_POOL_SIZE="4") as service:
        client = service.client()
        with Load(service, "/-probe/sql?statement=SELECT%201", threads=8) as load:
            wait_until(lambda: connections(database_url) >= 4)
            for _ in range(2):
                before = load.statuses[200]
                assert len(execute(database_url, KILL)) >= 4
                wait_until(lambda before=before: load.statuses[200] > before + 50)
            wait_until(lambda: connections(database_url) >= 4, seconds=5)
        assert client.request("GET", "/readyz").status == 200
        assert load.problems == []
        traces = [line["trace"][-900:] for line in service.lines if line.get("level") == "error"]
        assert set(load.statuses) <= {200, 503}, traces


def test_server_that_refuses_is_not_ready_until_it_does_not(tmp_path: Path, database_url: str) -> None:
    """No connection to be had: 503 for routes and readiness, liveness holds; then all is well without a start."""
    name = database_url.rpartition("/")[2].partition("?")[0]
    other = database_url.replace(name, "postgres")
    with ServiceProcess(tmp_path, DATABASE_URL=database_url) as service:
        client = service.client()
        assert client.request("GET", "/readyz").status == 200
        execute(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        execute(other, KILL.replace("current_database()", f"'{name}'"))
        wait_until(lambda: client.request("GET", "/readyz").status == 503)
        answer = client.request("GET", "/-probe/tables")
        assert (answer.status, answer.error["code"], answer.error["retry_after"]) == (503, "unavailable", 1)
        assert client.request("GET", "/livez").status == 200
        execute(other, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        wait_until(lambda: client.request("GET", "/readyz").status == 200)
        assert client.request("GET", "/-probe/tables").status == 200
        password = database_url.split(":")[2].partition("@")[0]
        assert password not in json.dumps(service.lines)


@pytest.mark.parametrize(
    ("setting", "statement"),
    [
        ("DATABASE_STATEMENT_TIMEOUT_SECONDS", "SELECT pg_sleep(60)"),
        ("DATABASE_BUSY_TIMEOUT_SECONDS", "SELECT * FROM probe_locked FOR SHARE"),
    ],
)
def test_statement_that_waits_too_long_is_503(database_url: str, setting: str, statement: str) -> None:
    """A slow statement and a lock that another program holds each end in time, and the connection serves on."""
    execute(database_url, "CREATE TABLE probe_locked (id integer)")

    async def execute_in(database: Database, statement: str) -> None:
        async with WriteWork.on(database) as work:
            await work.session.execute(text(statement))

    async def scenario() -> None:
        limits = {setting.lower(): 0.3}
        database, other = (Database(DatabaseSettings(database_url=database_url, **limits)) for _ in range(2))
        try:
            async with WriteWork.on(other) as holding:
                await holding.session.execute(text("LOCK TABLE probe_locked"))
                with pytest.raises(DBAPIError, match="timeout") as caught:
                    await execute_in(database, statement)
            error = told(caught.value)
            assert error is not None
            assert (error.code, caught.value.connection_invalidated) == ("unavailable", False)
            await execute_in(database, "SELECT 1")
        finally:
            await database.close()
            await other.close()

    asyncio.run(scenario())


SLOW_COMMIT = (
    "CREATE TABLE saved (id integer)",
    "CREATE FUNCTION probe_wait() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(60); RETURN NULL; END'",
    "CREATE CONSTRAINT TRIGGER p AFTER INSERT ON saved INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION probe_wait()",
)


@pytest.mark.parametrize("is_asked", [True, False])
def test_connection_lost_while_saving_is_no_refusal(database_url: str, *, is_asked: bool) -> None:
    """Once asked to save, nobody knows whether it was: `internal`. Before, nothing was: `unavailable`, try again."""
    for statement in SLOW_COMMIT:
        execute(database_url, statement)

    def kill_when_it_saves() -> None:
        wait_until(lambda: execute(database_url, f"SELECT 1 {OTHERS} AND query LIKE 'COMMIT%'") != [])
        execute(database_url, KILL)

    async def cut_off(database: Database, killer: ThreadPoolExecutor) -> None:
        async with WriteWork.on(database) as work:
            await work.session.execute(text("INSERT INTO saved VALUES (1)"))
            if is_asked:
                killer.submit(kill_when_it_saves)
            else:
                await asyncio.to_thread(execute, database_url, KILL)
                connection = await (await work.session.connection()).get_raw_connection()
                while not connection.driver_connection.is_closed():  # noqa: ASYNC110  # noticed, and nothing is sent
                    await asyncio.sleep(0.01)

    async def scenario() -> ServiceError | None:
        database = Database(DatabaseSettings(database_url=database_url))
        with ThreadPoolExecutor(1) as killer:
            try:
                await cut_off(database, killer)
            except ServiceError as error:
                return error
            except SQLAlchemyError as error:
                return told(error)
            finally:
                await database.close()
        return None

    error = asyncio.run(scenario())
    assert error is not None
    assert error.code == ("internal" if is_asked else "unavailable")


FAREWELL = b"SFATAL\0VFATAL\0C57P01\0Mterminating connection due to administrator command\0\0"


def test_farewell_of_the_server_is_an_outage(database_url: str) -> None:
    """Its message has come, the end of the connection has not: never lent, and 503 in the middle of a request."""

    async def driver_of(work: WriteWork) -> Any:
        return (await (await work.session.connection()).get_raw_connection()).driver_connection

    def bid_farewell(driver: Any) -> None:
        driver._protocol.data_received(b"E" + (len(FAREWELL) + 4).to_bytes(4, "big") + FAREWELL)

    async def scenario() -> None:
        database = Database(DatabaseSettings(database_url=database_url, database_pool_size=1))
        try:
            async with WriteWork.on(database) as work:
                driver = await driver_of(work)
            bid_farewell(driver)
            async with WriteWork.on(database) as work:
                assert await work.session.scalar(text("SELECT 1")) == 1
                bid_farewell(await driver_of(work))
                with pytest.raises(DATABASE_ERRORS) as caught:
                    await work.session.execute(text("SELECT 1"))
                error = told(caught.value)
                assert error is not None
                assert error.code == "unavailable"
                await work.finish(is_good=False)
        finally:
            await database.close()

    asyncio.run(scenario())


def test_driver_that_lost_the_thread_is_an_outage(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server killed while it answers: the driver complains of itself. The connection goes; the caller may retry."""

    async def lose(*_: Any, **__: Any) -> None:
        raise asyncpg.InternalClientError("cannot switch to state 15; another operation (2) is in progress")

    async def ask() -> tuple[Any, Any]:
        database = Database(DatabaseSettings(database_url=database_url))
        try:
            async with WriteWork.on(database) as work:
                before = await work.session.scalar(text("SELECT pg_backend_pid()"))
            with monkeypatch.context() as patch:
                patch.setattr(asyncpg.Connection, "prepare", lose)
                with pytest.raises(DBAPIError) as lost:
                    async with WriteWork.on(database) as work:
                        await work.session.execute(text("SELECT 2"))
            assert getattr(told(lost.value), "code", None) == "unavailable"
            async with WriteWork.on(database) as work:
                return before, await work.session.scalar(text("SELECT pg_backend_pid()"))
        finally:
            await database.close()

    before, after = asyncio.run(ask())
    assert before != after


@pytest.mark.thorough
def test_replicas_that_start_at_once_migrate_one_by_one(database_url: str) -> None:
    """Each finds the work of the first done, and none fails. All are held up until the last one has come."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": database_url}
    environment["DATABASE_BUSY_TIMEOUT_SECONDS"] = "60"

    async def scenario() -> list[tuple[int | None, str, str]]:
        database = Database(DatabaseSettings(database_url=database_url))
        try:
            async with WriteWork.on(database) as work:
                await work.session.execute(text("CREATE TABLE alembic_version (version_num integer)"))
                await work.session.execute(text("CREATE TABLE chassis_idempotency_version (version_num integer)"))
                command = [sys.executable, "-m", "app", "migrate"]
                pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
                replicas = [subprocess.Popen(command, env=environment, text=True, **pipes) for _ in range(2)]  # type: ignore[call-overload]  # noqa: ASYNC220, S603
                await asyncio.to_thread(wait_until, all_wait(database_url, len(replicas)))
                await work.session.rollback()
            said = [await asyncio.to_thread(replica.communicate, timeout=60) for replica in replicas]
            return [(replica.returncode, *each) for replica, each in zip(replicas, said, strict=True)]
        finally:
            await database.close()

    replicas = asyncio.run(scenario())
    assert [(code, error) for code, _, error in replicas] == [(0, "")] * 2
    assert len({lines.splitlines()[-1].rpartition(" -> ")[2] for _, lines, _ in replicas}) == 1


@pytest.mark.skipif("TEST_DATABASE_URL" in os.environ, reason="the server is not ours to stop")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_server_never_outlives_the_tests(number: int) -> None:
    """Whoever started it is killed: the server stops, and its folder is gone."""
    code = (
        "from app.chassis.testing.postgresql import PostgresqlServer\n"
        "print(PostgresqlServer().url, flush=True)\ninput()\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(  # noqa: S603  # our own program
        [sys.executable, "-c", code], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline().strip()
        folder = Path(str(execute(url, "SHOW data_directory")[0][0])).parent
        assert folder.is_dir() or os.geteuid() != 0
        owner.send_signal(number)
        owner.wait(10)

    def is_gone() -> bool:
        try:
            execute(url, "SELECT 1")
        except (OSError, Exception):  # noqa: BLE001  # it may be in the middle of its stop
            return not folder.exists()
        return False

    wait_until(is_gone)
