"""The log: one JSON object a line, the same for every logger, without secrets, never in the way."""

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.chassis.exchange import Exchange, current_exchange
from app.chassis.observability.log import configure_logs
from app.chassis.observability.redact import redact_text
from app.chassis.observability.settings import LogSettings
from app.chassis.observability.writer import LineWriter
from app.chassis.testing import ServiceProcess


class Log:
    """A configured log that ends in a pipe."""

    def __init__(self) -> None:
        self.reading, self.writing = os.pipe()
        self.writer = LineWriter(1000, self.writing)
        configure_logs(LogSettings(), self.writer)

    def lines(self) -> list[dict[str, Any]]:
        """Everything written so far."""
        self.writer.close()
        os.close(self.writing)
        with os.fdopen(self.reading, "rb") as pipe:
            return [json.loads(line) for line in pipe]


@pytest.fixture
def log() -> Iterator[Log]:
    """Puts pytest's own handlers back afterwards."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Log()
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(capture=False)


def test_every_logger_writes_the_same_line(log: Log) -> None:
    """Ours, a library's and uvicorn's loggers: time, level, logger, event, and the request they belong to."""
    token = current_exchange.set(Exchange("req-1", "GET"))
    logging.getLogger("a").info({"event": "one", "item": 7, "level": "mine"})
    logging.getLogger("b").warning("two %s", "words", extra={"item": 8})
    logging.getLogger("uvicorn.error").error("three")
    current_exchange.reset(token)
    lines = log.lines()
    assert [line["event"] for line in lines] == ["one", "two words", "three"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert {line["request_id"] for line in lines} == {"req-1"}
    assert (lines[0]["item"], lines[0]["level_"], lines[1]["item"]) == (7, "mine", 8)
    assert all(line["time"].endswith("Z") for line in lines)


SECRETS = {
    "by name": ("password", "hunter2hunter2"),
    "by nested name": ("config", {"api_key": "hunter2hunter2"}),
    "a header": ("headers", {"Authorization": "Bearer hunter2hunter2"}),
    "a URL": ("url", "postgresql://me:hunter2hunter2@db/x"),
    "a token": ("text", "eyJhbGciOiJub25lIn0.eyJzdWIiOiJodW50ZXIyIn0.hunter2hunter2"),
    "a bearer": ("text", "sent Bearer hunter2hunter2"),
    "a plain token": ("text", "GET /x?token=hunter2hunter2 failed"),
    "an assignment": ("text", "with client_secret=hunter2hunter2 set"),
    "a JSON text": ("text", '{"password": "hunter2hunter2"}'),
    "a key file": ("text", "-----BEGIN PRIVATE KEY-----\nhunter2hunter2\n-----END PRIVATE KEY-----"),
    "an object": ("thing", Exception("token: Bearer hunter2hunter2")),
}


@pytest.mark.parametrize("secret", SECRETS.values(), ids=SECRETS)
def test_secret_is_hidden(log: Log, secret: tuple[str, Any]) -> None:
    """By the name of a member or by the shape of a text, in an event, in an argument, in a trace."""
    name, value = secret
    logging.getLogger("a").info({"event": "x", name: value})
    logging.getLogger("b").info("x", extra={name: value})
    if isinstance(value, str) and name != "password":
        logging.getLogger("b").info("said %s", value)
        logging.getLogger("b").error("failed", exc_info=ValueError(value))
    lines = log.lines()
    assert len(lines) >= 2
    assert "hunter2hunter2" not in json.dumps(lines)


SHAPES = (
    "Bearer hunter2hunter2",
    "eyJhbGciOiJub25lIn0.eyJzdWIiOiJodW50ZXIyIn0.hunter2hunter2",
    "amqp://me:hunter2hunter2@queue/x",
    "password=hunter2hunter2",
    "AKIAHUNTER2HUNTER2AB",
    "ghp_hunter2hunter2hunter2hunter2hunter2",
    "sk_live_hunter2hunter2hunter2",
    "xoxb-hunter2hunter2",
)
surrounding = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: f"{text} ")


@settings(max_examples=200, deadline=None, database=None)
@given(before=surrounding, secret=st.sampled_from(SHAPES), after=surrounding)
def test_secret_is_hidden_in_any_text(before: str, secret: str, after: str) -> None:
    """Whatever stands around it; and a text without one is left as it is."""
    assert secret not in redact_text(f"{before}{secret} {after}")
    assert redact_text("/v1/items/7") == "/v1/items/7"


def test_ordinary_words_are_not_hidden(log: Log) -> None:
    """Redaction that eats everything helps nobody."""
    event = {"item": "keyboard", "count": 3, "has_token": True, "path": "/v1/items", "note": "basic idea"}
    logging.getLogger("a").info("password reset was asked for", extra=event)
    line = log.lines()[0]
    assert {name: line[name] for name in event} == event
    assert line["event"] == "password reset was asked for"


def test_strange_things_are_still_one_line(log: Log) -> None:
    """Line breaks, lone surrogates, NaN, bytes and objects cannot break the log apart."""
    logging.getLogger("b").warning(
        "a\nb\r\n\u2028 %s", "\ud800", extra={"ratio": float("nan"), "raw": b"\xff", "thing": object()}
    )
    record = logging.LogRecord("b", logging.WARNING, __file__, 1, "%d", ("not a number",), None)
    logging.getLogger().handlers[0].handle(record)
    lines = log.lines()
    assert len(lines) == 2
    assert lines[0]["event"].startswith("a\nb")


def test_slow_reader_never_blocks_and_loss_is_counted() -> None:
    """With nobody reading, a full buffer drops lines and says how many; a waking reader gets the rest whole."""
    reading, writing = os.pipe()
    writer = LineWriter(limit=1000, descriptor=writing)
    line = b"x" * 199 + b"\n"
    done = threading.Event()

    def write() -> None:
        for _ in range(5000):
            writer.put(line)
        done.set()

    threading.Thread(target=write, daemon=True).start()
    assert done.wait(20), "a write waited for the reader"
    assert writer.dropped > 0
    received: list[bytes] = []
    reader = threading.Thread(target=lambda: received.extend(iter(lambda: os.read(reading, 65536), b"")), daemon=True)
    reader.start()
    writer.close(10.0)
    os.close(writing)
    reader.join(10.0)
    os.close(reading)
    whole = b"".join(received)
    assert whole.count(b"\n") + writer.dropped == 5000
    assert set(whole.split(b"\n")) == {line[:-1], b""}


def test_access_line_names_the_template_not_the_query(service: ServiceProcess) -> None:
    """One line a request; a query may hold anything and is not written."""
    client = service.client()
    client.request("GET", "/-probe/query?number=3&text=hunter2", headers={"X-Request-ID": "access-1"})
    line = next(found for found in _settled(service, "access-1") if found["event"] == "request")
    assert line["route"] == "/-probe/query"
    assert (line["method"], line["status"], line["logger"]) == ("GET", 200, "access")
    assert line["duration_ms"] >= 0
    assert "hunter2" not in str(service.lines)


def _settled(service: ServiceProcess, request_id: str) -> list[dict[str, Any]]:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = [line for line in service.lines if line.get("request_id") == request_id]
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError(f"no line for {request_id}")


def test_probe_lines_are_left_out(service: ServiceProcess) -> None:
    """A probe a second would drown the rest."""
    client = service.client()
    client.request("GET", "/livez", headers={"X-Request-ID": "probe-1"})
    client.request("GET", "/-probe/hello", headers={"X-Request-ID": "probe-2"})
    _settled(service, "probe-2")
    assert not [line for line in service.lines if line.get("request_id") == "probe-1"]


def test_service_writes_nothing_but_json_lines(service: ServiceProcess) -> None:
    """From the first line on, whoever wrote it."""
    assert [line for line in service.lines if line.get("is_plain")] == []
