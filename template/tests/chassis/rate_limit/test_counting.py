"""The one way of counting, in the process and in Valkey."""

import asyncio
import secrets
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chassis.rate_limit.counting import Limits, StoreDownError, left_of, wait_of
from app.chassis.rate_limit.memory import MemoryStore
from app.chassis.rate_limit.shared import SharedStore
from app.chassis.rate_limit.windows import Window, read_windows

BEGIN = 1_800_000_000_000  # a moment in milliseconds, as Valkey tells it


def one_of(*milliseconds: int) -> st.SearchStrategy[tuple[int, int]]:
    """A window as long as one of these."""
    return st.tuples(st.integers(1, 6), st.sampled_from(milliseconds))


def limits_of(*milliseconds: int) -> st.SearchStrategy[Limits]:
    """Limits of one to three windows, each as long as one of these."""
    return st.lists(one_of(*milliseconds), min_size=1, max_size=3, unique_by=lambda window: window[1]).map(tuple)


steps = st.one_of(st.integers(-5, 20), st.integers(0, 200_000))
histories = st.lists(st.tuples(steps, st.sampled_from("ab")), min_size=1, max_size=40)
Counted = Callable[[int], Coroutine[Any, Any, tuple[bool, list[int]]]]


@pytest.fixture(scope="module")
def loop() -> Any:
    """One event loop, so that the connections last."""
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def shared(loop: asyncio.Runner, redis_url: str) -> Any:
    """The store in Valkey."""
    store = SharedStore(redis_url, 10.0)
    yield store
    loop.run(store.close())


def test_both_stores_decide_alike(loop: asyncio.Runner, shared: SharedStore) -> None:
    """Whatever comes when, for whichever limits: the same answers and the same counts."""

    @settings(max_examples=60, deadline=None, database=None)
    @given(limits_of(10_007, 60_000, 100_000), histories)  # Valkey forgets by its own clock, after two such times
    def alike(limits: Limits, history: list[tuple[int, str]]) -> None:
        async def both() -> None:
            memory, name, now = MemoryStore(), f"test:{secrets.token_hex(8)}", BEGIN
            for step, key in history:
                now += step
                mine = await memory.take(key, limits, now)
                theirs = await shared.take(f"{name}:{key}", limits, now)
                assert (mine[0], list(mine[1])) == (theirs[0], list(theirs[1]))

        loop.run(both())

    alike()


@settings(max_examples=200, deadline=None, database=None)
@given(limits_of(7, 1_000, 60_000), histories)
def test_decisions_keep_what_they_promise(limits: Limits, history: list[tuple[int, str]]) -> None:
    """What is left is let in; after the wait the next is, a millisecond before it is not; a refusal counts nothing."""

    async def drawn() -> None:
        store, now = MemoryStore(), BEGIN
        for step, key in history:
            now += abs(step)
            is_allowed, counts = await store.take(key, limits, now)
            each = [(*limit, *counts[place * 3 : place * 3 + 3]) for place, limit in enumerate(limits)]
            left = min(left_of(*window) for window in each)
            if left:
                assert is_allowed
                continue
            wait = max(wait_of(*window) for window in each if not left_of(*window))
            assert wait >= 1
            before = {name: list(state) for name, state in store._young.items()}
            assert not (await store.take(key, limits, now + wait - 1))[0]
            assert before == store._young
            copy = MemoryStore()
            copy._young = before
            assert (await copy.take(key, limits, now + wait))[0]

    asyncio.run(drawn())


@settings(max_examples=100, deadline=None, database=None)
@given(one_of(7, 1_000, 60_000), st.lists(st.integers(0, 30_000), min_size=1, max_size=60))
def test_window_never_lets_more_in_than_it_says(window: tuple[int, int], history: list[int]) -> None:
    """From the first request on, each full length of the window sees at most `count`."""

    async def counted() -> None:
        store, now, allowed = MemoryStore(), BEGIN, []
        for step in history:
            now += step
            if (await store.take("key", (window,), now))[0]:
                allowed.append(now)
        count, length = window
        start = allowed[0]
        while start <= allowed[-1]:
            assert sum(start <= moment < start + length for moment in allowed) <= count
            start += length
            while start <= allowed[-1] and not any(start <= moment < start + length for moment in allowed):
                start = next(moment for moment in allowed if moment >= start)

    asyncio.run(counted())


def test_full_window_is_let_in_again_after_its_length() -> None:
    """Who asks once a minute where once a minute is allowed is never refused."""

    async def asked() -> list[bool]:
        store = MemoryStore()
        moments = (0, 59_999, 60_000, 119_999, 120_000, 180_000)
        return [(await store.take("key", ((1, 60_000),), BEGIN + moment))[0] for moment in moments]

    assert asyncio.run(asked()) == [True, False, True, False, True, True]


