"""Passwords: kept as argon2id, and the same work whether there is an account or not."""

import asyncio
import hmac

import pytest

from app.chassis.auth import passwords
from app.chassis.auth.passwords import hash_password, is_outdated, is_password


def test_password_is_known_again_and_no_other_is() -> None:
    """The kept text holds parameters and salt; two of one password differ."""

    async def walk() -> None:
        one, two = await hash_password("nine brass plumb bobs"), await hash_password("nine brass plumb bobs")
        assert one != two
        assert one.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
        assert await is_password("nine brass plumb bobs", one)
        assert not await is_password("nine brass plumb bob", one)
        assert not await is_password("", one)
        assert not await is_password("nine brass plumb bobs", None)

    asyncio.run(walk())


def test_one_letter_written_two_ways_is_one_password() -> None:
    """A keyboard that sends é as one sign, and one that sends e and an accent."""

    async def walk() -> None:
        assert await is_password("cafe\u0301 noir au lait", await hash_password("caf\u00e9 noir au lait"))

    asyncio.run(walk())


def test_unknown_account_and_wrong_password_cost_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """One hash and one comparison in constant time each: nobody learns by the clock who has an account."""
    asyncio.run(is_password("first", None))  # makes what stands for nobody
    work: list[str] = []
    compare, hasher = hmac.compare_digest, passwords.PasswordHasher.hash

    def hashed(self: passwords.PasswordHasher, *arguments: object, **options: object) -> str:
        work.append(f"{self.memory_cost} {self.time_cost} {self.parallelism}")
        return hasher(self, *arguments, **options)  # type: ignore[arg-type]  # passed on

    kept = asyncio.run(hash_password("nine brass plumb bobs"))
    monkeypatch.setattr(passwords.hmac, "compare_digest", lambda a, b: work.append("compare") or compare(a, b))
    monkeypatch.setattr(passwords.PasswordHasher, "hash", hashed)
    for password, known in [("wrong", kept), ("wrong", None), ("nine brass plumb bobs", kept)]:
        work.clear()
        asyncio.run(is_password(password, known))
        assert work == ["19456 2 1", "compare"]


def test_hash_of_older_parameters_is_told() -> None:
    """It still opens, and is to be made anew."""
    old = passwords.PasswordHasher(time_cost=1, memory_cost=8_192, parallelism=1).hash("nine brass plumb bobs")
    assert asyncio.run(is_password("nine brass plumb bobs", old))
    assert is_outdated(old)
    assert not is_outdated(asyncio.run(hash_password("x")))
