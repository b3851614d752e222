"""A small load generator: keep-alive connections over raw sockets, one request under way on each.

It shares the cores with the server, so nothing here reads its own clock: the server's processor time is the figure.
"""

import re
import selectors
import socket

__all__ = ["LoadError", "drive", "request_bytes"]

_CONNECTIONS = 16
_WAIT_SECONDS = 20.0
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)\r\n", re.IGNORECASE)


class LoadError(Exception):
    """The server did not answer as expected, so there is nothing to measure."""


def request_bytes(method: str, path: str, body: bytes = b"") -> bytes:
    """One HTTP/1.1 request as a plain client sends it."""
    head = f"{method} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUser-Agent: bench\r\nAccept: */*\r\n"
    if body:
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode("ascii") + b"\r\n" + body


def drive(port: int, request: bytes, count: int, status: int) -> None:
    """Send a request `count` times over a few connections and read every answer.

    Raises:
        LoadError: an answer with another status, a closed connection, or none in time.
    """
    wanted = b"HTTP/1.1 %d " % status
    with selectors.DefaultSelector() as selector:
        sockets = [socket.create_connection(("127.0.0.1", port), _WAIT_SECONDS) for _ in range(_CONNECTIONS)]
        try:
            for each in sockets:
                each.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                each.setblocking(False)
                selector.register(each, selectors.EVENT_READ, bytearray())
            _exchange(selector, sockets, request, count, wanted)
        finally:
            for each in sockets:
                each.close()


def _exchange(
    selector: selectors.BaseSelector, sockets: list[socket.socket], request: bytes, count: int, wanted: bytes
) -> None:
    sent = done = 0
    for each in sockets[:count]:
        each.send(request)
        sent += 1
    while done < count:
        ready = selector.select(_WAIT_SECONDS)
        if not ready:
            raise LoadError(f"found no answer within {_WAIT_SECONDS:g} seconds")
        for key, _ in ready:
            buffer = key.data
            buffer += _received(key.fileobj)
            if not _is_whole(buffer):
                continue
            if not buffer.startswith(wanted):
                raise LoadError(f"found {bytes(buffer[:200])!r}, expected {wanted!r}")
            buffer.clear()
            done += 1
            if sent < count:
                key.fileobj.send(request)
                sent += 1


def _received(connection: socket.socket) -> bytes:
    data = connection.recv(65_536)
    if not data:
        raise LoadError("the server closed the connection")
    return data


def _is_whole(buffer: bytearray) -> bool:
    head = buffer.find(b"\r\n\r\n")
    if head < 0:
        return False
    length = _LENGTH.search(buffer, 0, head + 4)
    if length is None:
        raise LoadError("found an answer without Content-Length")
    return len(buffer) >= head + 4 + int(length[1])