@settings(max_examples=60, deadline=None, database=None)
@given(st.integers(1, 40), st.sampled_from((1_000, 60_000)))
def test_even_caller_is_never_refused(count: int, length: int) -> None:
    """Who asks as often as is allowed, at equal distances, is let in for ever."""

    async def asked() -> set[bool]:
        store, pause = MemoryStore(), -(-length // count)
        return {(await store.take("key", ((count, length),), BEGIN + n * pause))[0] for n in range(6 * count)}

    assert asyncio.run(asked()) == {True}


def test_what_came_before_fades_evenly() -> None:
    """Half a window after a burst, half of it still counts: no caller gets twice the limit around a boundary."""

    async def asked() -> int:
        store, limits = MemoryStore(), ((10, 60_000),)
        for moment in (0, *[59_000] * 9):
            assert (await store.take("key", limits, BEGIN + moment))[0]
        return sum([(await store.take("key", limits, BEGIN + 90_000))[0] for _ in range(20)])

    assert asyncio.run(asked()) == 6


def test_forgotten_script_is_sent_again(loop: asyncio.Runner, shared: SharedStore) -> None:
    """A server that was started anew, or was told to forget, costs one round trip more and no request."""
    key, limits = f"test:{secrets.token_hex(8)}", ((2, 60_000),)

    async def forgotten() -> list[bool]:
        first = (await shared.take(key, limits))[0]
        connection = await shared._pool.get_connection()
        await connection.send_command("SCRIPT", "FLUSH")
        await connection.read_response()
        await shared._pool.release(connection)
        return [first, (await shared.take(key, limits))[0], (await shared.take(key, limits))[0]]

    assert loop.run(forgotten()) == [True, True, False]


def test_server_is_asked_for_the_time_and_forgets_who_stays_away(loop: asyncio.Runner, shared: SharedStore) -> None:
    """The clocks of the processes do not matter, and a key lives for two windows."""
    key = f"test:{secrets.token_hex(8)}"

    async def asked() -> tuple[int, int]:
        await shared.take(key, ((2, 60_000), (9, 100_000)))
        connection = await shared._pool.get_connection()
        await connection.send_command("PTTL", key)
        left = await connection.read_response()
        await shared._pool.release(connection)
        (elapsed, *_) = (await shared.take(key, ((2, 60_000), (9, 100_000))))[1]
        return left, elapsed

    left, elapsed = loop.run(asked())
    assert 100_000 < left <= 200_000
    assert 0 <= elapsed < 60_000


def test_store_that_is_not_there_says_so_in_time(loop: asyncio.Runner) -> None:
    """Nobody listens: the first decision and every one after it fail at once."""

    async def asked() -> None:
        store = SharedStore("redis://127.0.0.1:9/0", 5.0)
        for _ in range(3):
            with pytest.raises(StoreDownError):
                await store.take("key", ((1, 1_000),))
        await store.close()

    loop.run(asked())


def test_memory_is_bounded_and_forgets_the_idle_first() -> None:
    """However many callers there are, and the one who comes back is still known."""

    async def filled() -> tuple[int, bool]:
        store, limits = MemoryStore(keys=100), ((1, 60_000),)
        await store.take("busy", limits, BEGIN)
        for number in range(1_000):
            await store.take(f"key {number}", limits, BEGIN)
            await store.take("busy", limits, BEGIN)
        return len(store._young) + len(store._old), (await store.take("busy", limits, BEGIN))[0]

    assert asyncio.run(filled()) == (pytest.approx(150, abs=50), False)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("300/minute", (Window(300, 60_000, "minute"),)),
        ("1/day", (Window(1, 86_400_000, "day"),)),
        ("300/minute; 10/second", (Window(10, 1_000, "second"), Window(300, 60_000, "minute"))),
        ("5/10 seconds;50/1 hour", (Window(5, 10_000, "10-seconds"), Window(50, 3_600_000, "hour"))),
        ("1000000/31 days", (Window(1_000_000, 2_678_400_000, "31-days"),)),
    ],
)
def test_limit_is_read(text: str, expected: tuple[Window, ...]) -> None:
    """Several windows in any order; a length with a number or without."""
    assert read_windows(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "", ";", "300", "300/", "/minute", "300 per minute", "-1/minute", "0/minute", "1.5/minute", "٣/minute",
        "1000001/day", "5/0 seconds", "5/32 days", "5/minutes", "5/fortnight", "5/minute;", "5/minute; 6/minute",
        "5/second; 5/minute", "1/second; 2/minute; 3/hour; 4/day; 5/2 days", "5/minute\n6/hour", "9" * 400 + "/day",
    ],
)  # fmt: skip
def test_limit_that_is_none_is_refused(text: str) -> None:
    """With what is wrong and what is expected."""
    with pytest.raises(ValueError, match="; "):
        read_windows(text)
