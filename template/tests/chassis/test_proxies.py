"""Whose address a request comes from: the socket's, or what a known number of proxies say."""

import time

import pytest

from app.chassis.security.proxies import client_behind
from app.chassis.testing import Client, ServiceProcess


@pytest.mark.parametrize(
    ("proxies", "forwarded", "expected"),
    [
        (1, [b"192.0.2.1"], "192.0.2.1"),
        (1, [b"6.6.6.6, 192.0.2.1"], "192.0.2.1"),
        (1, [b"6.6.6.6", b" 192.0.2.1 "], "192.0.2.1"),
        (2, [b"6.6.6.6, 192.0.2.1, 10.0.0.2"], "192.0.2.1"),
        (2, [b"192.0.2.1"], "192.0.2.1"),
        (1, [b"192.0.2.1:4711"], "192.0.2.1"),
        (1, [b"[2001:db8::1]:4711"], "2001:db8::1"),
        (1, [b"2001:DB8:0::1"], "2001:db8::1"),
        (1, [], "10.0.0.9"),
        (1, [b""], "10.0.0.9"),
        (1, [b"192.0.2.1, unknown"], "10.0.0.9"),
        (1, [b"192.0.2.1, 999.1.1.1"], "10.0.0.9"),
        (1, [b"fe80::1%eth0"], "10.0.0.9"),
        (1, [b"\xff\xfe"], "10.0.0.9"),
    ],
)
def test_only_what_trusted_proxies_wrote_is_believed(proxies: int, forwarded: list[bytes], expected: str) -> None:
    """What stands before it anybody may have sent; what is no address counts as the peer."""
    assert client_behind(proxies, forwarded, "10.0.0.9") == expected


def test_log_has_the_address_behind_the_proxy(service: ServiceProcess, client: Client) -> None:
    """The suite's service is behind one proxy; without a word of it the peer is the client."""
    for path, headers, expected in (
        ("/-probe/behind", {"X-Forwarded-For": "6.6.6.6, 192.0.2.77"}, "192.0.2.77"),
        ("/-probe/direct-peer", {}, "127.0.0.1"),
    ):
        request_id = client.request("GET", path, headers=headers).headers["x-request-id"]
        lines: list[dict[str, object]] = []
        until = time.monotonic() + 10
        while not lines and time.monotonic() < until:  # a line is written by another thread, after the answer
            lines = [line for line in service.lines if line.get("request_id") == request_id]
            time.sleep(0.01)
        assert lines[0]["client"] == expected
