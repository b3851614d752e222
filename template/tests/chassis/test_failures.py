"""When the service itself fails: one answer, one line in the log, nothing half done, nothing told."""

import contextlib
import re
import sqlite3
import time
from typing import Any
from urllib.parse import quote

import pytest

from app.chassis.about import project_root
from app.chassis.http.catalogue import catalogue_page
from app.chassis.http.codes import TABLE
from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.client import raw_exchange
from app.chassis.testing.probes import SECRET


def test_unknown_error_is_internal_and_told_once(service: ServiceProcess, client: Client) -> None:
    """A route that raises: fixed words on the wire, the trace in the log, once, and without the secret."""
    answer = client.request("GET", "/-probe/raise", headers={"X-Request-ID": "raise-1"})
    assert (answer.status, answer.error["code"], answer.error["detail"]) == (500, "internal", None)
    assert answer.error["retryable"] is True
    assert SECRET.encode() not in answer.body
    service.client().request("GET", "/-probe/hello", headers={"X-Request-ID": "raise-2"})
    _wait_for_request(service, "raise-2")
    lines = [line for line in service.lines if line.get("request_id") == "raise-1"]
    assert [line["event"] for line in lines] == ["unhandled error", "request"]
    assert "RuntimeError" in lines[0]["trace"]
    assert SECRET not in str(service.lines)


def _wait_for_request(service: ServiceProcess, request_id: str) -> dict[str, Any]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = [line for line in service.lines if line.get("request_id") == request_id]
        if any(line["event"] == "request" for line in found):
            return found[0]
        time.sleep(0.01)
    raise AssertionError(f"no line for {request_id}")


def test_unsafe_request_that_failed_is_not_retryable(client: Client) -> None:
    """A POST may have done something before it failed, unless its route takes a key and got one."""
    keyed = {"Idempotency-Key": "k1"}
    assert client.request("POST", "/-probe/raise").error["retryable"] is False
    assert client.request("POST", "/-probe/raise", headers=keyed).error["retryable"] is False
    assert client.request("POST", "/-probe/keyed?fails=true").error["retryable"] is False
    assert client.request("POST", "/-probe/keyed?fails=true", headers=keyed).error["retryable"] is True


@pytest.mark.parametrize(
    "statement", ["SELEC 1", "INSERT INTO nowhere VALUES (1)", "CREATE TABLE by_read (id INTEGER)"]
)
def test_wrong_statement_is_our_mistake(service: ServiceProcess, client: Client, statement: str) -> None:
    """Bad SQL, or a write by a reading route, is no outage that passes by itself: 500, with its trace."""
    name = f"sql-{abs(hash(statement))}"
    answer = client.request("GET", f"/-probe/sql?statement={quote(statement)}", headers={"X-Request-ID": name})
    assert (answer.status, answer.error["code"]) == (500, "internal")
    line = _wait_for_request(service, name)
    assert "OperationalError" in line["trace"]


def test_locked_database_is_503_and_comes_back(service: ServiceProcess, client: Client) -> None:
    """Another program that holds the write lock is an outage: try again, and the log says why."""
    with contextlib.closing(sqlite3.connect(service.folder / "test.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        answer = client.request("POST", "/-probe/commit", headers={"X-Request-ID": "locked-1"})
        assert (answer.status, answer.error["code"], answer.error["retryable"]) == (503, "unavailable", True)
        assert "database is locked" in _wait_for_request(service, "locked-1")["trace"]
        other.execute("ROLLBACK")
    assert client.request("GET", "/-probe/tables").status == 200


def test_failed_request_saves_nothing(client: Client) -> None:
    """What a route wrote before it raised is rolled back."""
    assert client.request("POST", "/-probe/raise").status == 500
    assert "probe_rolled_back" not in client.request("GET", "/-probe/tables").data


def test_failing_commit_is_the_answer(client: Client) -> None:
    """The commit comes before the answer: a constraint that is looked at only then is told, nothing is saved."""
    answer = client.request("POST", "/-probe/commit")
    assert (answer.status, answer.error["code"]) == (409, "conflict")
    assert "probe_child" not in client.request("GET", "/-probe/tables").data


def test_answer_of_the_wrong_shape_is_500(client: Client) -> None:
    """An answer that breaks the contract is not sent."""
    answer = client.request("GET", "/-probe/shape")
    assert (answer.status, answer.error["code"]) == (500, "internal")
    assert SECRET.encode() not in answer.body


def test_error_made_by_hand_gets_the_envelope(client: Client) -> None:
    """A route that returns an error response keeps its status and loses its own shape."""
    answer = client.request("GET", "/-probe/by-hand")
    assert (answer.headers["retry-after"], answer.error["retry_after"]) == ("7", 7)
    assert (answer.status, answer.error["status"]) == (418, 418)
    assert SECRET.encode() not in answer.body


def test_unavailable_says_when_to_come_back(client: Client) -> None:
    """Header and body agree."""
    answer = client.request("GET", "/-probe/unavailable")
    assert (answer.status, answer.headers["retry-after"], answer.error["retry_after"]) == (503, "7", 7)


@pytest.mark.parametrize(("fails", "ending"), [("false", b"0\r\n\r\n"), ("true", b"2\n\r\n")])
def test_stream_that_fails_is_visibly_cut(service: ServiceProcess, fails: str, ending: bytes) -> None:
    """A stream that breaks lacks its last chunk, so no client takes it for whole."""
    request = f"GET /-probe/stream?fails={fails} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = raw_exchange(service.url, request.encode())
    assert answer.startswith(b"HTTP/1.1 200")
    assert answer.endswith(ending)


def test_no_text_of_an_error_is_html_or_plain(service: ServiceProcess) -> None:
    """Nothing the server says by itself escapes the envelope."""
    for path in (b"/nope", b"/-probe/raise", b"/-probe/query?number=x"):
        answer = raw_exchange(service.url, b"GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n" % path)
        assert re.search(rb"content-type: application/json\r\n", answer)


@pytest.mark.parametrize(("path", "status"), [("/-probe/raise", 500), ("/no-such-path", 404), ("/-probe/by-hand", 418)])
def test_error_is_a_problem_document_for_who_accepts_one(client: Client, path: str, status: int) -> None:
    """`Accept: application/problem+json` gets the same members, unwrapped (RFC 9457)."""
    usual = client.request("GET", path)
    problem = client.request("GET", path, headers={"Accept": "application/problem+json, application/json"})
    assert (problem.status, problem.headers["content-type"]) == (status, "application/problem+json")
    members = problem.json
    assert members.pop("request_id") == problem.headers["x-request-id"]
    assert members.pop("api_version") == usual.json["meta"]["api_version"]
    assert members == usual.error


def test_type_of_an_error_leads_to_its_meaning(client: Client) -> None:
    """`type` is a path of the service, which says what the code means and whether to try again."""
    error = client.request("GET", "/no-such-path").error
    meaning = client.request("GET", error["type"]).data
    assert (meaning["code"], meaning["status"], meaning["title"]) == (error["code"], error["status"], error["title"])
    assert client.request("GET", "/errors/no_such_code").status == 404


def test_every_code_has_a_meaning(client: Client) -> None:
    """Those of the chassis stand in docs/chassis/errors.md as well; a domain's error class says it in its docstring."""
    listed = {error["code"]: error["meaning"] for error in client.request("GET", "/errors").data}
    assert set(TABLE) <= set(listed)
    assert not [code for code, meaning in listed.items() if not meaning]
    assert catalogue_page() in (project_root() / "docs/chassis/errors.md").read_text(encoding="utf-8")
