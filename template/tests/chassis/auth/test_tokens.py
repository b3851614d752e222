"""Which tokens are good. Sources: RFC 7519 §7.2, RFC 8725."""

import base64
import hmac
import json
from time import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey

from app.chassis.about import about
from app.chassis.auth.keys import KeyRing
from app.chassis.auth.store import now
from app.chassis.auth.testing import ENVIRONMENT, token
from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.client import raw_exchange

RING = KeyRing.parse(ENVIRONMENT["AUTH_KEYS"])
KEY = RING.signing
NOW = int(now().timestamp())
PUBLIC = KEY.key.as_pem(private=False)


def claims(**changes: Any) -> dict[str, Any]:
    """Claims of a good token; None takes one out."""
    good = {"iss": about().slug, "sub": "ada", "aud": about().slug, "iat": NOW, "nbf": NOW, "exp": NOW + 86_400}
    return {name: value for name, value in (good | changes).items() if value is not None}


def signed(
    header: dict[str, Any] | None = None, key: Any = KEY.key, payload: bytes | None = None, **changes: Any
) -> str:
    """A token by our key, unless told otherwise."""
    head = {
        name: value
        for name, value in {"alg": "ES256", "kid": KEY.kid, "typ": "at+jwt", **(header or {})}.items()
        if value
    }
    return jws.serialize_compact(head, payload or json.dumps(claims(**changes)), key, [head["alg"]])


def encoded(part: bytes) -> str:
    """Base64 as tokens have it."""
    return base64.urlsafe_b64encode(part).decode().rstrip("=")


def by_hand(secret: bytes = b"", **header: Any) -> str:
    """A token that no library would make: not signed at all, or with a secret by HMAC."""
    parts = ({"alg": "none", "kid": KEY.kid} | header, claims())
    text = ".".join(encoded(json.dumps(part).encode()) for part in parts)
    return f"{text}.{encoded(hmac.digest(secret, text.encode(), 'sha256')) if secret else ''}"


def stranger() -> str:
    """A token by a key of the same name that is not ours."""
    return signed(key=ECKey.generate_key("P-256"))


BAD = {
    "algorithm confusion": (by_hand(PUBLIC, alg="HS256"), "key"),
    "algorithm none": (by_hand(), "key"),
    "algorithm NONE": (by_hand(alg="NonE"), "key"),
    "algorithm that is no text": (by_hand(alg=["ES256"]), "type"),
    "wrong key": (stranger(), "signature"),
    "unknown key": (signed({"kid": "retired"}), "key"),
    "no key": (signed({"kid": None}), "type"),
    "type of another kind": (signed({"typ": "logout+jwt"}), "type"),
    "expired": (signed(exp=NOW - 31), "exp"),
    "no expiry": (signed(exp=None), "claims"),
    "expiry that never comes": (
        signed(payload=json.dumps(claims()).replace(str(NOW + 86_400), "1e999").encode()),
        "claims",
    ),
    "expiry as text": (signed(exp=str(NOW + 600)), "claims"),
    "not yet": (signed(nbf=NOW + 3_600), "nbf"),
    "from the future": (signed(iat=NOW + 3_600), "iat"),
    "wrong audience": (signed(aud="another-service"), "aud"),
    "no audience": (signed(aud=None), "claims"),
    "wrong issuer": (signed(iss="https://elsewhere.example"), "key"),
    "no issuer": (signed(iss=None), "unreadable"),
    "issuer that is no text": (signed(iss=["a"]), "key"),
    "no subject": (signed(sub=None), "claims"),
    "subject that is no text": (signed(sub=7), "claims"),
    "subject with a line's end": (signed(sub="ada\r\nX-Admin: 1"), "claims"),
    "scopes that are no texts": (signed(scope=[1]), "claims"),
    "payload that is no object": (signed(payload=b"[]"), "unreadable"),
    "payload too deep": (signed(payload=b"[" * 9_000), "unreadable"),
    "critical header": (signed({"typ": "at+jwt"}).replace("e", "e", 1) + "x", "signature"),
    "truncated": (signed()[:-20], "signature"),
    "two parts": (signed().rpartition(".")[0], "unreadable"),
    "no token at all": ("", "unreadable"),
    "no JWT": ("one-two-three", "unreadable"),
    "odd bytes": ("\xe9.\xff.\x80", "unreadable"),
}


