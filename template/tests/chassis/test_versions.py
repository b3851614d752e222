"""One service, several API versions: path, header or pin lead to one."""

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest
from fastapi import FastAPI

from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.deprecation import Deprecated, DeprecatedVersion
from app.chassis.http.versions import Versions, VersionSunsetError
from app.chassis.observability.metrics import Metrics
from app.chassis.settings import SettingsError
from app.chassis.testing import Client


@pytest.fixture
def newest(contracts: dict[str, Any]) -> str:
    """A served version; a service without any has nothing to test here."""
    return list(contracts)[-1]


def test_path_and_header_lead_to_the_same_place(client: Client, contracts: dict[str, Any]) -> None:
    """`/vN/x` and `/x` with `X-API-Version: vN` (or N) are the same route."""
    for name in contracts:
        by_path = client.request("GET", f"/{name}/no-such-path")
        for value in (name, name[1:], name.upper()):
            by_header = client.request("GET", "/no-such-path", headers={"X-API-Version": value})
            assert by_header.headers.get("x-api-version") == by_path.headers.get("x-api-version") == name
            assert by_header.error == by_path.error


@pytest.mark.parametrize("path", ["/v999/items", "/v9999"])
def test_unknown_version_in_the_path_is_400(client: Client, path: str) -> None:
    """A version nobody has made, and which there are."""
    answer = client.request("GET", path)
    assert (answer.status, answer.error["code"]) == (400, "api_version_unknown")
    assert answer.error["expected"].startswith("one of: ")


@pytest.mark.parametrize("value", ["v999", "0", "latest", "", "v1.1", "v01"])
def test_unknown_version_in_the_header_is_400(client: Client, value: str) -> None:
    """Never the latest by accident."""
    assert client.request("GET", "/x", headers={"X-API-Version": value}).error["code"] == "api_version_unknown"


def test_two_unequal_versions_are_400(client: Client, contracts: dict[str, Any]) -> None:
    """Path and header must not differ."""
    for name in contracts:
        answer = client.request("GET", f"/{name}/x", headers={"X-API-Version": "v999"})
        assert (answer.status, answer.error["code"]) == (400, "api_version_conflict")


def test_no_version_means_the_pinned_one(client: Client, contracts: dict[str, Any]) -> None:
    """Unset, the oldest served answers, so that a new version changes nobody's meaning."""
    answer = client.request("GET", "/no-such-path")
    assert answer.json["meta"]["api_version"] == next(iter(contracts), None)


@pytest.mark.parametrize(
    ("served", "pinned", "path", "code"),
    [
        (["v2", "v3"], None, "/v1/x", "api_version_sunset"),
        (["v1", "v3"], None, "/v2/x", "api_version_sunset"),
        (["v2", "v3"], "v1", "/x", "api_version_sunset"),
        ([], "v1", "/x", "api_version_sunset"),
        (["v2", "v3"], None, "/v4/x", "api_version_unknown"),
    ],
)
def test_version_that_is_gone_is_410(served: list[str], pinned: str | None, path: str, code: str) -> None:
    """Older than the newest and not there, or pinned and not there: it was served once."""
    versions = Versions(dict.fromkeys(served), pinned)  # type: ignore[arg-type]  # no app is reached
    app = FastAPI()
    app.state.guards = ()
    scope = {"type": "http", "app": app, "path": path, "exchange": Exchange("1", "GET")}
    with pytest.raises((VersionSunsetError, CodedHTTPError)) as refused:
        asyncio.run(versions.serve_rest(scope, None, None))  # type: ignore[arg-type]  # neither is reached
    assert refused.value.code == code  # type: ignore[attr-defined]  # both have one
    assert all(name in str(refused.value.expected) for name in served)  # type: ignore[attr-defined]


def test_pin_that_was_never_served_stops_the_start() -> None:
    """It would answer 410 to everybody, and say something untrue."""
    with pytest.raises(SettingsError, match=r"API_DEFAULT_VERSION: .* expected one of: v1, v2"):
        Versions(dict.fromkeys(["v1", "v2"]), "v3")  # type: ignore[arg-type]


def test_deprecated_version_says_so_and_is_counted() -> None:
    """Every answer tells since when, until when and what is next; each caller is named once in the log."""
    deprecated = Deprecated(
        since=datetime(2030, 1, 1, tzinfo=UTC),
        sunset=datetime(2030, 7, 1, 12, tzinfo=UTC),
        link="https://example.com/v2",
    )
    metrics, sent = Metrics("1"), []

    async def app(_scope: Any, _receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 404, "headers": [(b"etag", b"1"), (b"link", b"</x>; rel=next")]}
        )

    async def note(message: Any) -> None:
        sent.append(message)

    version = DeprecatedVersion(app, deprecated.headers("v2"), metrics)
    exchange = Exchange("1", "GET", client="10.0.0.1", api_version="v1")
    for _ in range(2):
        asyncio.run(version({"exchange": exchange}, None, note))  # type: ignore[arg-type]  # it receives nothing
    assert sent[0]["headers"][:3] == [
        (b"etag", b"1"),
        (b"deprecation", b"@1893456000"),
        (b"sunset", b"Mon, 01 Jul 2030 12:00:00 GMT"),
    ]
    assert sent[0]["headers"][3][1].split(b", ") == [
        b"</x>; rel=next",
        b'</v2>; rel="successor-version"',
        b'<https://example.com/v2>; rel="deprecation"',
        b'<https://example.com/v2>; rel="sunset"',
    ]
    assert b'api_deprecated_requests_total{api_version="v1"} 2.0' in metrics.render(0, {})


def test_caller_of_a_deprecated_version_is_named_once(caplog: pytest.LogCaptureFixture) -> None:
    """The team learns whom to write to; a busy caller does not fill the log."""

    async def app(*_: Any) -> None:
        pass

    version = DeprecatedVersion(app, [], Metrics("1"))
    for client in ("10.0.0.1", "10.0.0.1", "10.0.0.2"):
        exchange = Exchange("1", "GET", client=client, api_version="v1")
        asyncio.run(version({"exchange": exchange}, None, None))  # type: ignore[arg-type]  # it sends nothing
    assert [record.client for record in caplog.records] == ["10.0.0.1", "10.0.0.2"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("since", "sunset", "problem"),
    [
        (datetime(2030, 1, 1), None, "without a zone"),  # noqa: DTZ001  # the mistake under test
        (datetime(2030, 1, 2, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC), "before its announcement"),
    ],
)
def test_impossible_deprecation_stops_the_start(since: datetime, sunset: datetime | None, problem: str) -> None:
    """RFC 9745: a version does not end before it was announced."""
    with pytest.raises(ValueError, match=problem):
        Deprecated(since=since, sunset=sunset)


def test_contract_says_which_version_it_is(contracts: dict[str, Any]) -> None:
    """Each version has a document of its own."""
    for name, contract in contracts.items():
        assert contract["info"]["version"] == name
        assert contract["servers"] == [{"url": f"/{name}"}]
