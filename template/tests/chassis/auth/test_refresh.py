"""Refresh tokens: used once, followed by the next, and one that comes again ends all that came after it."""

import asyncio
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from app.chassis.auth import refresh
from app.chassis.auth.refresh import RefreshTokenError, RefreshTokens
from app.chassis.database import WriteWork, utc_now
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.settings import DatabaseSettings

pytestmark = pytest.mark.engines("sqlite", "postgresql")


@asynccontextmanager
async def kept(url: str, seconds: float = 3_600) -> AsyncIterator[tuple[RefreshTokens, Database]]:
    """What keeps refresh tokens, on a database with its tables."""
    settings = DatabaseSettings(database_url=url)
    await migrate(Database(settings))
    database = Database(settings)
    try:
        yield RefreshTokens(database, seconds, CollectorRegistry()), database
    finally:
        await database.close()


async def begun(tokens: RefreshTokens, database: Database, subject: str = "ada") -> str:
    """The first token of a log-in."""
    async with WriteWork.on(database) as work:
        return await tokens.begin(work, subject, ["a", "b"])


async def is_refused(tokens: RefreshTokens, token: str) -> bool:
    """Whether a token is not good."""
    try:
        await tokens.use(token)
    except RefreshTokenError:
        return True
    return False


async def later(database: Database, **times: Any) -> None:
    """Let time pass for every family."""
    async with WriteWork.on(database) as work:
        await work.session.execute(refresh.update(refresh._Family).values(**times))  # no clock to turn


def test_each_token_is_followed_by_the_next(database_url: str) -> None:
    """Subject and scopes stay; the token is another each time."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            token, seen = await begun(tokens, database), set()
            for _ in range(5):
                used = await tokens.use(token)
                assert (used.subject, used.scopes) == ("ada", ("a", "b"))
                seen |= {token}
                token = used.token
                await later(database, rotated_at=utc_now() - timedelta(seconds=31))
            assert token not in seen
            assert len(seen) == 5

    asyncio.run(walk())


def test_token_that_comes_again_ends_its_family_and_no_other(database_url: str) -> None:
    """Somebody else has it: whoever holds the newest one must log in again. It stays ended."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            first, other = await begun(tokens, database), await begun(tokens, database)
            newest = (await tokens.use(first)).token
            await later(database, rotated_at=utc_now() - timedelta(seconds=31))
            assert await is_refused(tokens, first)
            assert await is_refused(tokens, newest)
            assert not await is_refused(tokens, other)

    asyncio.run(walk())


def test_made_up_secret_of_a_family_ends_it(database_url: str) -> None:
    """Only who had a token knows the name of its family."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            token = await begun(tokens, database)
            assert await is_refused(tokens, f"{token.partition('.')[0]}.{'x' * 43}")
            assert await is_refused(tokens, token)

    asyncio.run(walk())


def test_lost_answer_is_given_again(database_url: str) -> None:
    """Within half a minute the same token has the same successor, also for eight who ask at once."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            token = await begun(tokens, database)
            answers = await asyncio.gather(*(tokens.use(token) for _ in range(8)))
            assert len({used.token for used in answers}) == 1
            await later(database, rotated_at=utc_now() - timedelta(seconds=29))
            assert (await tokens.use(token)).token == answers[0].token
            assert not await is_refused(tokens, answers[0].token)

    asyncio.run(walk())


def test_token_is_over_after_its_time_and_after_log_out(database_url: str) -> None:
    """A renewal makes a log-in no longer; log out ends it at once, and everywhere if all families end."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            token = (await tokens.use(await begun(tokens, database))).token
            await later(database, expires_at=utc_now() - timedelta(seconds=1))
            assert await is_refused(tokens, token)
            one, two, others = [await begun(tokens, database, who) for who in ("ada", "ada", "bob")]
            await tokens.end(one)
            await tokens.end(one)
            await tokens.end("not.known")
            assert await is_refused(tokens, one)
            oldest = await begun(tokens, database)
            newest = (await tokens.use((await tokens.use(oldest)).token)).token
            await tokens.end(oldest)
            assert await is_refused(tokens, newest), "whoever has it now is not the one who logged out"
            assert not await is_refused(tokens, two)
            three = await begun(tokens, database)
            async with WriteWork.on(database) as work:
                await tokens.end_all(work, "ada")
            assert await is_refused(tokens, three)
            assert not await is_refused(tokens, others)

    asyncio.run(walk())


@pytest.mark.parametrize("token", ["", ".", "a.b", "a" * 5_000, "a.b.c", "é.ü", "\x00.\x00"])
def test_anything_else_is_refused(database_url: str, token: str) -> None:
    """Never a 5xx, whatever is handed in."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, _):
            assert await is_refused(tokens, token)
            await tokens.end(token)

    asyncio.run(walk())


def test_unknown_wrong_and_good_tokens_go_one_road(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each costs the same two comparisons in constant time."""
    calls: list[int] = []
    compare: Callable[[bytes, bytes], bool] = hmac.compare_digest
    monkeypatch.setattr(refresh.hmac, "compare_digest", lambda a, b: calls.append(1) or compare(a, b))

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            good = await begun(tokens, database)
            for token in ("not.known", f"{good.partition('.')[0]}.{'x' * 43}", good):
                calls.clear()
                await is_refused(tokens, token)
                assert len(calls) == 2

    asyncio.run(walk())


def test_families_that_are_over_are_deleted(database_url: str) -> None:
    """By the cleaner, which leaves the others."""

    async def walk() -> None:
        async with kept(database_url) as (tokens, database):
            await begun(tokens, database, "old")
            await later(database, expires_at=utc_now() - timedelta(seconds=1))
            await begun(tokens, database, "new")
            async with WriteWork.on(database) as work:
                assert not await refresh.forget(work)
            async with WriteWork.on(database) as work:
                left = await work.session.scalars(refresh.select(refresh._Family.subject))  # no reader
                assert list(left) == ["new"]

    asyncio.run(walk())
