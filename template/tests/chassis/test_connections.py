"""One connection, several requests: each gets its own answer, in its turn, whatever stands between them."""

import re
import socket

import pytest

from app.chassis.testing import ServiceProcess
from app.chassis.testing.client import raw_exchange

SLOW = b"GET /-probe/slow?seconds=0.3 HTTP/1.1\r\nHost: localhost\r\n\r\n"
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


def test_blank_lines_do_not_hold_a_connection(service: ServiceProcess) -> None:
    """They end the keep-alive time, so the time for headers begins: after it the connection is closed."""
    received = _until_closed(service, b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\r\n")
    assert re.findall(rb"HTTP/1\.1 (\d+)", received) == [b"200", b"408"]


def _until_closed(service: ServiceProcess, *parts: bytes) -> bytes:
    host, _, port = service.url.removeprefix("http://").rpartition(":")
    received = b""
    with socket.create_connection((host, int(port)), timeout=4) as connection:
        for part in parts[:-1]:
            connection.sendall(part)
            received += connection.recv(65536)
        connection.sendall(parts[-1])
        while chunk := connection.recv(65536):
            received += chunk
    return received
