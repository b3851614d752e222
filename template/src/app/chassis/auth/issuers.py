"""Other issuers: their public keys, fetched by URL, kept, and fetched again within bounds.

May import errors, keys. Source: RFC 7517 §5; RFC 8414 names the URL `jwks_uri`.
"""

import asyncio
import json
import logging
from time import monotonic

import httpx2
from joserfc.errors import JoseError
from joserfc.jwk import JWKRegistry, Key

from app.chassis.auth.keys import FORMS
from app.chassis.errors import UnavailableError

__all__ = ["ExternalIssuer", "IssuerError"]

_log = logging.getLogger(__name__)
_TIMEOUT_SECONDS = 5.0
_MOST_BYTES = 262_144
_AGAIN_SECONDS = 10.0  # a token with a made-up kid must not make us ask more often
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
        self._turn = asyncio.Lock()

    async def key(self, kid: str, algorithm: str) -> Key | None:
        """The key of that name if it may be used with that algorithm; asks again when it is not known, or is old.

        Raises:
            UnavailableError: no keys are known, and the issuer does not answer.
        """
        if kid not in self._keys or self._age() > self._keep_seconds:
            async with self._turn:
                if (kid not in self._keys or self._age() > self._keep_seconds) and self._may_ask():
                    await self.attempt()
        if self._age() > _STALE_SECONDS:
            raise UnavailableError("the issuer of the token does not answer", retry_after=int(_AGAIN_SECONDS))
        key = self._keys.get(kid)
        is_fit = key is not None and key.key_type == FORMS[algorithm][0] and key.get("alg") in (None, algorithm)
        return key if is_fit else None

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

    def _may_ask(self) -> bool:
        return monotonic() - self._tried_at >= _AGAIN_SECONDS


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
    """The asymmetric signing keys of a set; what else it holds is for others."""
    keys: dict[str, Key] = {}
    try:
        for entry in json.loads(content)["keys"]:
            if entry.get("kty") in ("EC", "OKP", "RSA") and entry.get("use", "sig") == "sig" and "kid" in entry:
                public = {name: value for name, value in entry.items() if name not in ("d", "key_ops", "use")}
                keys[str(entry["kid"])] = JWKRegistry.import_key(public)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise IssuerError("answers with something else; expected a JWK Set") from None
    if not keys:
        raise IssuerError("answers without a key that signs; expected a JWK Set")
    return keys
