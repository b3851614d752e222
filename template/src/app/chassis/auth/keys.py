"""Signing keys: what a set of them must be, and how one follows another. Imports nothing of the chassis.

A set is a JWK Set (RFC 7517 §5) whose keys have two members more, `state` and `since`. A key is first `published`, so
that others learn it; then `signing`; then `previous`, while its tokens are still good; then it is retired: gone.
"""

import json
import secrets
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cached_property
from typing import Any, Literal, cast

from joserfc import jws
from joserfc.errors import JoseError, SecurityWarning
from joserfc.jwk import JWKRegistry, Key

__all__ = ["FORMS", "LEAST_BITS", "KeyRing", "KeysError", "SigningKey", "bits_of"]

State = Literal["published", "signing", "previous"]
_STATES = ("published", "signing", "previous")
_EXPECTED = "a JWK Set as `python -m app keys new` writes it"

FORMS: dict[str, tuple[str, str | int]] = {
    "ES256": ("EC", "P-256"),
    "Ed25519": ("OKP", "Ed25519"),
    "RS256": ("RSA", 3072),
    "HS256": ("oct", 256),
}
"""Algorithm -> type and curve (or bits) of a new key. Sources: RFC 7518 §3, RFC 9864 §2.2."""
LEAST_BITS = {"RSA": 2048, "oct": 256}  # RFC 7518 §3.3, §3.2


class KeysError(Exception):
    """Keys that cannot be used, or a step that cannot be done now; holds no part of a key."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key: its algorithm is part of it, so that no token can ask for another."""

    kid: str
    algorithm: str
    state: State
    since: datetime
    key: Key

    def as_dict(self, *, private: bool) -> dict[str, Any]:
        """JWK; the private one with `state` and `since`."""
        about: dict[str, Any] = {"kid": self.kid, "alg": self.algorithm, "use": "sig"}
        if private:
            about |= {"state": self.state, "since": f"{self.since:%Y-%m-%dT%H:%M:%SZ}"}
        return {**self.key.as_dict(private=private), **about}


@dataclass(frozen=True)
class KeyRing:
    """All keys of this service."""

    keys: tuple[SigningKey, ...]

    @cached_property
    def by_kid(self) -> dict[str, SigningKey]:
        """Keys by their names."""
        return {key.kid: key for key in self.keys}

    @cached_property
    def signing(self) -> SigningKey:
        """The one that signs."""
        return next(key for key in self.keys if key.state == "signing")

    def published(self) -> dict[str, Any]:
        """JWK Set for others; a symmetric key is nobody else's."""
        return {"keys": [key.as_dict(private=False) for key in self.keys if key.key.key_type != "oct"]}

    def dump(self) -> str:
        """Text that `parse` reads."""
        return json.dumps({"keys": [key.as_dict(private=True) for key in self.keys]}, indent=2) + "\n"

    @classmethod
    def parse(cls, text: str) -> "KeyRing":
        """Read a set.

        Raises:
            KeysError: it is none, or has keys that must not be used.
        """
        try:
            found = json.loads(text)["keys"]
            keys = tuple(_parsed(number, entry) for number, entry in enumerate(found, 1))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            raise KeysError(f"is not a set of keys; expected {_EXPECTED}") from None
        kids = [key.kid for key in keys]
        if twice := {kid for kid in kids if kids.count(kid) > 1}:
            raise KeysError(f"has two keys with the kid {min(twice)[:64]!r}; expected a kid of its own for each")
        if (signing := sum(key.state == "signing" for key in keys)) != 1:
            raise KeysError(f'has {signing} keys with "state": "signing"; expected exactly one')
        return cls(keys)

    def with_new(self, algorithm: str, now: datetime) -> "KeyRing":
        """One key more, which others learn first."""
        return KeyRing((*self.keys, _made(algorithm, "published", now)))

    @classmethod
    def of_one(cls, algorithm: str, now: datetime) -> "KeyRing":
        """A first key, or the only one after a theft: it signs at once."""
        return cls((_made(algorithm, "signing", now),))

    def of_state(self, state: State) -> list[SigningKey]:
        """Keys of one state, the oldest first."""
        return sorted((key for key in self.keys if key.state == state), key=lambda key: key.since)

    def rotated(self, now: datetime, learn_seconds: float) -> "KeyRing":
        """The oldest published key signs from now on.

        Raises:
            KeysError: there is none, or others may not know it yet: it is not published for `learn_seconds`.
        """
        if not (waiting := self.of_state("published")):
            raise KeysError("no key is published; expected one that `python -m app keys new` made before")
        _wait(waiting[0], now, learn_seconds, "others may not know it before")
        states: dict[str, State] = {self.signing.kid: "previous", waiting[0].kid: "signing"}
        return KeyRing(tuple(replace(k, state=states[k.kid], since=now) if k.kid in states else k for k in self.keys))

    def without(self, kid: str | None, now: datetime, good_seconds: float) -> "KeyRing":
        """Retire a key, by default the oldest previous one.

        Raises:
            KeysError: there is no such key, or it signs, or did so less than `good_seconds` ago.
        """
        key = self.by_kid.get(kid) if kid else next(iter(self.of_state("previous")), None)
        if key is None:
            what = "a key of that name" if kid else "a previous key"
            raise KeysError(f"has not {what}; expected one of those that `python -m app keys list` shows")
        if key.state == "signing":
            raise KeysError(f"{key.kid} signs; expected a previous key: `python -m app keys rotate` first")
        if key.state == "previous":
            _wait(key, now, good_seconds, "its tokens are good until")
        return KeyRing(tuple(one for one in self.keys if one is not key))


