"""Measures where a stock FastAPI app leaks and what a rendered service does: `python tests/leaks.py SERVICE_FOLDER`.

Starts both on free ports of 127.0.0.1, from the service's own environment, and prints one row an input. By hand only.
Reading an answer: status, then its shape; `closed` was announced, `DROPPED` was not. Standard library only.
"""

import os
import re
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def request(line: str, body: bytes | None = None, *headers: str, host: str = "localhost") -> bytes:
    """One HTTP/1.1 request; a body is announced as JSON unless the headers say otherwise."""
    rows = [f"{line} HTTP/1.1", f"Host: {host}", *headers]
    said = " ".join(headers).lower()
    if body is not None:
        rows += ["Content-Type: application/json"] * ("-type:" not in said)
        rows += [f"Content-Length: {len(body)}"] * ("-length:" not in said)
    return "\r\n".join((*rows, "", "")).encode("latin-1") + (body or b"")


POST = "POST /-probe/body"
ITEM = b'{"name":"Brass plumb bob","contact_email":"ada@example.com"}'
NUL = b'{"name":"a\\u0000bcd","contact_email":"ada@example.com"}'
GET = request("GET /-probe/hello")
SOCKET = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZQ=="
INPUTS: list[tuple[str, str, bytes]] = [
    ("a", "a route that raises, then another request on the connection", request("GET /-probe/raise") + GET),
    ("b", "a commit that fails", request("POST /-probe/commit")),
    ("c", "DELETE on a path that has GET and POST", request("DELETE /v1/items")),
    ("c", "HEAD on a GET route", request("HEAD /-probe/hello")),
    ("c", "OPTIONS", request("OPTIONS /v1/items")),
    ("d", "`NaN` for a whole number", request(POST, b'{"number":NaN}')),
    ("d", "`1e400` for a whole number", request(POST, b'{"number":1e400}')),
    ("e", "`NaN` for a number", request(POST, b'{"ratio":NaN}')),
    ("e", "a lone surrogate in a text", request(POST, b'{"text":"\\ud800"}')),
    ("e", "NUL in a text", request(POST, b'{"text":"ab\\u0000"}')),
    ("e", "10^30 for a whole number", request(POST, b'{"number":1%s}' % (b"0" * 30))),
    ("e", "`true` for a whole number", request(POST, b'{"number":true}')),
    ("e", "a member twice", request(POST, b'{"number":1,"number":2}')),
    ("e", "a body in UTF-16", request(POST, '{"number":1}'.encode("utf-16"))),
    ("f", "broken JSON", request(POST, b'{"number":')),
    ("f", "a body that is not UTF-8", request(POST, b'{"text":"\xff\xfe"}')),
    ("f", "10,000 digits", request(POST, b'{"number":%s}' % (b"9" * 10_000))),
    ("f", "JSON 5,000 deep", request(POST, b"[" * 5000 + b"]" * 5000)),
    ("f", "another content type", request(POST, b'{"number":1}', "Content-Type: text/plain")),
    ("f", "a body of 2 MB", request(POST, b" " * 2_000_000)),
    ("f", "a body that stalls (3 s)", request(POST, b"{", "Content-Length: 10")),
    ("f", "headers that stall (3 s)", b"GET /-probe/hello HTTP/1.1\r\nHost: loc"),
    ("f", "a header of 100 kB", request("GET /-probe/hello", None, "X-Big: " + "a" * 100_000)),
    ("f", "a URL of 100 kB", request("GET /-probe/hello?" + "a" * 100_000)),
    ("g", "a forged Host", request("GET /-probe/hello", host="evil.test")),
    ("h", "an unknown method", request("BREW /-probe/hello")),
    ("h", "length and chunks", request(POST, b"0\r\n\r\n", "Content-Length: 5", "Transfer-Encoding: chunked")),
    ("h", "CONNECT", request("CONNECT localhost:80")),
    ("i", "a client that hangs up after sending a new item", request("POST /v1/items", ITEM)),
    ("j", "a stream that fails in the middle", request("GET /-probe/stream?fails=true")),
    ("k", "bytes that are not HTTP", b"hello there\r\n\r\n"),
    ("l", "a websocket", request("GET /no/socket", None, SOCKET)),
    ("m", "a name that is taken", request("POST /v1/items", ITEM)),
    ("m", "NUL in a stored text", request("POST /v1/items", NUL)),
    ("m", "a key of 70 bits", request("GET /v1/items/1000000000000000000000")),
    ("m", "an offset of 10^20", request("GET /v1/items?page=100000000000000000000")),
    ("m", "a limit below zero", request("GET /v1/items?limit=-1")),
    ("m", "an answer of the wrong shape", request("GET /-probe/shape")),
]  # fmt: skip


