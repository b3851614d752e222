"""Keys: what a set must be, how one follows another, and that no good token is refused meanwhile."""

import json
import os
import time
import warnings
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Event, Thread
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import SecurityWarning
from joserfc.jwk import JWKRegistry
from starlette.datastructures import State
from typer.testing import CliRunner

from app.chassis.auth.commands import commands
from app.chassis.auth.feature import FEATURE
from app.chassis.auth.keys import FORMS, KeyRing, KeysError
from app.chassis.auth.store import KeyStore, changing, now, write
from app.chassis.auth.testing import ENVIRONMENT
from app.chassis.observability.metrics import Metrics
from app.chassis.settings import SettingsError, load_settings
from app.chassis.testing import Client, ServiceProcess
from app.settings import Settings

NOW = datetime(2030, 1, 31, 12, tzinfo=UTC)
ROUNDS = int(os.environ.get("ROTATION_TOKENS", "200"))


def entry(algorithm: str = "ES256", **changes: Any) -> dict[str, Any]:
    """A good key, but for the changes; None takes a member out."""
    key = KeyRing.of_one(algorithm, NOW).signing.as_dict(private=True)
    return {name: value for name, value in (key | changes).items() if value is not None}


def short(kind: str, size: int, algorithm: str) -> dict[str, Any]:
    """A key of a size that nobody should use."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)
        made = JWKRegistry.generate_key(kind, size)
    about = {"kid": "short", "alg": algorithm, "state": "signing", "since": "2030-01-31T12:00:00Z"}
    return {**made.as_dict(private=True), **about}


def test_every_algorithm_makes_keys_that_are_read_again() -> None:
    """What is dumped is parsed; what is published holds no private part, and nothing of a symmetric key."""
    for algorithm in FORMS:
        ring = KeyRing.of_one(algorithm, NOW).with_new(algorithm, NOW)
        assert KeyRing.parse(ring.dump()).dump() == ring.dump()
        published = ring.published()["keys"]
        assert len(published) == (0 if algorithm == "HS256" else 2)
        for key in published:
            assert not {"d", "p", "q", "dp", "dq", "qi", "k", "state", "since"} & set(key)


@pytest.mark.parametrize(
    ("keys", "told"),
    [
        ("{", "is not a set of keys"),
        ("[]", "is not a set of keys"),
        ('{"keys": 7}', "is not a set of keys"),
        ('{"keys": ["x"]}', "is not a set of keys"),
        ([], 'has 0 keys with "state": "signing"; expected exactly one'),
        ([entry(kid="a"), entry(kid="a")], "has two keys with the kid 'a'"),
        ([entry(), entry()], 'has 2 keys with "state": "signing"'),
        ([entry(kid=None)], "has no kid at key 1"),
        ([entry(kid="a\n")], "has no kid at key 1"),
        ([entry(kid="a", alg="none")], "whose alg and kty do not fit"),
        ([entry(kid="a", alg="RS256")], "whose alg and kty do not fit"),
        ([entry(kid="a", state="spare")], "without a state"),
        ([entry(kid="a", since="now")], "without a time in `since`"),
        ([entry(kid="a", d=None)], "cannot sign what it verifies"),
        ([entry(kid="a", x=entry()["x"])], "cannot sign what it verifies"),
        ([entry(kid="a", d=7)], "cannot sign what it verifies"),
        ([short("RSA", 1024, "RS256")], "of 1024 bits; expected 2048 or more"),
        ([short("oct", 128, "HS256")], "of 128 bits; expected 256 or more"),
    ],
)
def test_set_that_cannot_be_used_is_told_without_a_part_of_it(keys: Any, told: str) -> None:
    """What is wrong and what is expected; nothing that was secret."""
    text = keys if isinstance(keys, str) else json.dumps({"keys": keys})
    with pytest.raises(KeysError) as refused:
        KeyRing.parse(text)
    assert told in str(refused.value)
    if not isinstance(keys, str):
        for key in keys:
            assert all(
                str(key[part]) not in str(refused.value) for part in ("d", "k", "p") if part in key and key[part] != 7
            )


def test_key_follows_key_and_none_is_lost() -> None:
    """Published, signing, previous, gone; no step before its time, unless the key was stolen."""
    ring = KeyRing.of_one("ES256", NOW)
    first = ring.signing.kid
    with pytest.raises(KeysError, match="no key is published"):
        ring.rotated(NOW, 600)
    ring = ring.with_new("Ed25519", NOW)
    with pytest.raises(KeysError, match="others may not know it before 2030-01-31T12:10:00Z"):
        ring.rotated(NOW + timedelta(seconds=599), 600)
    with pytest.raises(KeysError, match="signs; expected a previous key"):
        ring.without(first, NOW, 900)
    ring = ring.rotated(NOW + timedelta(seconds=600), 600)
    assert (ring.signing.algorithm, ring.by_kid[first].state) == ("Ed25519", "previous")
    with pytest.raises(KeysError, match="its tokens are good until 2030-01-31T12:25:00Z"):
        ring.without(None, NOW + timedelta(seconds=1_499), 900)
    with pytest.raises(KeysError, match="has not a key of that name"):
        ring.without("another", NOW, 900)
    ring = ring.without(None, NOW + timedelta(seconds=1_500), 900)
    assert [key.state for key in ring.keys] == ["signing"]
    with pytest.raises(KeysError, match="has not a previous key"):
        ring.without(None, NOW, 0)


def test_file_is_written_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    """A write that fails leaves what was there."""
    file = tmp_path / "keys" / "keys.json"
    with changing(file) as ring:
        assert ring is None
        write(file, KeyRing.of_one("ES256", NOW))
    assert file.stat().st_mode & 0o777 == 0o600
    before = file.read_text(encoding="utf-8")
    with pytest.raises(AttributeError):
        write(file, None)  # type: ignore[arg-type]  # breaks in the middle
    assert file.read_text(encoding="utf-8") == before
    assert list(file.parent.iterdir()) == [file]
    file.with_name(".keys.json.new").write_text("of somebody who was killed")
    write(file, KeyRing.of_one("ES256", NOW))
    assert list(file.parent.iterdir()) == [file]


def test_file_stays_where_and_whose_it_is(tmp_path: Path) -> None:
    """A link goes on pointing to the keys, and a group that may read them goes on reading."""
    file, link = tmp_path / "mounted" / "keys.json", tmp_path / "keys.json"
    file.parent.mkdir()
    link.symlink_to(file)
    with changing(link) as ring:
        assert ring is None
        write(link, KeyRing.of_one("ES256", NOW))
    file.chmod(0o640)
    with changing(link) as ring:
        assert ring is not None
        write(link, ring.with_new("ES256", NOW))
    assert link.is_symlink()
    assert len(KeyRing.parse(file.read_text(encoding="utf-8")).keys) == 2
    assert file.stat().st_mode & 0o777 == 0o640


def test_file_that_becomes_unusable_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slip of the pen in the night: the keys stay as they were until it is mended."""
    monkeypatch.setattr("app.chassis.auth.store._LOOK_SECONDS", 0)
    file = tmp_path / "keys.json"
    monkeypatch.setenv("AUTH_KEYS_FILE", str(file))
    store = KeyStore(load_settings(Settings), may_make=True)
    before = store.current()
    for spoiled in (b"{", b"\xff", KeyRing.of_one("HS256", NOW).dump().encode()):
        file.write_bytes(spoiled)
        assert store.current() is before
        assert store.current() is before
    file.unlink()
    assert store.current() is before
    write(file, KeyRing.of_one("ES256", NOW))
    after = store.current()
    assert after is not None
    assert after is not before


