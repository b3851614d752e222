"""A request with an `Idempotency-Key` that is sent again is done once. KILL_ROUNDS kills more often."""

import asyncio
import http.client
import itertools
import json
import os
import random
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, text

from app.chassis.database import ReadWork, WriteWork, idempotency
from app.chassis.database.cleaning import cleaning
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.settings import DatabaseSettings
from app.chassis.database.work import is_cancelled
from app.chassis.testing import Answer, Client, ServiceProcess
from app.chassis.testing.databases import execute

pytestmark = pytest.mark.engines("sqlite", "postgresql")

ROUNDS = int(os.environ.get("KILL_ROUNDS", "1"))
WRITERS = 3


def send(client: Client, key: str, path: str = "/-probe/keyed", body: bytes | None = None) -> Answer:
    """One request with a key."""
    return client.request("POST", path, body=body, headers={"Idempotency-Key": key})


def rows(client: Client) -> int:
    """Rows that the probe has written; this writes one more."""
    return int(client.request("POST", "/-probe/keyed").data["rows"])


def test_answer_is_given_again_byte_by_byte(client: Client) -> None:
    """Status, body and the route's own headers are those of the first, and a header says that it was one before."""
    key, before = str(uuid.uuid4()), rows(client)
    first, second, quoted = send(client, key), send(client, key), send(client, f'"{key}"')
    assert (first.status, first.data) == (201, {"rows": before + 1})
    assert "idempotent-replayed" not in first.headers
    for again in (second, quoted):
        assert (again.status, again.body, again.headers["etag"]) == (201, first.body, first.headers["etag"])
        assert again.headers["idempotent-replayed"] == "true"
        assert again.headers["x-request-id"] != first.headers["x-request-id"]
    assert rows(client) == before + 2


def test_key_of_another_request_is_refused(client: Client) -> None:
    """Another body, path, query or content type is another request: 422, and nothing is done."""
    key, before = str(uuid.uuid4()), rows(client)
    send(client, key)
    others = [send(client, key, "/-probe/keyed?number=1"), send(client, key, body=b"{}")]
    assert [(one.status, one.error["code"], one.error["retryable"]) for one in others] == [
        (422, "idempotency_key_reused", False)
    ] * 2
    assert rows(client) == before + 2


@pytest.mark.parametrize("word", ["bob%0A", "bob%09", "bob%0D", "bob%23", "bob%3F", "bo%62?number=0"])
def test_key_of_another_path_is_refused(client: Client, word: str) -> None:
    """However alike they look: whoever splits a URL drops ends of lines and tabs."""
    key = str(uuid.uuid4())
    assert send(client, key, f"/-probe/keyed/{word}").status == 201
    answer = send(client, key, "/-probe/keyed/bob")
    assert (answer.status, answer.error["code"]) == (422, "idempotency_key_reused")


@pytest.mark.parametrize("key", ["", "two words", "x" * 256, "\xe9", '"', '"x', 'x"'])
def test_key_that_is_none_is_refused(client: Client, key: str) -> None:
    """400 with what is expected; nothing is done."""
    before = rows(client)
    answer = send(client, key)
    assert (answer.status, answer.error["code"]) == (400, "idempotency_key_malformed")
    assert rows(client) == before + 1


def test_two_keys_are_none(service: ServiceProcess) -> None:
    """Which of two lines would count?"""
    connection = http.client.HTTPConnection("127.0.0.1", int(service.url.rpartition(":")[2]))
    with closing(connection):
        connection.putrequest("POST", "/-probe/keyed")
        for value in ("a", "b"):
            connection.putheader("Idempotency-Key", value)
        connection.endheaders()
        answer = json.loads(connection.getresponse().read())
    assert answer["error"]["code"] == "idempotency_key_malformed"


def test_route_may_want_a_key(client: Client) -> None:
    """Its absence has a code; and an answer in parts, which cannot be kept, is a mistake of the route."""
    answer = client.request("POST", "/-probe/must-be-keyed")
    assert (answer.status, answer.error["code"]) == (400, "idempotency_key_required")
    assert send(client, "k", "/-probe/must-be-keyed").status == 500


def test_failure_is_not_kept(client: Client) -> None:
    """What was rolled back is done anew."""
    key, before = str(uuid.uuid4()), rows(client)
    assert send(client, key, "/-probe/keyed?fails=true").status == 500
    assert send(client, key).data == {"rows": before + 1}


def test_concurrent_requests_with_one_key_do_it_once(service: ServiceProcess, client: Client) -> None:
    """Eight at once: one does it; the others get its answer, or are told that it is under way and to come again."""
    key, before = str(uuid.uuid4()), rows(client)
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: send(service.client(), key, "/-probe/keyed?seconds=0.05"), range(8)))
    told = {
        (one.status, *map(one.error.get, ("code", "retryable", "retry_after"))) for one in answers if one.status >= 400
    }
    assert told <= {(409, "idempotency_key_in_use", True, 1)}
    assert len({one.body for one in answers if one.status == 201}) == 1
    assert rows(client) == before + 2
    assert send(client, key, "/-probe/keyed?seconds=0.05").headers["idempotent-replayed"] == "true"