def talk(port: int, data: bytes, seconds: float = 0.8) -> tuple[bytes, bool]:
    """Everything that comes back until nothing did for some seconds, and whether the connection ended."""
    received = b""
    with socket.create_connection(("127.0.0.1", port), timeout=seconds or 1) as connection:
        try:
            connection.sendall(data)
            while seconds and (chunk := connection.recv(65536)):
                received += chunk
        except OSError as error:
            return received, not isinstance(error, TimeoutError)
        return received, True


def told(received: bytes, *, is_over: bool) -> str:
    """An exchange in a few words, one for each answer in it."""
    words, is_announced = [], False
    for part in re.split(rb"(?=HTTP/1\.1 \d)", received)[1:]:
        head, _, body = part.partition(b"\r\n\r\n")
        head = head.lower()
        is_announced = b"connection: close" in head
        shape = "envelope" if b'"request_id"' in body else "`detail`" if b'{"detail"' in body else "JSON"
        shape = "without body" if not body else shape if b"application/json" in head else "text"
        if b"chunked" in head and not body.endswith(b"0\r\n\r\n"):
            shape, is_announced = "cut off", True
        allow = re.search(rb"allow: ([a-z, ]+)", head)
        words.append(f"{head[9:12].decode()} {shape}" + (f", Allow: {allow[1].decode().upper()}" if allow else ""))
    ending = (", closed" if is_announced else ", DROPPED") if is_over else ""
    return ("; ".join(words) or ("no answer" if is_over else "no answer within the time")) + ending


def ask(port: int, what: str, data: bytes) -> str:
    """The answer to one input in a few words; a client that hangs up gets none, so the next one looks what it did."""
    if "hangs up" in what:
        talk(port, data, 0.0)
        time.sleep(0.5)
        return "saved" if b"Brass" in talk(port, request("GET /v1/items"))[0] else "not saved"
    received, is_over = talk(port, data, 3.0 if "stall" in what else 0.8)
    return told(received, is_over=is_over)


def start(command: list[str], folder: Path, **environment: str) -> tuple[subprocess.Popen[bytes], int]:
    """Start one of the two on a free port and wait until it listens."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = int(server.getsockname()[1])
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, cwd=folder, env=os.environ | environment | {"PORT": str(port)}, **quiet)
    for _ in range(300):
        with socket.socket() as probe:
            if not probe.connect_ex(("127.0.0.1", port)):
                return process, port
        time.sleep(0.1)
    sys.exit("found no server within 30 seconds, expected both to start")


def main(folder: Path) -> None:
    """Ask both everything and print the table."""
    python = str(folder / ".venv/bin/python")
    ours = dict.fromkeys(("SERVER_BODY_TIMEOUT_SECONDS", "SERVER_HEADER_TIMEOUT_SECONDS"), "1")
    ours |= {"PYTHONPATH": "src:.", "ENV_FILE": "", "ENVIRONMENT": "test", "SERVER_DRAIN_SECONDS": "0"}
    with tempfile.TemporaryDirectory() as scratch:
        ours["DATABASE_URL"] = f"sqlite+aiosqlite:///{scratch}/leaks.db"
        servers = [
            start([python, str(Path(__file__).with_name("leaks_stock.py"))], folder),
            start([python, "-m", "app.chassis.testing.serve"], folder, **ours),
        ]
        print("| group | input | stock answer | ours |\n|---|---|---|---|")
        for letter, what, data in INPUTS:
            answers = [ask(port, what, data) for _, port in servers]
            print(f"| {letter} | {what} | {' | '.join(answers)} |", flush=True)
        for process, _ in servers:
            process.terminate()
            process.wait(20)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
