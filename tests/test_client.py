"""`make client`: the package it writes is installed, type-checked and used against the running service."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, share
from serving import run, served
from tools import require, user_environment

PAGE = (ROOT / "template/docs/chassis/contract.md").read_text(encoding="utf-8")

USE = """
import asyncio
import sqlite3
import sys

from example_service_client.api.items import create_item, delete_item, list_items, read_item, replace_item
from example_service_client.connect import ServiceError, connect
from example_service_client.models import ItemIn, ItemOutEnvelope
from patiently import patiently

url, database, token = sys.argv[1:]
client = connect(url, token=token)
bob = ItemIn(name="Brass plumb bob", contact_email="ada@example.com", quantity=12)


def made() -> ItemOutEnvelope:
    answer = create_item.sync(client=client, body=bob)
    assert answer is not None
    return answer


def refused(status: int, code: str) -> ServiceError:
    error = sys.exc_info()[1]
    assert isinstance(error, ServiceError), error
    assert (error.status, error.code, error.retryable) == (status, code, status == 503), error
    assert error.request_id is not None and len(error.request_id) == 32
    return error


item = made().data
assert (item.id, item.quantity, item.note, item.created_at.year > 2000) == (1, 12, None, True)

calls = 0


def counted() -> ItemOutEnvelope:
    global calls
    calls += 1
    return made()


try:
    patiently(counted)
except ServiceError:
    refused(409, "item_name_taken")
assert calls == 1, "what is not retryable is not tried again"

try:
    create_item.sync(client=client, body=ItemIn(name="ab", contact_email="ada"))
except ServiceError:
    fields = refused(422, "validation_failed").fields
    assert [(one.place, one.pointer, one.code) for one in fields] == [
        ("body", "/name", "string_too_short"),
        ("body", "/contact_email", "email"),
    ]
    assert fields[0].expected == "at least 3 characters"

# Somebody else holds the write lock for the first call; the service says when to come back, and then it works.
other = sqlite3.connect(database, isolation_level=None)
other.execute("BEGIN IMMEDIATE")
bob.name, calls = "Steel plumb bob", 0


def locked_once() -> ItemOutEnvelope:
    try:
        return counted()
    except ServiceError:
        assert refused(503, "unavailable").retry_after == 1
        other.rollback()
        raise


assert patiently(locked_once).data.id == 2
assert calls == 2

read = read_item.sync(1, client=client)
assert read is not None and read.data == item
page = list_items.sync(client=client, limit=1)
assert page is not None and (page.meta.page.total, [one.id for one in page.data]) == (2, [2])
try:
    replace_item.sync(1, client=client, body=bob, if_match='"99"')
except ServiceError:
    refused(412, "item_changed")
delete_item.sync_detailed(1, client=client, if_match="*")


async def later() -> None:
    try:
        await read_item.asyncio(1, client=client)
    except ServiceError:
        refused(404, "item_not_found")
        print("all said")


asyncio.run(later())
"""

STRANGE = """
import http.server
import threading

from example_service_client.api.items import list_items
from example_service_client.connect import ServiceError, connect


class Proxy(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(502)
        self.end_headers()
        self.wfile.write(b"<html>bad gateway</html>")

    def log_message(self, *_: object) -> None:
        pass


server = http.server.HTTPServer(("127.0.0.1", 0), Proxy)
threading.Thread(target=server.serve_forever, daemon=True).start()
try:
    list_items.sync(client=connect(f"http://127.0.0.1:{server.server_port}"))
except ServiceError as error:
    assert (error.status, error.code, error.retryable) == (502, "not_from_service", False)
    assert "bad gateway" in str(error)
    print("told")
"""


@pytest.fixture(scope="module")
def service(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated service with a client beside its code."""
    folder = share(installed, tmp_path_factory.mktemp("client") / "a service")
    run(folder, "make", "migrate")
    assert run(folder, "make", "client").startswith("wrote client: package example_service_client, ")
    return folder


@pytest.fixture(scope="module")
def python(service: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Return a Python of its own with the client installed as a user does, and mypy."""
    folder = tmp_path_factory.mktemp("user")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    python = str(folder / "venv/bin/python")
    run(service, require("uv"), "pip", "install", "--quiet", "--python", python, "./client", "mypy")
    block = next(block for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL) if "def patiently" in block)
    (folder / "patiently.py").write_text(block)
    (folder / "use.py").write_text(USE)
    (folder / "strange.py").write_text(STRANGE)
    return python


def test_client_works_as_documented(service: Path, python: str) -> None:
    """Calls are typed, failures raise what a caller must know, and the page's retry loop obeys it."""
    folder = Path(python).parents[2]
    with served(service, DATABASE_BUSY_TIMEOUT_SECONDS="0.2") as address:
        said = run(
            folder,
            python,
            "use.py",
            f"http://{address}",
            str(service / "var/app.db"),
            run(service, "make", "-s", "token").strip(),
        )
    assert said == "all said\n"


def test_answer_of_a_stranger_is_told(python: str) -> None:
    """What a proxy says in the service's place is an error too, never one to repeat."""
    assert run(Path(python).parents[2], python, "strange.py") == "told\n"


def test_client_is_typed(python: str) -> None:
    """A type checker, strict, finds nothing in code that uses it."""
    folder = Path(python).parents[2]
    run(folder, python, "-m", "mypy", "--strict", "use.py", "patiently.py", "strange.py")


def test_client_never_replaces_what_is_no_client(service: Path) -> None:
    """A folder with other files stays as it is; a version that is not served is told."""
    (service / "mine").mkdir()
    (service / "mine/notes.txt").write_text("mine")
    for arguments, told in (
        (("--to", "mine"), "mine: found something else; expected a new folder, or one of `make client`"),
        (("--version", "v7"), "no API version v7; expected one of: v1"),
    ):
        command = [".venv/bin/python", "-m", "app", "contract", "client", *arguments]
        environment = user_environment(PYTHONPATH="src")
        done = subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (2, f"not done: {told}\n")
    assert [path.name for path in (service / "mine").iterdir()] == ["notes.txt"]


def test_client_leaves_the_checks_of_the_service_alone(service: Path) -> None:
    """Generated code is not linted; `make check` stays green beside it, and git sees nothing of it."""
    run(service, "make", "check")
    run(service, "git", "init", "--quiet")
    assert " client/" not in run(service, "git", "status", "--short", "--untracked-files=all")
