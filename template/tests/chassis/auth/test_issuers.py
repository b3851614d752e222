"""Tokens of other issuers: their keys are fetched from a real server, kept, and fetched again within bounds."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from time import time
from typing import Any

import pytest
from joserfc import jwt

from app.chassis.about import about
from app.chassis.auth import issuers
from app.chassis.auth.issuers import ExternalIssuer, IssuerError
from app.chassis.auth.keys import KeyRing
from app.chassis.auth.store import now
from app.chassis.errors import UnavailableError
from app.chassis.testing import Client, ServiceProcess

NAME = "https://id.example.com"


class Issuer:
    """A server that gives out a set of keys, and counts who asks."""

    def __init__(self) -> None:
        self.ring = KeyRing.of_one("RS256", now())
        self.status, self.body, self.asked = 200, b"", 0
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                self.send_response(issuer.status)
                self.end_headers()
                self.wfile.write(issuer.body or json.dumps(issuer.ring.published()).encode())

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/keys"
        Thread(target=self.server.serve_forever, daemon=True).start()

    def token(self, **changes: Any) -> str:
        """A token by the key that signs."""
        key, claims = self.ring.signing, {"iss": NAME, "sub": "ada", "aud": about().slug, "exp": int(time()) + 600}
        return jwt.encode({"alg": key.algorithm, "kid": key.kid}, claims | changes, key.key, [key.algorithm])


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    """An issuer that is there."""
    made = Issuer()
    yield made
    made.server.shutdown()
    made.server.server_close()


def known(client: Client, token: str) -> Any:
    """What a guarded route answers."""
    return client.request("GET", "/-probe/known", headers={"Authorization": f"Bearer {token}"})


def test_token_of_another_issuer_is_taken_as_its_own(tmp_path: Path, issuer: Issuer) -> None:
    """Its subjects are never ours; what it may not say for others, it does not."""
    setting = json.dumps({NAME: issuer.url, "https://other.example.com": issuer.url})
    with ServiceProcess(
        tmp_path, AUTH_EXTERNAL_ISSUERS=setting, AUTH_KEYS="", AUTH_KEYS_FILE=f"{tmp_path}/k"
    ) as service:
        client = service.client()
        good = known(client, issuer.token(scope="a b"))
        assert good.data == {"subject": f"{NAME}|ada", "scopes": ["a", "b"]}
        assert known(client, issuer.token(iss=about().slug)).status == 401
        assert known(client, issuer.token(aud="another")).status == 401
        issuer.server.shutdown()
        issuer.server.server_close()
        assert known(client, issuer.token(sub="eve")).status == 200, "keys that are known stay known"
        assert issuer.asked == 2


def test_issuer_that_is_not_there_stops_the_start(tmp_path: Path, issuer: Issuer) -> None:
    """The service would refuse everybody: it says which setting, and what was found."""
    issuer.status = 503
    done = ServiceProcess(tmp_path, AUTH_EXTERNAL_ISSUERS=json.dumps({NAME: issuer.url})).run("serve")
    assert done.returncode == 2
    assert f"AUTH_EXTERNAL_ISSUERS: {NAME} answers 503; expected 200 and a JWK Set" in done.stderr
    assert "Traceback" not in done.stderr + done.stdout


def test_new_key_is_fetched_once_and_a_made_up_one_not_again(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever invents names of keys does not make us ask; a real new key is known at once."""

    async def walk() -> None:
        one = ExternalIssuer(NAME, issuer.url, 600)
        await one.fetch()
        first, issuer.ring = issuer.ring.signing.kid, issuer.ring.with_new("ES256", now()).rotated(now(), 0)
        monkeypatch.setattr(issuers, "_AGAIN_SECONDS", 0.0)
        assert await one.key(issuer.ring.signing.kid, "ES256") is not None
        assert await one.key(first, "RS256") is not None
        assert await one.key(first, "ES256") is None
        monkeypatch.setattr(issuers, "_AGAIN_SECONDS", 60.0)
        assert issuer.asked == 2
        found = await asyncio.gather(*(one.key(f"made-up-{number}", "RS256") for number in range(50)))
        assert set(found) == {None}
        assert issuer.asked == 2

    asyncio.run(walk())


def test_silent_issuer_is_unavailable_and_no_reason_to_refuse(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Old keys count for a day; where none are known the token is neither good nor bad."""

    async def walk() -> None:
        one = ExternalIssuer(NAME, issuer.url, 600)
        issuer.status = 500
        with pytest.raises(UnavailableError):
            await one.key("any", "RS256")
        issuer.status = 200
        monkeypatch.setattr(issuers, "_AGAIN_SECONDS", 0.0)
        kid = issuer.ring.signing.kid
        assert await one.key(kid, "RS256") is not None
        issuer.status = 500
        monkeypatch.setattr(one, "_keep_seconds", 0.0)
        assert await one.key(kid, "RS256") is not None
        monkeypatch.setattr(issuers, "_STALE_SECONDS", 0.0)
        with pytest.raises(UnavailableError):
            await one.key(kid, "RS256")

    asyncio.run(walk())


@pytest.mark.parametrize(
    ("status", "body", "told"),
    [
        (302, b"", "answers 302; expected 200 and a JWK Set"),
        (200, b"<html>", "answers with something else"),
        (200, b"[]", "answers with something else"),
        (200, b'{"keys": [{"kty": "EC", "kid": "a"}]}', "answers with something else"),
        (200, b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}', "answers without a key that signs"),
        (200, b" " * 300_000, "sends more than 262144 bytes"),
    ],
)
def test_answer_that_is_no_set_of_keys_is_told(issuer: Issuer, status: int, body: bytes, told: str) -> None:
    """And what was known before stays."""

    async def walk() -> None:
        one = ExternalIssuer(NAME, issuer.url, 600)
        await one.fetch()
        issuer.status, issuer.body = status, body
        with pytest.raises(IssuerError, match=told):
            await one.fetch()
        assert await one.key(issuer.ring.signing.kid, "RS256") is not None

    asyncio.run(walk())