def test_file_that_may_be_read_again_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its mode has changed, and nothing else of it: what could not be read before is not left alone for ever."""

    def refuse(_file: Path) -> None:
        raise KeysError("cannot be read: PermissionError")

    monkeypatch.setattr("app.chassis.auth.store._LOOK_SECONDS", 0)
    file = tmp_path / "keys.json"
    monkeypatch.setenv("AUTH_KEYS_FILE", str(file))
    store = KeyStore(load_settings(Settings), may_make=True)
    before = store.current()
    write(file, KeyRing.of_one("ES256", NOW))
    with monkeypatch.context() as closed:
        closed.setattr("app.chassis.auth.store.read", refuse)  # root may read whatever the mode
        assert store.current() is before
    file.chmod(0o640)
    assert store.current() is not before


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"AUTH_KEYS": "{"}, "AUTH_KEYS: is not a set of keys"),
        ({"AUTH_KEYS": json.dumps({"keys": [entry(kid="a"), entry(kid="a")]})}, "AUTH_KEYS: has two keys with the kid"),
        ({"AUTH_KEYS": "", "AUTH_KEYS_FILE": "/dev/null"}, "AUTH_KEYS_FILE: /dev/null is not a set of keys"),
        ({"AUTH_KEYS": "", "AUTH_KEYS_FILE": "/proc"}, "AUTH_KEYS_FILE: /proc cannot be read: IsADirectoryError"),
        ({"AUTH_ALGORITHMS": "RS256"}, "AUTH_KEYS: signs by ES256; expected one of those that AUTH_ALGORITHMS lists"),
        ({"AUTH_EXTERNAL_ISSUERS": '{"me": "https://x/keys"}', "AUTH_ISSUER": "me"}, "names AUTH_ISSUER"),
        ({"AUTH_ALGORITHMS": "none"}, "AUTH_ALGORITHMS: names an algorithm that is not taken; expected some of ES256"),
        ({"AUTH_LEEWAY_SECONDS": "3600"}, "AUTH_LEEWAY_SECONDS: "),
        ({"AUTH_EXTERNAL_ISSUERS": "https://x"}, "AUTH_EXTERNAL_ISSUERS: is not JSON"),
        (
            {"AUTH_EXTERNAL_ISSUERS": '{"a": "http://id.example.com/"}'},
            "AUTH_EXTERNAL_ISSUERS: holds a URL that cannot",
        ),
    ],
)
def test_settings_that_cannot_be_used_stop_the_start(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str], told: str
) -> None:
    """One line: the variable, what is wrong, what is expected; no key in it."""
    for name, value in (ENVIRONMENT | {"ENV_FILE": ""} | settings).items():
        monkeypatch.setenv(name, value)
    assert FEATURE.setup is not None
    with pytest.raises(SettingsError) as refused:
        FEATURE.setup(State({"settings": load_settings(Settings), "metrics": Metrics("1"), "database": None}))
    assert told in str(refused.value)
    assert '"d"' not in str(refused.value)


@pytest.mark.thorough
def test_production_makes_no_key_by_itself(tmp_path: Path) -> None:
    """Without keys, and without another issuer, nobody could come in: the start says how keys are made."""
    production = {
        "ENVIRONMENT": "production",
        "OPERATIONS_TOKEN": "nine-brass-plumb-bobs",
        "SECURITY_ALLOWED_HOSTS": "*",
    }
    file = tmp_path / "keys.json"
    service = ServiceProcess(tmp_path, AUTH_KEYS="", AUTH_KEYS_FILE=str(file), **production)
    refused = service.run("routes")
    assert refused.returncode == 2
    assert f"AUTH_KEYS_FILE: {file} is not there; expected keys that `python -m app keys new` made" in refused.stderr
    assert service.run("keys", "new").returncode == 0
    assert service.run("routes").returncode == 0
    assert "not made: ENVIRONMENT is production" in service.run("token").stderr


def keys(*arguments: str) -> Any:
    """What `python -m app keys …` does, in this process: a new one takes a second."""
    return CliRunner().invoke(commands, ["keys", *arguments])


def test_commands_walk_through_a_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """new, rotate, retire; what comes too early is refused with the time; the environment is nobody's to change."""
    file = tmp_path / "keys.json"
    for name, value in {"ENV_FILE": "", "AUTH_KEYS": "", "AUTH_KEYS_FILE": str(file)}.items():
        monkeypatch.setenv(name, value)
    assert "no keys: " in keys("list").stderr
    for command, states in [
        (["new"], ["signing"]),
        (["new", "--algorithm", "RS256"], ["signing", "published"]),
        (["rotate", "--now"], ["previous", "signing"]),
        (["retire", "--now"], ["signing"]),
        (["new"], ["signing", "published"]),
        (["new"], ["signing", "published", "published"]),
        (["rotate", "--now"], ["previous", "signing", "published"]),
        (["new", "--instead"], ["signing"]),
    ]:
        done = keys(*command)
        assert done.exit_code == 0, done.stderr
        assert [line.split()[2] for line in done.stdout.splitlines()[1:]] == states
    assert keys("new").exit_code == 0
    early = keys("rotate")
    assert (early.exit_code, "others may not know it before" in early.stderr) == (1, True)
    assert "lists: ES256, Ed25519, RS256" in keys("new", "--algorithm", "HS256").stderr
    for unusable in (b"\xff", KeyRing.of_one("HS256", NOW).dump().encode()):
        file.write_bytes(unusable)
        done = keys("new")
        assert (done.exit_code, len(done.stderr.splitlines())) == (1, 1), done.stderr
        assert file.read_bytes() == unusable
    monkeypatch.setenv("AUTH_KEYS", ENVIRONMENT["AUTH_KEYS"])
    given = keys("new")
    assert (given.exit_code, "AUTH_KEYS holds the keys" in given.stderr) == (2, True)


