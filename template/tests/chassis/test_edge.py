"""What the edge does for every request, whatever the route."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.chassis.testing import Answer, Client, ServiceProcess
from app.chassis.testing.client import raw_exchange


def test_unknown_path_is_404_in_the_envelope(client: Client) -> None:
    """A path nobody serves."""
    answer = client.request("GET", "/no/such/path")
    assert (answer.status, answer.error["code"]) == (404, "route_not_found")


def test_request_id_is_kept_if_sane(client: Client) -> None:
    """A caller's own id comes back in header and body."""
    answer = client.request("GET", "/livez", headers={"X-Request-ID": "order-7.retry_2"})
    assert answer.json["meta"]["request_id"] == "order-7.retry_2"


@pytest.mark.parametrize("given", ["", "a b", "x" * 65, "a;b", '"quoted"', "é", "{}", "a\tb"])
def test_request_id_is_made_if_not_sane(client: Client, given: str) -> None:
    """An id that could break a log line or a header is replaced."""
    answer = client.request("GET", "/livez", headers={"X-Request-ID": given})
    assert re.fullmatch(r"[0-9a-f]{32}", answer.json["meta"]["request_id"])


def test_request_ids_differ(client: Client) -> None:
    """Two requests never share a made id."""
    ids = {client.request("GET", "/livez").json["meta"]["request_id"] for _ in range(50)}
    assert len(ids) == 50


