"""Passwords, kept as argon2id. Imports nothing of the chassis.

Sources: RFC 9106; parameters of the OWASP Password Storage Cheat Sheet; NIST SP 800-63B §3.1.1.2 (NFKC).
"""

import asyncio
import hmac
import secrets
import unicodedata
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from argon2 import PasswordHasher, extract_parameters

__all__ = ["hash_password", "is_outdated", "is_password"]

_hasher = PasswordHasher(time_cost=2, memory_cost=19_456, parallelism=1)
# Each takes 19 MiB and a core for some ten milliseconds: two at once leave the machine to the others.
_threads = ThreadPoolExecutor(2, thread_name_prefix="argon2")


async def hash_password(password: str) -> str:
    """Text to keep of a password: parameters, salt and hash."""
    return await asyncio.get_running_loop().run_in_executor(_threads, _hashed, password)


async def is_password(password: str, kept: str | None) -> bool:
    """Whether it is the password that was kept; for an account that is not there, None, the work is the same."""
    same = await asyncio.get_running_loop().run_in_executor(_threads, _is_same, password, kept)
    return same and kept is not None


def is_outdated(kept: str) -> bool:
    """Whether a hash was made with other parameters than today's; hash the password again at its next use."""
    return _hasher.check_needs_rehash(kept)


def _hashed(password: str) -> str:
    return _hasher.hash(unicodedata.normalize("NFKC", password))


@cache
def _of_nobody() -> str:
    return _hashed(secrets.token_urlsafe(16))


def _is_same(password: str, kept: str | None) -> bool:
    wanted = kept or _of_nobody()
    salt = wanted.split("$")[4]
    hasher = PasswordHasher.from_parameters(extract_parameters(wanted))
    found = hasher.hash(unicodedata.normalize("NFKC", password), salt=b64decode(salt + "=" * (-len(salt) % 4)))
    return hmac.compare_digest(found.encode(), wanted.encode())
