"""Whether an access token is good, whoever issued it. May import about, exchange, issuers, keys, settings.

Sources: RFC 7519 §7.2 (what is checked), RFC 8725 (what went wrong elsewhere), RFC 9068 (access tokens).
"""

import json
from collections.abc import Collection
from time import time
from typing import Any

from joserfc import jws, jwt
from joserfc.errors import ClaimError, ExpiredTokenError, JoseError, MissingClaimError
from joserfc.jwk import Key

from app.chassis.about import about
from app.chassis.auth.issuers import ExternalIssuer
from app.chassis.auth.keys import KeyRing
from app.chassis.auth.settings import AuthSettings
from app.chassis.exchange import Caller

__all__ = ["REFUSALS", "RefusedError", "Verifier"]

REFUSALS = {
    "scheme": "Authorization is sent twice, or is of another scheme",
    "unreadable": "the token is not a JSON Web Token that can be read",
    "type": "the token is of another type, or names no key",
    "key": "the token is by an issuer, key or algorithm that is not taken",
    "signature": "the token has another signature",
    "exp": "the token is expired",
    "nbf": "the token is not valid yet",
    "iat": "the token comes from the future",
    "aud": "the token is for another audience",
    "claims": "the token lacks a claim, or has one that cannot be used",
}
_TYPES = (None, "JWT", "jwt", "at+jwt", "application/at+jwt")


class RefusedError(Exception):
    """A token is not good; its argument is a name of `REFUSALS`."""


class Verifier:
    """Knows which issuers, keys, algorithms and audience are taken."""

    def __init__(self, settings: AuthSettings, issuers: Collection[ExternalIssuer]) -> None:
        self.issuer = settings.auth_issuer or about().slug
        self.audience = settings.auth_audience or about().slug
        self.issuers = {issuer.name: issuer for issuer in issuers}
        self._algorithms = settings.auth_algorithms
        self._leeway = settings.auth_leeway_seconds

    async def caller(self, token: bytes, ring: KeyRing | None) -> tuple[Caller, float]:
        """Who bears the token, and the Unix time until which that holds.

        Raises:
            RefusedError: it is not good.
            UnavailableError: nothing is known of its issuer's keys, and the issuer does not answer.
        """
        try:
            found = jws.extract_compact(token)
            header, claims = found.headers(), json.loads(found.payload or b"")
            issuer, kid, algorithm = claims["iss"], header.get("kid"), header.get("alg")
        except (JoseError, ValueError, TypeError, KeyError, RecursionError):
            raise RefusedError("unreadable") from None
        if header.get("typ") not in _TYPES or not isinstance(kid, str) or not isinstance(algorithm, str):
            raise RefusedError("type")
        key = await self._key(issuer, kid, algorithm, ring) if algorithm in self._algorithms else None
        if key is None:
            raise RefusedError("key")
        try:
            if not jws.validate_compact(found, key, [algorithm]):
                raise RefusedError("signature")
            self._rules(issuer).validate(claims)
        except ClaimError as error:
            is_known = error.claim in REFUSALS and not isinstance(error, MissingClaimError)
            is_time = error.claim != "exp" or isinstance(error, ExpiredTokenError)
            raise RefusedError(error.claim if is_known and is_time else "claims") from None
        except (JoseError, ValueError, TypeError):
            raise RefusedError("signature") from None
        until = claims["exp"] + self._leeway
        if issuer in self.issuers:  # it may take a key out before
            until = min(until, time() + self.issuers[issuer].fresh_seconds)
        return self._caller(claims, issuer), until

    async def _key(self, issuer: Any, kid: str, algorithm: str, ring: KeyRing | None) -> Key | None:
        """The key that such a token must be signed by; the algorithm is the key's own, never the token's."""
        if issuer == self.issuer and ring is not None:
            own = ring.by_kid.get(kid)
            return own.key if own is not None and own.algorithm == algorithm else None
        external = self.issuers.get(issuer) if isinstance(issuer, str) else None
        return None if external is None else await external.key(kid, algorithm)

    def _rules(self, issuer: str) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            leeway=self._leeway,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": self.audience},
            sub={"essential": True},
            exp={"essential": True},
        )

    def _caller(self, claims: dict[str, Any], issuer: str) -> Caller:
        subject, scopes = claims["sub"], claims.get("scope", claims.get("scp", ""))
        scopes = scopes.split() if isinstance(scopes, str) else scopes
        is_list = isinstance(scopes, list) and all(isinstance(scope, str) for scope in scopes)
        if len(subject) > 255 or not subject.isprintable() or not is_list:
            raise RefusedError("claims")
        # Another issuer's subjects are not ours, whatever they are called.
        return Caller(subject if issuer == self.issuer else f"{issuer}|{subject}", frozenset(scopes))
