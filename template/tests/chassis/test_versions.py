"""One service, several API versions: path, header or pin lead to one."""

import asyncio
from typing import Any

import pytest

from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.versions import Versions, VersionSunsetError
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
    scope = {"path": path, "exchange": Exchange("1", "GET")}
    with pytest.raises((VersionSunsetError, CodedHTTPError)) as refused:
        asyncio.run(versions.serve_rest(scope, None, None))  # type: ignore[arg-type]  # neither is reached
    assert refused.value.code == code  # type: ignore[attr-defined]  # both have one
    assert all(name in str(refused.value.expected) for name in served)  # type: ignore[attr-defined]


def test_pin_that_was_never_served_stops_the_start() -> None:
    """It would answer 410 to everybody, and say something untrue."""
    with pytest.raises(SettingsError, match=r"API_DEFAULT_VERSION: .* expected one of: v1, v2"):
        Versions(dict.fromkeys(["v1", "v2"]), "v3")  # type: ignore[arg-type]


def test_contract_says_which_version_it_is(contracts: dict[str, Any]) -> None:
    """Each version has a document of its own."""
    for name, contract in contracts.items():
        assert contract["info"]["version"] == name
        assert contract["servers"] == [{"url": f"/{name}"}]