def test_no_good_token_is_refused_while_keys_change(tmp_path: Path) -> None:
    """New keys are published, sign and retire under load: every token that was given out is taken until its end."""
    file = tmp_path / "keys.json"
    settings = {"AUTH_KEYS": "", "AUTH_KEYS_FILE": str(file), "AUTH_JWKS_CACHE_SECONDS": "10"}
    with ServiceProcess(tmp_path, **settings) as service:
        stop, seen = Event(), []
        asking = [Thread(target=_ask, args=(service, stop, seen)) for _ in range(2)]
        for thread in asking:
            thread.start()
        kids = {KeyRing.parse(file.read_text(encoding="utf-8")).signing.kid}
        while len(seen) < ROUNDS or len(kids & {kid for _, kid in seen}) < 3:
            with changing(file) as ring:
                assert ring is not None
                write(file, ring.with_new("ES256", now()).rotated(now(), 0))
            kids.add(newest := KeyRing.parse(file.read_text(encoding="utf-8")).signing.kid)
            until = time.monotonic() + 30
            while newest not in {kid for _, kid in list(seen)[-50:]} and time.monotonic() < until:
                time.sleep(0.01)  # until a token of the new key was asked with
        stop.set()
        for thread in asking:
            thread.join()
    assert [status for status, _ in seen if status != 200] == []


