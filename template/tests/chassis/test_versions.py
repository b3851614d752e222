"""One service, several API versions: path, header or pin lead to one."""

from typing import Any

import pytest

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


def test_contract_says_which_version_it_is(contracts: dict[str, Any]) -> None:
    """Each version has a document of its own."""
    for name, contract in contracts.items():
        assert contract["info"]["version"] == name
        assert contract["servers"] == [{"url": f"/{name}"}]