@pytest.mark.parametrize(
    "path", ["/livez", "/-probe/hello", "/no/such/path", "/-probe/raise", "/-probe/query?number=x"]
)
def test_security_headers_are_on_every_answer(client: Client, path: str) -> None:
    """Success and failure carry the same headers."""
    headers = client.request("GET", path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'"
    assert headers["cache-control"] == "no-store"
    assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8000", "127.0.0.1:1", "api.example.com", "a.b.example.com:443"]
)
def test_listed_host_is_served(service: ServiceProcess, host: str) -> None:
    """Listed names, whatever their port or case; `*.` takes subdomains."""
    request = f"GET /-probe/hello HTTP/1.1\r\nHost: {host}\r\n\r\n".encode()
    assert raw_exchange(service.url, request).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    "host",
    ["evil.test", "example.com", "xexample.com", "localhost.evil.test", "localhost:80:80", "[::2]", "", "a@localhost"],
)
def test_forged_host_is_400(service: ServiceProcess, host: str) -> None:
    """A name that is not ours would end up in links and mails."""
    answer = raw_exchange(service.url, f"GET /-probe/hello HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"code":"host_not_allowed"' in answer
    assert not host or host.encode() not in answer


def test_missing_or_doubled_host_is_400(service: ServiceProcess) -> None:
    """RFC 9112 §3.2 wants exactly one."""
    for headers in (b"", b"Host: localhost\r\nHost: localhost\r\n"):
        assert raw_exchange(service.url, b"GET /-probe/hello HTTP/1.1\r\n" + headers + b"\r\n").startswith(
            b"HTTP/1.1 400"
        )


def test_probes_ignore_the_host(service: ServiceProcess) -> None:
    """An orchestrator asks by address."""
    assert raw_exchange(service.url, b"GET /readyz HTTP/1.1\r\nHost: 10.1.2.3:8000\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_too_long_url_is_414(service: ServiceProcess) -> None:
    """Refused before it is read to its end."""
    answer = raw_exchange(service.url, b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 414")
    assert b'"code":"url_too_long"' in answer
    metrics = service.client().request("GET", "/metrics").body
    assert b'http_request_duration_seconds_count{method="OTHER",route="unmatched",status="414"}' in metrics


@pytest.mark.parametrize("headers", [b"X-Big: " + b"a" * 40_000 + b"\r\n", b"X: y\r\n" * 9_000], ids=["one", "many"])
def test_too_large_headers_are_431(service: ServiceProcess, headers: bytes) -> None:
    """One huge header or thousands of small ones."""
    answer = raw_exchange(service.url, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n" + headers + b"\r\n")
    assert answer.startswith(b"HTTP/1.1 431")
    assert b'"code":"headers_too_large"' in answer


GARBAGE = {
    "words": b"hello there\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\x00" * 50,
    "HTTP/2.0": b"GET /livez HTTP/2.0\r\nHost: localhost\r\n\r\n",
    "HTTP/0.9": b"GET /livez\r\n\r\n",
    "HTTP/3.0": b"GET /livez HTTP/3.0\r\nHost: localhost\r\n\r\n",
    "unknown method": b"BREW /livez HTTP/1.1\r\nHost: localhost\r\n\r\n",
    "space in a name": b"GET /livez HTTP/1.1\r\nHo st: localhost\r\n\r\n",
    "NUL in a value": b"GET /livez HTTP/1.1\r\nHost: local\x00host\r\n\r\n",
    "length and chunks": (
        b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    ),
    "two lengths": b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\n1234",
    "negative length": b"POST /livez HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
    "bad chunk": b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n",
    "CONNECT": b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE)
def test_garbage_is_400_in_the_envelope(service: ServiceProcess, data: bytes) -> None:
    """What the parser cannot read is answered like everything else, and the connection ends."""
    answer = raw_exchange(service.url, data)
    assert re.match(rb"HTTP/1\.1 4\d\d ", answer), answer[:100]
    assert b'{"error":{"type":"/errors/' in answer
    assert b'"expected":null' not in answer
    assert b"connection: close" in answer.lower()
    for header in (b"x-content-type-options: nosniff", b"content-security-policy: ", b"cache-control: no-store"):
        assert header in answer


STALLED = {
    "silent": b"",
    "in its headers": b"GET /livez HTTP/1.1\r\nHost: loc",
    "between two headers": b"GET /livez HTTP/1.1\r\nHost: localhost\r\n",
    "in its body": b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 10\r\n\r\n{",
}


def test_client_that_stops_in_the_middle_is_408(service: ServiceProcess) -> None:
    """Wherever it stops, it is told so, and the connection ends: nobody holds one for ever."""
    with ThreadPoolExecutor(len(STALLED)) as pool:
        answers = dict(
            zip(STALLED, pool.map(lambda sent: raw_exchange(service.url, sent), STALLED.values()), strict=True)
        )
    for where, answer in answers.items():
        assert answer.startswith(b"HTTP/1.1 408"), (where, answer[:100])
        assert b"connection: close" in answer.lower()
        assert b'"retryable":true' in answer


def test_nul_in_url_is_400(client: Client) -> None:
    """No database and no file name can hold it."""
    assert client.request("GET", "/-probe/query?text=a%00b").error["code"] == "url_invalid"


@pytest.mark.parametrize(
    "query", ["number=x", "number=1.5", "number=9223372036854775808", f"number={10**30}", "number=%ff"]
)
def test_wrong_query_is_422(client: Client, query: str) -> None:
    """A parameter that is not what it should be is named."""
    problem = client.request("GET", f"/-probe/query?{query}").error["fields"][0]
    assert (problem["in"], problem["pointer"]) == ("query", "/number")


def test_head_is_get_without_a_body(service: ServiceProcess, client: Client) -> None:
    """RFC 9110 §9.3.2: same status and headers."""
    got = client.request("GET", "/-probe/hello")
    head = raw_exchange(service.url, b"HEAD /-probe/hello HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200")
    assert head.endswith(b"\r\n\r\n")
    assert f"content-length: {got.headers['content-length']}".encode() in head


def test_upgrade_is_answered_as_a_plain_request(service: ServiceProcess) -> None:
    """There are no websockets here; an upgrade is an offer that may be ignored."""
    request = (
        b"GET /no/socket HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
        b"Sec-WebSocket-Key: dGhlIHNhbXBsZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
    )
    answer = raw_exchange(service.url, request)
    assert answer.startswith(b"HTTP/1.1 404")
    assert b'"code":"route_not_found"' in answer


def test_connection_survives_every_refusal(service: ServiceProcess) -> None:
    """A pooled connection is either kept or announced closed: 404, 405, 422, 500, then 200 on one socket."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        for path, status in [("/nope", 404), ("/-probe/query?number=x", 422), ("/-probe/raise", 500), ("/livez", 200)]:
            connection.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            received = b""
            while b"\r\n\r\n" not in received or not received.endswith(b"}}"):
                chunk = connection.recv(65536)
                assert chunk, f"closed without a word before {path}"
                received += chunk
            assert received.startswith(f"HTTP/1.1 {status}".encode())
            assert b"connection: close" not in received.lower()


def test_pipelined_requests_are_answered_in_order(service: ServiceProcess) -> None:
    """RFC 9112 §9.3.2."""
    one = b"GET /-probe/query?text=%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n"
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(one % (b"a", b"") + one % (b"bb", b"") + one % (b"ccc", b"Connection: close\r\n"))
        received = b""
        while chunk := connection.recv(65536):
            received += chunk
    assert re.findall(rb'"length":(\d)', received) == [b"1", b"2", b"3"]


def test_cross_origin_answers_only_listed_origins(client: Client) -> None:
    """A browser of another origin gets nothing to read."""
    listed = client.request("GET", "/livez", headers={"Origin": "https://app.example.com"}).headers
    other = client.request("GET", "/livez", headers={"Origin": "https://evil.test"}).headers
    assert listed["access-control-allow-origin"] == "https://app.example.com"
    assert "access-control-allow-origin" not in other


def test_preflight_names_the_methods_of_the_path(client: Client) -> None:
    """The answer to a preflight is true for that path."""
    asked = {"Origin": "https://app.example.com", "Access-Control-Request-Method": "POST"}
    answer = client.request("OPTIONS", "/-probe/body", headers=asked)
    assert (answer.status, answer.headers["access-control-allow-methods"]) == (204, "POST, OPTIONS")
    assert "Prefer" in answer.headers["access-control-allow-headers"].split(", ")  # for a page that asks the mock


def test_slow_and_too_many_requests_are_refused(service: ServiceProcess, client: Client) -> None:
    """Beyond the limit (8 here) a request is 503 at once; one that takes too long (1.5 seconds here) is 504."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    slow = [socket.create_connection((host, int(port)), timeout=30) for _ in range(8)]
    for path, connection in zip(["deaf", *["slow"] * 7], slow, strict=True):
        connection.sendall(f"GET /-probe/{path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = _wait_for_status(client, 503)
    assert (answer.error["code"], answer.headers["retry-after"], answer.error["retryable"]) == ("overloaded", "1", True)
    assert client.request("GET", "/livez").status == 200
    assert re.search(rb"http_requests_in_flight (8|9)\.0", client.request("GET", "/metrics").body)
    answers = []
    for connection in slow:
        late = b""
        while not late.endswith(b"}}"):
            late += connection.recv(65536)
        answers.append(late)
        connection.close()
    assert b'"data":"late"' in answers.pop(0)  # it swallowed the cancellation
    for late in answers:
        assert late.startswith(b"HTTP/1.1 504")
        assert b'"code":"response_timeout"' in late
        assert b'"retryable":true' in late
    _wait_for_status(client, 200)


def _wait_for_status(client: Client, status: int) -> Answer:
    until = time.monotonic() + 30
    while (answer := client.request("GET", "/-probe/hello")).status != status:
        assert time.monotonic() < until, f"still {answer.status}"
    return answer