def _ask(service: ServiceProcess, stop: Event, seen: list[tuple[int, str]]) -> None:
    """Log in now and then, and ask with every token of the last minutes."""
    client = service.client()
    tokens: list[str] = []
    while not stop.is_set():
        tokens = [*tokens[-20:], client.request("POST", "/-probe/token").data["token"]]
        for one in tokens:
            answer = client.request("GET", "/-probe/known", headers={"Authorization": f"Bearer {one}"})
            kid = str(jws.extract_compact(one.encode()).headers()["kid"])
            seen.append((answer.status, kid))


def test_retired_key_opens_no_door(tmp_path: Path) -> None:
    """Within a second its tokens are refused, those that were remembered too."""
    file = tmp_path / "keys.json"
    with ServiceProcess(tmp_path, AUTH_KEYS="", AUTH_KEYS_FILE=str(file)) as service:
        client = service.client()
        old = client.request("POST", "/-probe/token").data["token"]
        headers = {"Authorization": f"Bearer {old}"}
        assert client.request("GET", "/-probe/known", headers=headers).status == 200
        with changing(file) as ring:
            assert ring is not None
            write(file, ring.with_new("ES256", now()).rotated(now(), 0).without(None, now(), 0))
        until = time.monotonic() + 30
        while client.request("GET", "/-probe/known", headers=headers).status != 401:
            assert time.monotonic() < until, "still let in"
        assert [key["kid"] for key in client.request("GET", "/.well-known/jwks.json", check=False).json["keys"]] == [
            KeyRing.parse(file.read_text(encoding="utf-8")).signing.kid
        ]


def test_published_keys_may_be_kept_and_are_public(client: Client) -> None:
    """Media type and lifetime as clients of RFC 7517 want them; nothing private in it."""
    answer = client.request("GET", "/.well-known/jwks.json", check=False)
    assert answer.headers["content-type"] == "application/jwk-set+json"
    assert answer.headers["cache-control"] == "public, max-age=600"
    assert [set(key) for key in answer.json["keys"]] == [{"kty", "crv", "x", "y", "kid", "alg", "use"}]
