"""Mistakes a team can make in its own routes: none leaves the envelope, none ends a connection without a word."""

import pytest

from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.client import raw_exchange


@pytest.mark.parametrize("kind", ["exit", "base", "cancelled"])
def test_what_is_no_exception_is_internal(client: Client, kind: str) -> None:
    """`sys.exit()`, a BaseException, a cancelled task of its own: 500 in the envelope, and the service goes on."""
    answer = client.request("GET", f"/-probe/raise/{kind}")
    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert client.request("GET", "/livez").status == 200


def test_route_that_ignores_its_timeout_still_answers(client: Client) -> None:
    """A route that swallows the cancellation answers late, but answers."""
    assert client.request("GET", "/-probe/deaf").data == "late"


@pytest.mark.parametrize(("raised", "status"), [(200, 500), (99, 500), (600, 500), (418, 418), (599, 599)])
def test_odd_status_is_an_error_in_the_envelope(client: Client, raised: int, status: int) -> None:
    """A success that is raised, or a status HTTP does not know, is internal; any other keeps its status."""
    answer = client.request("GET", f"/-probe/status/{raised}")
    assert (answer.status, answer.error["status"]) == (status, status)


def test_204_has_no_body_whatever_the_route_returned(service: ServiceProcess) -> None:
    """A body after 204 would be read as the beginning of the next answer."""
    one = b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n"
    answers = raw_exchange(service.url, one % b"/-probe/empty" + one % b"/-probe/hello", timeout_seconds=1.0)
    assert answers.startswith(b"HTTP/1.1 204")
    assert b"content-length" not in answers.partition(b"\r\n\r\n")[0]
    assert answers.partition(b"\r\n\r\n")[2].startswith(b"HTTP/1.1 200")


def test_header_from_outside_cannot_split_the_answer(client: Client) -> None:
    """A line break in a header value is never sent, and the caller still gets an answer."""
    assert client.request("GET", "/-probe/header?value=a%0d%0aX-Evil:%20b").error["code"] == "internal"


@pytest.mark.parametrize(("wanted", "status"), [("bytes=999999-", 416), ("nonsense", 400)])
def test_error_of_a_response_class_gets_the_envelope(client: Client, wanted: str, status: int) -> None:
    """What Starlette answers by itself, such as a range a file does not have, is told like every other error."""
    answer = client.request("GET", "/-probe/file", headers={"Range": wanted})
    assert (answer.status, answer.error["status"]) == (status, status)
