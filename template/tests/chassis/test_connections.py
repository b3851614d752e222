"""One connection, several requests: each gets its own answer, in its turn, whatever stands between them."""

import re
import socket
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from app.chassis.testing import ServiceProcess
from app.chassis.testing.client import raw_exchange

SLOW = b"GET /-probe/slow?seconds=0.1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHUNKED = (
    b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n"
)

AFTER = {
    "a broken body": CHUNKED + b"\r\nZZ\r\n",
    "garbage": b"hello there\r\n\r\n",
    "a too long URL": b"GET /" + b"a" * 9000,
    "too large headers": b"GET / HTTP/1.1\r\nX-Big: " + b"a" * 50_000,
}


@pytest.mark.parametrize("after", AFTER.values(), ids=AFTER)
def test_refusal_never_overtakes_an_answer(service: ServiceProcess, after: bytes) -> None:
    """What cannot be read does not take the place of the answer before it, which says that the connection ends."""
    answer = _until_closed(service, SLOW + after)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b'"done":true' in answer
    assert b"connection: close" in answer.partition(b"\r\n\r\n")[0]


@pytest.mark.parametrize(
    "name", ["X-Api-Version: v9", "Host: evil.test", "Content-Encoding: gzip", "Content-Type: a/b"]
)
def test_trailer_is_no_header(service: ServiceProcess, name: str) -> None:
    """A field after the body changes nothing: a proxy in front has not checked it."""
    request = CHUNKED + b"\r\n2\r\n{}\r\n0\r\n" + name.encode() + b"\r\n\r\n"
    assert raw_exchange(service.url, request).startswith(b"HTTP/1.1 200")


def _send_blank_lines(service: ServiceProcess) -> None:
    # They end the keep-alive time, so the time for headers begins: after it the connection is closed.
    received = _until_closed(service, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200", b"408"]


BODY = b'{"text":"hello"}'
OFFER = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n"
HELLO = b"GET /-probe/hello HTTP/1.1\r\nHost: localhost\r\n%s\r\n"


def _post(body: bytes, headers: bytes = b"") -> bytes:
    head = b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    return head + b"Content-Length: %d\r\n%s\r\n" % (len(body), headers) + body


def test_offer_of_another_protocol_is_ignored(service: ServiceProcess) -> None:
    """What follows such a head is its body and the next request, never lost and never run as a request."""
    whole = _post(BODY, OFFER) + HELLO % OFFER + HELLO % b"Connection: close, upgrade\r\nUpgrade: websocket\r\n"
    head, body = _post(HELLO % b"", OFFER)[: -len(HELLO % b"")], HELLO % b""
    for parts, statuses in (((whole,), [200, 200, 200]), ((head, body + HELLO % b"Connection: close\r\n"), [400, 200])):
        received = _until_closed(service, *parts, is_answered=False)
        assert [int(status) for status in re.findall(rb"HTTP/1\.1 (\d+)", received)] == statuses
    assert b'"text":"hello"' in _until_closed(service, whole)


def test_connect_is_refused(service: ServiceProcess) -> None:
    """We are no tunnel, and what follows would be for one."""
    received = _until_closed(service, b"CONNECT /-probe/hello HTTP/1.1\r\nHost: localhost\r\n\r\n" + HELLO % b"")
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"400"]


def test_body_is_not_counted_as_headers(service: ServiceProcess) -> None:
    """A large body with half of the next head behind it, in one piece; heads that come together are single ones."""
    half, rest = (HELLO % b"Connection: close\r\n")[:30], (HELLO % b"Connection: close\r\n")[30:]
    for first, count in ((_post(BODY + b" " * 60_000), 2), (HELLO % b"" * 900, 901)):
        received = _until_closed(service, first + half, rest, is_answered=False)
        assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200"] * count


def test_client_that_only_stopped_sending_is_answered(service: ServiceProcess) -> None:
    """Half-closed after a whole request: the answer comes, then the connection ends."""
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(SLOW)
        connection.shutdown(socket.SHUT_WR)
        received = b"".join(iter(lambda: connection.recv(65536), b""))
    assert received.startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize(
    ("target", "status"), [(b"http://localhost/-probe/hello", b"200"), (b"http://evil.test/-probe/hello", b"400")]
)
def test_authority_of_the_target_counts(service: ServiceProcess, target: bytes, status: bytes) -> None:
    """Of an absolute target the host is the one that is asked, whatever `Host` says (RFC 9112 §3.2.2)."""
    request = b"GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" % target
    assert _until_closed(service, request).startswith(b"HTTP/1.1 " + status)


def _read_nothing(service: ServiceProcess) -> None:
    # A request whose answer has to wait for such a client holds its place so long and no longer.
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port))) as connection:
        connection.sendall(b"GET /-probe/large HTTP/1.1\r\nHost: localhost\r\n\r\n")
        connection.sendall(HELLO % b"X-Request-ID: behind-it\r\n")
        until = time.monotonic() + 30
        while not any(line.get("request_id") == "behind-it" for line in service.lines):
            assert time.monotonic() < until, "it still waits"
            time.sleep(0.05)


def test_nobody_holds_a_connection(service: ServiceProcess) -> None:
    """Blank lines instead of a request, an answer that is not read: each has its time (1 second here)."""
    with ThreadPoolExecutor() as pool:
        for held in [pool.submit(hold, service) for hold in (_send_blank_lines, _read_nothing)]:
            held.result()


def _until_closed(service: ServiceProcess, *parts: bytes, is_answered: bool = True) -> bytes:
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=4) as connection:
        for part in parts[:-1]:
            connection.sendall(part)
            if is_answered:
                received += connection.recv(65536)
            else:
                time.sleep(0.05)  # so that it arrives in a piece of its own
        connection.sendall(parts[-1])
        while chunk := connection.recv(65536):
            received += chunk
    return received