def _wait(key: SigningKey, now: datetime, seconds: float, why: str) -> None:
    if seconds and now < (until := key.since + timedelta(seconds=seconds)):
        raise KeysError(
            f"{key.kid}: {why} {until:%Y-%m-%dT%H:%M:%SZ}; wait, or add --now where good tokens may be refused"
        )


def _made(algorithm: str, state: State, now: datetime) -> SigningKey:
    key = JWKRegistry.generate_key(*FORMS[algorithm])
    return SigningKey(f"{now:%Y%m%d}-{secrets.token_hex(4)}", algorithm, state, now.replace(microsecond=0), key)


def _parsed(number: int, entry: Mapping[str, Any]) -> SigningKey:
    kid, algorithm, state = (entry.get(name) for name in ("kid", "alg", "state"))
    if not isinstance(kid, str) or not 1 <= len(kid) <= 255 or not kid.isprintable():
        raise KeysError(f"has no kid at key {number}; expected 1 to 255 printable characters")
    where = f"has a key {kid[:64]!r}"
    if algorithm not in FORMS or entry.get("kty") != FORMS[algorithm][0]:
        raise KeysError(f"{where} whose alg and kty do not fit; expected one of {', '.join(FORMS)} with its kty")
    if state not in _STATES:
        raise KeysError(f"{where} without a state; expected one of {', '.join(_STATES)}")
    try:
        since = datetime.strptime(str(entry.get("since")), "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
    except ValueError:
        raise KeysError(f"{where} without a time in `since`; expected one such as 2030-01-31T12:00:00Z") from None
    key = _imported({name: value for name, value in entry.items() if name not in ("state", "since", "use", "key_ops")})
    least = LEAST_BITS.get(str(entry["kty"]), 0)
    if key is not None and (bits := bits_of(key)) < least:
        raise KeysError(f"{where} of {bits} bits; expected {least} or more")
    if key is None or not _is_pair(key, str(algorithm)):
        raise KeysError(f"{where} that cannot sign what it verifies; expected {_EXPECTED}")
    return SigningKey(kid, algorithm, cast(State, state), since, key)


def _imported(entry: dict[str, Any]) -> Key | None:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SecurityWarning)  # refused by us, not only warned of
            return JWKRegistry.import_key(entry)
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        return None


def _is_pair(key: Key, algorithm: str) -> bool:
    """Whether the private half belongs to the public one."""
    try:
        signed = jws.serialize_compact({"alg": algorithm}, b"x", key, [algorithm])
        public = key if key.key_type == "oct" else JWKRegistry.import_key(key.as_dict(private=False))
        jws.deserialize_compact(signed, public, [algorithm])
    except (JoseError, ValueError, TypeError):
        return False
    return True


def bits_of(key: Key) -> int:
    """Length of a key, 0 where its kind says it all."""
    raw: Any = key.raw_value
    return len(raw) * 8 if isinstance(raw, bytes) else int(getattr(raw, "key_size", 0))
