"""Access tokens: issued with the key that signs now; looked at once, then remembered.

May import exchange, http, issuers, keys, settings, store, verify. Sources: RFC 9068 (form), RFC 6750 §3 (refusals).
"""

import asyncio
import secrets
from collections.abc import Collection
from dataclasses import dataclass
from hashlib import blake2b
from time import time

from joserfc import jwt
from prometheus_client import CollectorRegistry, Counter

from app.chassis.auth.issuers import ExternalIssuer
from app.chassis.auth.keys import KeyRing
from app.chassis.auth.settings import AuthSettings
from app.chassis.auth.store import KeyStore
from app.chassis.auth.verify import REFUSALS, RefusedError, Verifier
from app.chassis.exchange import Caller
from app.chassis.http.codes import CodedHTTPError

__all__ = ["IssuedToken", "Tokens"]

_MOST_REMEMBERED = 4_096


@dataclass(frozen=True, slots=True)
class IssuedToken:
    """An access token, how many seconds it is good, and what its bearer may do."""

    value: str
    seconds: int
    scopes: tuple[str, ...]


class Tokens:
    """Issues access tokens, and says who the bearer of one is."""

    def __init__(
        self,
        settings: AuthSettings,
        store: KeyStore,
        issuers: Collection[ExternalIssuer],
        registry: CollectorRegistry,
    ) -> None:
        self.store = store
        self.issuers = tuple(issuers)
        self._verifier = Verifier(settings, issuers)
        self._seconds = settings.auth_access_token_seconds
        self._remembered: dict[bytes, tuple[Caller, float]] = {}
        self._remembered_by: KeyRing | None = None
        self._refused = Counter(
            "auth_tokens_refused_total", "Access tokens that were not good", ("reason",), registry=registry
        )

    def issue(self, subject: str, scopes: Collection[str] = (), *, seconds: int | None = None) -> IssuedToken:
        """A token for `subject` that is good for `seconds`, by default AUTH_ACCESS_TOKEN_SECONDS.

        Raises:
            RuntimeError: this service has no keys.
        """
        ring = self.store.current()
        if ring is None:
            raise RuntimeError("this service has no keys: it takes tokens of AUTH_EXTERNAL_ISSUERS only")
        key, now, seconds = ring.signing, int(time()), seconds or self._seconds
        claims: dict[str, str | int] = {"iss": self._verifier.issuer, "sub": subject, "aud": self._verifier.audience}
        claims |= {"scope": " ".join(scopes), "iat": now, "nbf": now, "exp": now + seconds}
        header = {"alg": key.algorithm, "kid": key.kid, "typ": "at+jwt"}
        value = jwt.encode(header, claims | {"jti": secrets.token_urlsafe(12)}, key.key, [key.algorithm])
        return IssuedToken(value, seconds, tuple(scopes))

    async def caller(self, token: bytes) -> Caller:
        """Who bears the token; remembered by its digest until it expires, the keys change, or its issuer's are old.

        Raises:
            CodedHTTPError: `unauthenticated`: it is not good, and why.
            UnavailableError: nothing is known of its issuer's keys, and the issuer does not answer.
        """
        ring = self.store.current()
        if ring is not self._remembered_by:
            self._remembered.clear()  # a token of a retired key is good no more
            self._remembered_by = ring
        digest = blake2b(token, digest_size=16).digest()
        if (known := self._remembered.get(digest)) is not None and time() < known[1]:
            return known[0]
        try:
            found = await self._verifier.caller(token, ring)
        except RefusedError as error:
            raise self.refusal(str(error)) from None
        if len(self._remembered) >= _MOST_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[digest] = found
        return found[0]

    def refusal(self, reason: str) -> CodedHTTPError:
        """The 401 for a token that is not good, counted; `reason` is one of `REFUSALS`."""
        self._refused.labels(reason).inc()
        detail = REFUSALS[reason]
        headers = {"WWW-Authenticate": f'Bearer error="invalid_token", error_description="{detail}"'}
        return CodedHTTPError("unauthenticated", detail, expected="a fresh access token", headers=headers)

    async def fetch_keys(self) -> dict[str, str]:
        """Ask every other issuer for its keys at once; issuer -> what is wrong, for each that does not give them."""
        answers = await asyncio.gather(*(issuer.attempt() for issuer in self.issuers))
        return {issuer.name: problem for issuer, problem in zip(self.issuers, answers, strict=True) if problem}
