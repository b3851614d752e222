"""Other issuers: their public keys, fetched by URL, kept, and fetched again before they are old.

May import errors, keys. Source: RFC 7517 §5; RFC 8414 names the URL `jwks_uri`.
"""

import asyncio
import json
import logging
import warnings
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from time import monotonic
from typing import Any

import httpx2
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key

from app.chassis.auth.keys import FORMS, LEAST_BITS, bits_of
from app.chassis.errors import UnavailableError

__all__ = ["ExternalIssuer", "IssuerError", "kept_fresh"]

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 5.0
_MOST_BYTES = 262_144
_AGAIN_SECONDS = 10.0  # a token with a made-up kid must not make us ask more often
_SILENT_SECONDS = 60.0  # between two tries while an issuer does not answer
# A token with a made-up kid of an issuer that is slow must not hold up others: few wait, and not for long.
_MOST_WAITING, _WAIT_SECONDS = 8, 2.0
_STALE_SECONDS = 86_400.0  # so long an issuer may be silent before its keys are no longer trusted


class IssuerError(Exception):
    """The keys of an issuer could not be fetched: what was found, what is expected."""


class ExternalIssuer:
    """An issuer, by its `iss`, and the keys that its URL gives."""

    def __init__(self, name: str, url: str, keep_seconds: float) -> None:
        self.name = name
        self._url = url
        self._keep_seconds = keep_seconds
        self._keys: dict[str, Key] = {}
        self._fetched_at: float | None = None
        self._tried_at = float("-inf")
        self._asking: asyncio.Task[str | None] | None = None
        self._waiting = 0

    @property
    def fresh_seconds(self) -> float:
        """How long what is known may be kept; less than nothing while the issuer is silent."""
        return self._keep_seconds - self._age()

    async def key(self, kid: str, algorithm: str) -> Key | None:
        """The key of that name if it may be used with that algorithm; asks again when it is not known.

        Raises:
            UnavailableError: the issuer does not answer, and has not for a day or the key is not known.
        """
        if kid not in self._keys:
            await self._ask_again()
        if self._age() > _STALE_SECONDS:
            raise UnavailableError("the issuer of the token does not answer", retry_after=int(_AGAIN_SECONDS))
        key = self._keys.get(kid)
        is_fit = key is not None and key.key_type == FORMS[algorithm][0] and key.get("alg") in (None, algorithm)
        return key if is_fit else None

    async def _ask_again(self) -> None:
        if self._asking is None and monotonic() - self._tried_at >= _AGAIN_SECONDS:
            self._asking = asyncio.create_task(self.attempt())
            self._asking.add_done_callback(self._asked)
        if self._asking is None:
            return
        if self._waiting < _MOST_WAITING:
            self._waiting += 1
            try:
                await asyncio.wait({self._asking}, timeout=_WAIT_SECONDS)
            finally:
                self._waiting -= 1
        if self._asking is not None:
            raise UnavailableError("the issuer of the token is slow to tell its keys", retry_after=int(_WAIT_SECONDS))

    def _asked(self, _: asyncio.Task[str | None]) -> None:
        self._asking = None

    async def keep(self) -> None:
        """Fetch the keys for ever, before they are old: no request waits for those that are known."""
        while True:
            await asyncio.sleep(max(0.0, self.fresh_seconds))
            if self.fresh_seconds <= 0 and await self.attempt() is not None:
                await asyncio.sleep(_SILENT_SECONDS)

    async def fetch(self) -> None:
        """Ask for the keys and keep them.

        Raises:
            IssuerError: it does not answer with a set of keys.
        """
        self._tried_at = monotonic()
        try:
            async with (
                asyncio.timeout(_TIMEOUT_SECONDS),
                httpx2.AsyncClient(timeout=_TIMEOUT_SECONDS, follow_redirects=False) as client,
                client.stream("GET", self._url) as answer,
            ):
                content = await _content(answer)
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            raise IssuerError(f"does not answer: {type(error).__name__}; expected a JWK Set") from None
        self._keys = _parsed(content)
        self._fetched_at = monotonic()

    async def attempt(self) -> str | None:
        """Ask for the keys; what they are is kept until then. Says what is wrong, if anything is."""
        try:
            await self.fetch()
        except IssuerError as error:
            _log.warning("keys of an issuer not fetched", extra={"issuer": self.name, "reason": str(error)})
            return str(error)
        return None

    def _age(self) -> float:
        return float("inf") if self._fetched_at is None else monotonic() - self._fetched_at


@asynccontextmanager
async def kept_fresh(issuers: Collection[ExternalIssuer]) -> AsyncIterator[None]:
    """While the service lives, the keys of others are fetched again and again."""
    tasks = [asyncio.create_task(issuer.keep()) for issuer in issuers]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _content(answer: httpx2.Response) -> bytes:
    if answer.status_code != 200:
        raise IssuerError(f"answers {answer.status_code}; expected 200 and a JWK Set")
    content = b""
    async for part in answer.aiter_bytes():
        content += part
        if len(content) > _MOST_BYTES:
            raise IssuerError(f"sends more than {_MOST_BYTES} bytes; expected a JWK Set")
    return content


def _parsed(content: bytes) -> dict[str, Key]:
    """The asymmetric signing keys of a set; what else it holds is left out, as RFC 7517 §5 wants it."""
    try:
        entries = list(json.loads(content)["keys"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise IssuerError("answers with something else; expected a JWK Set") from None
    usable = {entry["kid"]: key for entry in entries if (key := _public(entry)) is not None}
    if not usable:
        raise IssuerError("answers without a key that could be used; expected a JWK Set with one that has a kid")
    return usable


def _public(entry: Any) -> Key | None:
    """The key of an entry; None if it is not for signatures, of a kind that is not known here, or too short."""
    if not isinstance(entry, Mapping) or not isinstance(entry.get("kid"), str):
        return None
    if entry.get("kty") not in ("EC", "OKP", "RSA") or entry.get("use", "sig") != "sig":
        return None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # what it warns of is left out
            key = JWKRegistry.import_key({name: entry[name] for name in entry if name not in ("d", "key_ops", "use")})
            return key if bits_of(key) >= LEAST_BITS.get(key.key_type, 0) else None
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None
