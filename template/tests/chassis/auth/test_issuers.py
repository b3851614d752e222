"""Tokens of other issuers: their keys are fetched from a real server, kept, and fetched again within bounds."""

import asyncio
import json
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from time import monotonic, time
from types import SimpleNamespace
from typing import Any

import pytest
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import RSAKey
from prometheus_client import CollectorRegistry
from starlette.datastructures import State

from app.chassis.about import about
from app.chassis.auth import issuers
from app.chassis.auth.access import Issuer as Issuing
from app.chassis.auth.feature import FEATURE
from app.chassis.auth.issuers import ExternalIssuer, IssuerError, kept_fresh
from app.chassis.auth.keys import KeyRing
from app.chassis.auth.settings import AuthSettings
from app.chassis.auth.store import KeyStore, now
from app.chassis.auth.tokens import Tokens
from app.chassis.errors import UnavailableError
from app.chassis.http import Router
from app.chassis.http.codes import CodedHTTPError
from app.chassis.observability.metrics import Metrics
from app.chassis.settings import SettingsError, load_settings
from app.chassis.testing import Client, ServiceProcess
from app.settings import Settings

NAME = "https://id.example.com"


class Issuer:
    """A server that gives out a set of keys, and counts who asks."""

    def __init__(self) -> None:
        self.ring = KeyRing.of_one("RS256", now())
        self.status, self.body, self.asked = 200, b"", 0
        self.answers = Event()
        self.answers.set()
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                issuer.asked += 1
                issuer.answers.wait(30)
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
    made.answers.set()
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
        (200, b'{"keys": [{"kty": "EC", "kid": "a"}]}', "answers without a key that could be used"),
        (200, b'{"keys": [{"kty": "oct", "kid": "a", "k": "c2VjcmV0"}]}', "answers without a key that could be used"),
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


def test_slow_issuer_holds_up_few(issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever invents names of keys waits in a small crowd; a token whose key is known does not wait at all."""

    async def walk() -> None:
        one = ExternalIssuer(NAME, issuer.url, 600)
        await one.fetch()
        issuer.answers.clear()
        monkeypatch.setattr(issuers, "_AGAIN_SECONDS", 0.0)
        monkeypatch.setattr(issuers, "_WAIT_SECONDS", 30.0)
        waiting = [asyncio.create_task(one.key(f"made-up-{number}", "RS256")) for number in range(50)]
        turned_away, patient = await asyncio.wait(waiting, return_when=asyncio.FIRST_EXCEPTION)
        assert {type(task.exception()) for task in turned_away} == {UnavailableError}
        assert await one.key(issuer.ring.signing.kid, "RS256") is not None
        assert not any(task.done() for task in patient)
        assert 1 <= len(patient) <= 8
        issuer.answers.set()
        assert {await task for task in patient} == {None}
        monkeypatch.setattr(issuers, "_WAIT_SECONDS", 0.0)
        issuer.answers.clear()
        with pytest.raises(UnavailableError):
            await one.key("made-up", "RS256")
        issuer.answers.set()

    asyncio.run(walk())


def test_key_that_is_withdrawn_opens_no_door(issuer: Issuer, tmp_path: Path) -> None:
    """Not to a token that was looked at before, either; the keys are fetched before they are old, without a request."""

    async def walk() -> None:
        one, old = ExternalIssuer(NAME, issuer.url, 0.2), issuer.token()
        settings = AuthSettings.model_validate({"auth_keys_file": tmp_path / "none", "auth_keys": None})
        tokens = Tokens(settings, KeyStore(settings, may_make=False), [one], CollectorRegistry())
        assert await tokens.fetch_keys() == {}
        async with kept_fresh([one]):
            assert (await tokens.caller(old.encode())).subject == f"{NAME}|ada"
            issuer.ring = KeyRing.of_one("RS256", now())
            until, refused = monotonic() + 30, False
            while not refused and monotonic() < until:
                try:
                    await tokens.caller(old.encode())
                except CodedHTTPError:
                    refused = True
                await asyncio.sleep(0.01)
            assert refused
            assert (await tokens.caller(issuer.token().encode())).subject == f"{NAME}|ada"

    asyncio.run(walk())


def test_keys_of_other_kinds_are_left_out(issuer: Issuer) -> None:
    """RFC 7517 §5: what is not understood is ignored; what is too short to trust is not taken."""
    with pytest.warns(SecurityWarning):
        short = RSAKey.generate_key(1024, {"kid": "short"}, private=False).as_dict()
    odd: list[Any] = [7, {}, {"kid": 7}, {"kid": "a", "kty": "XYZ"}, {"kid": "b", "kty": "EC", "crv": "P-999"}, short]
    issuer.body = json.dumps({"keys": [*odd, *issuer.ring.published()["keys"]]}).encode()

    async def walk() -> None:
        one = ExternalIssuer(NAME, issuer.url, 600)
        await one.fetch()
        assert await one.key(issuer.ring.signing.kid, "RS256") is not None
        assert await one.key("short", "RS256") is None

    asyncio.run(walk())


def test_routes_that_give_tokens_need_keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that only takes tokens of others says at its start which routes could never answer."""
    router = Router()

    @router.post("/in")
    async def log_in(_issuer: Issuing) -> None:
        """Needs a key."""

    monkeypatch.setenv("AUTH_KEYS", "")
    monkeypatch.setenv("AUTH_KEYS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("ENVIRONMENT", "production")
    monkeypatch.setenv("AUTH_EXTERNAL_ISSUERS", json.dumps({NAME: "https://id.example.com/keys"}))
    monkeypatch.setenv("OPERATIONS_TOKEN", "nine-brass-plumb-bobs")
    monkeypatch.setenv("SECURITY_ALLOWED_HOSTS", "*")
    versions = SimpleNamespace(apps={"v1": SimpleNamespace(routes=router.routes)})
    held = {"settings": load_settings(Settings), "metrics": Metrics("1"), "database": None, "versions": versions}
    assert FEATURE.setup is not None
    with pytest.raises(SettingsError, match=r"AUTH_KEYS_FILE: .* is not there, but log_in gives tokens"):
        FEATURE.setup(State(held))