@pytest.mark.thorough
def test_killed_service_did_it_once_or_not_at_all(tmp_path: Path, database_url: str, engine: str) -> None:
    """kill -9 at any moment: each request, sent again to a later process, leaves exactly one row."""
    numbers, moments = itertools.count(), random.Random(ROUNDS)  # noqa: S311  # no secret, and the same again
    for _ in range(ROUNDS):
        with ServiceProcess(tmp_path, DATABASE_URL=database_url) as service:
            assert send(service.client(), "table", "/-probe/keyed?number=-1").status == 201  # makes it
            done = threading.Semaphore(0)
            writers = [threading.Thread(target=_write, args=(service.url, numbers, done)) for _ in range(WRITERS)]
            for writer in writers:
                writer.start()
            for _ in range(moments.randint(1, 8)):
                assert done.acquire(timeout=30)
            time.sleep(moments.uniform(0, 0.005))  # somewhere within the next request
            service.stop(signal.SIGKILL)
            for writer in writers:
                writer.join(30)
    sent = range(next(numbers))
    with ServiceProcess(tmp_path, DATABASE_URL=database_url) as service:
        client = service.client()
        for number in sent:
            assert send(client, f"number-{number}", f"/-probe/keyed?number={number}").status == 201
    assert sorted(_numbers(tmp_path, database_url, engine)) == [-1, *sent]


def _write(url: str, numbers: Iterator[int], done: threading.Semaphore) -> None:
    client = Client(url)
    with suppress(OSError, http.client.HTTPException), closing(client):  # the service is killed
        while True:
            number = next(numbers)
            assert send(client, f"number-{number}", f"/-probe/keyed?number={number}").status == 201
            done.release()


def _numbers(folder: Path, url: str, engine: str) -> list[int]:
    statement = "SELECT number FROM probe_keyed"
    if engine == "postgresql":
        return [row[0] for row in execute(url, statement)]
    with closing(sqlite3.connect(folder / "test.db")) as database:
        return [row[0] for row in database.execute(statement)]


def test_callers_have_keys_of_their_own_for_a_time(database_url: str) -> None:
    """One never gets the answer of another; an answer that is too old is none, and is deleted in the end."""
    settings = DatabaseSettings(database_url=database_url)
    answer, day = idempotency.Kept("f", 200, b"a: b", b"body"), timedelta(days=1)

    async def scenario() -> None:
        database = Database(settings)
        async with WriteWork.on(database) as work:
            for subject in (None, "ada"):
                await idempotency.keep(work, subject, "k", answer)
        async with WriteWork.on(database) as work:
            assert await idempotency.find(work, "ada", "k", day) == answer
            assert await idempotency.find(work, "bob", "k", day) is None
            assert await idempotency.find(work, None, "k", timedelta(0)) is None
        async with idempotency.forgetting(database, timedelta(0), every_seconds=0.01):
            left: int | None = 1
            while left:
                await asyncio.sleep(0.01)
                async with ReadWork.on(database) as reading:
                    left = await reading.session.scalar(text("SELECT count(*) FROM chassis_idempotency_keys"))
        await database.close()

    asyncio.run(migrate(Database(settings)))
    asyncio.run(asyncio.wait_for(scenario(), 30))


def test_cleaner_that_commits_just_then_ends_with_the_service(database_url: str) -> None:
    """A commit goes on to its end whoever is cancelled; then there is no next one."""
    settings = DatabaseSettings(database_url=database_url)

    async def scenario() -> None:
        database, commits = Database(settings), asyncio.Event()

        async def forget(work: WriteWork) -> bool:
            event.listen(work.session.sync_session, "before_commit", lambda _: commits.set())
            await work.session.execute(text("DELETE FROM chassis_idempotency_keys"))
            return True  # and more, for ever

        async with cleaning(database, "idempotency", forget, every_seconds=0):
            await commits.wait()
        assert not is_cancelled()  # for it took too long
        await database.close()

    asyncio.run(migrate(Database(settings)))
    asyncio.run(asyncio.wait_for(scenario(), 10))


@pytest.mark.engines("postgresql")  # SQLite's writers come one after the other
def test_answer_that_is_kept_meanwhile_is_not_forgotten(database_url: str) -> None:
    """The cleaner looked, then an old key was used again: its new answer stays."""
    settings, day = DatabaseSettings(database_url=database_url), timedelta(days=1)
    new = idempotency.Kept("f", 200, b"a: b", b"new")
    uses = [True]

    async def use_again() -> None:
        database = Database(settings)
        async with WriteWork.on(database) as work:
            assert await idempotency.find(work, None, "k", day) is None
            await idempotency.keep(work, None, "k", new)
        await database.close()

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        if statement.startswith("DELETE FROM chassis_idempotency_keys") and uses:
            uses.clear()
            with ThreadPoolExecutor(1) as pool:
                pool.submit(asyncio.run, use_again()).result()

    async def scenario() -> None:
        database = Database(settings)
        async with WriteWork.on(database) as work:
            await idempotency.keep(work, None, "k", idempotency.Kept("f", 200, b"a: b", b"old"))
            await work.session.execute(text("UPDATE chassis_idempotency_keys SET kept_at = '2020-01-01 00:00:00+00'"))
        event.listen(database.writer.sync_engine, "before_cursor_execute", before)
        async with WriteWork.on(database) as work:
            await idempotency.forget(work, day)
        async with WriteWork.on(database) as work:
            assert await idempotency.find(work, None, "k", day) == new
        await database.close()

    asyncio.run(migrate(Database(settings)))
    asyncio.run(asyncio.wait_for(scenario(), 30))
    assert not uses


def test_openapi_declares_the_key(contracts: dict[str, object]) -> None:
    """Wherever a route takes one: its form, and the codes that come with it."""
    text_of = json.dumps(contracts)
    assert ("Idempotency-Key" in text_of) == ("idempotency_key_reused" in text_of)