@pytest.mark.parametrize(("bad", "reason"), BAD.values(), ids=BAD)
def test_token_that_is_not_good_is_401(client: Client, bad: str, reason: str) -> None:
    """In the envelope, with the challenge of RFC 6750; and it is counted by its reason."""
    before = counted(client, reason)
    answer = client.request("GET", "/-probe/known", headers={"Authorization": f"Bearer {bad}"})
    assert (answer.status, answer.error["code"]) == (401, "unauthenticated"), answer
    assert answer.headers["www-authenticate"].startswith('Bearer error="invalid_token"')
    assert answer.error["retryable"] is False
    assert not bad or bad[:40] not in answer.body.decode("latin-1")
    assert counted(client, reason) == before + 1


def counted(client: Client, reason: str) -> float:
    """How often a token was refused for it."""
    text = client.request("GET", "/metrics", check=False).body.decode()
    name = f'auth_tokens_refused_total{{reason="{reason}"}} '
    return next((float(line.removeprefix(name)) for line in text.splitlines() if line.startswith(name)), 0.0)


def test_good_token_tells_the_caller(client: Client) -> None:
    """Subject and scopes reach the route; within the leeway an old token is still good; the scheme has no case."""
    just_over = int(time()) - 5
    for good in (token("b", "a", subject="ada"), signed(exp=just_over, scope="a b"), signed(scp=["a", "b"])):
        for scheme in ("Bearer", "bearer"):
            answer = client.request("GET", "/-probe/known", headers={"Authorization": f"{scheme} {good}"})
            assert answer.data == {"subject": "ada", "scopes": ["a", "b"]}


@pytest.mark.parametrize("value", ["Basic YTpi", "Bearer", "", "Digest x", "eyJhbGciOiJub25lIn0"])
def test_other_schemes_are_401(client: Client, value: str) -> None:
    """Only a bearer token is looked at."""
    answer = client.request("GET", "/-probe/known", headers={"Authorization": value})
    assert answer.status == 401


def test_two_authorizations_are_401(service: ServiceProcess) -> None:
    """A proxy may have looked at the other one."""
    good = token(subject="ada")
    twice = f"Authorization: Bearer {good}\r\n" * 2
    request = f"GET /-probe/known HTTP/1.1\r\nHost: localhost\r\n{twice}Connection: close\r\n\r\n"
    assert raw_exchange(service.url, request.encode()).startswith(b"HTTP/1.1 401")


def test_token_of_a_megabyte_is_401_where_headers_may_be_so_long(tmp_path: Any) -> None:
    """And 431 by default; both quickly, in the envelope."""
    long = f"Bearer {signed()}{'x' * 1_000_000}"
    with ServiceProcess(tmp_path, SECURITY_MAX_HEADER_BYTES="1048576") as large:
        answer = large.client().request("GET", "/-probe/known", headers={"Authorization": long})
        assert (answer.status, answer.error["code"]) == (401, "unauthenticated")


GOOD = signed()


@settings(deadline=None, max_examples=60)
@given(place=st.integers(0, len(GOOD) - 1), letter=st.sampled_from("AZaz09-_.~"))
def test_token_with_another_letter_is_not_good(service: ServiceProcess, place: int, letter: str) -> None:
    """Whatever letter is changed: never let in, never a 5xx."""
    changed = GOOD[:place] + letter + GOOD[place + 1 :]
    if same_signature(changed):
        return
    answer = service.client().request("GET", "/-probe/known", headers={"Authorization": f"Bearer {changed}"})
    assert answer.status == 401


def same_signature(other: str) -> bool:
    """Whether both stand for the same bytes: the last letter of base64 has bits that nobody reads."""
    try:
        one, two = (jwt.decode(text, KEY.key, ["ES256"]) for text in (GOOD, other))
    except Exception:  # noqa: BLE001  # it is another one
        return False
    return one.claims == two.claims and one.header == two.header


def test_access_line_names_the_subject_and_never_the_token(service: ServiceProcess, client: Client) -> None:
    """Who asked is in the log; what would let another in is not."""
    good = token(subject="line-reader")
    client.request("GET", "/-probe/known", headers={"Authorization": f"Bearer {good}", "X-Request-ID": "line-reader"})
    line = service.wait_for_line("request", request_id="line-reader")
    assert line["subject"] == "line-reader"
    assert all(good not in json.dumps(one) for one in service.lines)
