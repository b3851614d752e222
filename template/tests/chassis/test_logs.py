"""The log: one JSON object a line, the same for every logger, without secrets, never in the way."""

import errno
import json
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.chassis.exchange import Exchange, current_exchange
from app.chassis.observability import log as log_module
from app.chassis.observability import redact as redact_module
from app.chassis.observability.log import configure_logs
from app.chassis.observability.redact import TEXT_LIMIT, redact, redact_text, snapshot
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
    "a cookie": ("text", "Cookie: theme=dark; sid=hunter2hunter2"),
    "a set cookie": ("text", "Set-Cookie: sid=hunter2hunter2; Path=/"),
    "any scheme": ("text", "Authorization: ApiKey hunter2hunter2"),
    "a digest": ("text", 'Proxy-Authorization: Digest username="ada", response="hunter2hunter2"'),
    "headers as text": ("text", str({"authorization": "ApiKey hunter2hunter2", "cookie": "sid=hunter2hunter2"})),
    "raw headers as text": ("text", str([(b"host", b"a"), (b"authorization", b"Digest hunter2hunter2")])),
    "raw headers": ("headers", [(b"host", b"a"), (b"cookie", b"sid=hunter2hunter2")]),
    "bytes": ("body", {b"password": b"hunter2hunter2"}),
    "bytes as text": ("text", "password=b'hunter2hunter2'"),
    "a pair": ("text", "('password', 'hunter2hunter2')"),
    "pairs": ("form", {("password", "hunter2hunter2")}),
    "an escaped quote": ("text", r'{"password": "a\"hunter2hunter2"}'),
    "JSON in JSON": ("text", json.dumps(json.dumps({"password": 'a"hunter2hunter2'}))),
    "a list": ("text", "passwords=['a', 'hunter2hunter2']"),
    "an arrow": ("text", "password => hunter2hunter2"),
    "a password with @": ("text", "postgres://u:a@hunter2hunter2@h/x"),
    "a password with /": ("text", "postgres://u:a/hunter2hunter2@h/x"),
    "half a token": ("text", "eyJhbGciOiJub25lIn0hunter2hunter2"),
    "half a quoted value": ("text", 'password="a hunter2hunter2'),
    "what pydantic was given": ("text", "[type=int_parsing, input_value='hunter2hunter2', input_type=str]"),
    "what FastAPI was given": (
        "text",
        str({"type": "a", "loc": ("b",), "msg": "it's c", "input": {"d": "hunter2hunter2"}}),
    ),
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


NAMES = (
    "password", "PGPASSWORD", "password2", "passphrase", "client_secret", "aws_secret_access_key", "access_token",
    "apiKey", "X-Api-Key", "access_key", "private_key", "credential", "session_id", "sessionid", "authorization",
    "cookie", "pwd", "db.pwd", "pin", "pin_code", "userPin", "userPIN", "otp", "x-auth", "jwt", "cvv",
)  # fmt: skip
READABLE = (
    "author", "AUTHOR", "authority", "authorized", "spinning", "SPINNING", "mapping", "opinion", "hotpot",
    "token_count", "tokenCount", "token_type", "tokenizer", "secretary", "password_changed_at", "cookie_name", "key",
    "session",
)  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_secret_name_is_one_in_members_and_in_texts(name: str) -> None:
    """A name that hides a member hides what a text says it is, however the text is written."""
    assert redact(snapshot({name: "hunter2", name.encode(): 1234})) == {name: "[hidden]"}
    for text in (f"{name}=hunter2 ", f"{name}: hunter2", f"{{'{name}': 'hunter2'}}", f'"{name}" : "hunter2"'):
        assert "hunter2" not in redact_text(text)


@pytest.mark.parametrize("name", READABLE)
def test_harmless_name_stays_readable(name: str) -> None:
    """Words that hold a secret word, and names of what is only counted or measured."""
    event = {name: "north", "text": f"{name}=north, {{'{name}': 'north'}}"}
    assert redact(snapshot(event)) == event


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


def test_pydantic_error_says_what_is_wrong_not_what_was_given(log: Log) -> None:
    """In a trace as in a message: type and place of the mistake are shown, the value is not."""
    with pytest.raises(ValidationError) as caught:
        TypeAdapter(dict[str, int]).validate_python({"password": "hunter2, input_type=hunter2"})
    logging.getLogger("a").error("refused %s", caught.value, exc_info=caught.value)
    line = log.lines()[0]
    assert "hunter2" not in json.dumps(line)
    assert "int_parsing" in line["event"]
    assert "int_parsing" in line["trace"]


def test_response_error_does_not_tell_the_response(service: ServiceProcess) -> None:
    """The trace of an answer that does not fit its model names the field, never what stood in it."""
    service.client().request("GET", "/-probe/shape", headers={"X-Request-ID": "shape-1"})
    trace = next(line["trace"] for line in _settled(service, "shape-1") if "trace" in line)
    assert "'number'" in trace
    assert "a-planted-secret" not in trace


RUNS = (
    "x-", "a.", "a=", "a", "-", "_", " ", "\n", "\\", '"', "'", "@", "://", "://a:", "a://a:b/", "eyJ-",
    "eyJaaaaaaaaaa.", "token", "token-", "token  ", "Bearer ", 'password="', 'password=\\"', "password=(", "Cookie:",
    "('pin", "('token','", "input_value=", "'msg': '", "-----BEGIN A", "-----BEGIN PRIVATE KEY-----", "userPin",
    "AKIA", "ghp_",
)  # fmt: skip


@pytest.mark.parametrize("run", RUNS)
def test_long_text_is_redacted_in_linear_time(run: str) -> None:
    """Whatever repeats in it: a search that is quadratic anywhere would take minutes here, and block the service."""
    for text in (run * (100_000 // len(run)), f"password='://a:{run * (100_000 // len(run))}\n!"):
        for pattern in redact_module._PATTERNS:
            pattern.sub("", text)
    assert len(redact_text(run * 1_000_000)) <= 10 * TEXT_LIMIT


def test_query_that_failed_is_named(log: Log) -> None:
    """The function of a domain, from the traces of the error and of what caused it; none where no query failed."""
    module: dict[str, Any] = {"__name__": "app.domains.things.queries"}
    exec("def oldest():\n    return 1 / 0\n", module)  # noqa: S102  # a module of a team
    for failing in (module["oldest"], [].pop):
        try:
            try:
                failing()
            except ArithmeticError as error:
                raise RuntimeError("told otherwise") from error
        except (RuntimeError, IndexError):
            logging.getLogger("a").exception("failed")
    assert [line.get("query") for line in log.lines()] == ["things.oldest", None]


def test_long_text_and_long_line_are_cut(log: Log) -> None:
    """A secret that the cut goes through is not shown, and many members do not make an endless line."""
    filler = "word " * (TEXT_LIMIT // 5 - 2)
    logging.getLogger("a").info("%s", f"{filler}postgres://me:hunter2@db/x" + "." * 1_000_000)
    logging.getLogger("a").info("many", extra={f"member_{number}": filler for number in range(20)})
    long, many = log.lines()
    assert long["event"].endswith(" [cut]")
    assert "hunter2" not in long["event"]
    assert (many["event"], many["cut_bytes"] > 20 * len(filler), "member_1" in many) == ("many", True, False)


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


class Mute:
    """Has no text."""

    def __str__(self) -> str:
        raise LookupError("no text")


class Closed(dict[str, Any]):
    """Cannot be read."""

    def keys(self) -> Any:
        """Refuse."""
        raise OSError("closed")


STRANGE: dict[str, Callable[[logging.Logger], None]] = {
    "argument without text": lambda log: log.error("said %s", Mute()),
    "message without text": lambda log: log.error(Mute()),
    "member without text": lambda log: log.error("said", extra={"thing": Mute()}),
    "name without text": lambda log: log.error({"event": "said", Mute(): 1}),
    "mapping without the name": lambda log: log.error("said %(a)s", {"b": 1}),
    "arguments that do not fit": lambda log: log.error("said %s %s", *[1]),
    "number as a name": lambda log: log.error({"event": "said", 1: 2}),
    "number as an extra name": lambda log: log.error("said", extra={1: 2}),  # type: ignore[dict-item]
    "empty name": lambda log: log.error("said", extra={"": 1}),
    "tuple as a message": lambda log: log.error(("said", "it"), "more"),
    "bytes that are no text": lambda log: log.error("said", extra={"thing": {b"\xff": b"\xff"}}),
    "mapping that cannot be read": lambda log: log.error(Closed(event="said")),
    "trace without text": lambda log: log.error("said", exc_info=LookupError(Mute())),
    "trace that is none": lambda log: log.error("said", exc_info=(1, 2, 3)),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("call", STRANGE.values(), ids=STRANGE)
def test_logging_never_raises_and_never_loses_the_event(
    log: Log, call: Callable[[logging.Logger], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is logged: the caller goes on, and one line says at least who wanted to say something."""
    logger = logging.getLogger("strange")
    monkeypatch.setattr(logger, "handlers", logging.getLogger().handlers[:1])
    monkeypatch.setattr(logger, "propagate", False)  # beside ours pytest listens, which does raise
    call(logger)
    (line,) = log.lines()
    assert (line["logger"], line["level"]) == ("strange", "error")
    assert any(word in line["event"] for word in ("said", "without a text", "not readable"))


def test_line_tells_what_was_true_when_it_was_logged(log: Log, monkeypatch: pytest.MonkeyPatch) -> None:
    """The writer's thread hides secrets, not the one that logs; what changes meanwhile does not change the line."""
    redacting: set[str] = set()

    def noted(value: Any) -> Any:
        redacting.add(threading.current_thread().name)
        return redact(value)

    monkeypatch.setattr(log_module, "redact", noted)
    basket = {"items": ["a"]}
    logging.getLogger("a").info("sold %s", basket, extra={"basket": basket})
    basket["items"].append("b")
    basket["more"] = []
    (line,) = log.lines()
    assert (line["event"], line["basket"]) == ("sold {'items': ['a']}", {"items": ["a"]})
    assert redacting == {"log-writer"}


def test_full_disk_costs_only_the_lines_it_refuses(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are counted, and when there is room again the next line stands on a line of its own."""
    file, room = bytearray(), [14]

    def write(_descriptor: int, data: memoryview) -> int:
        taken = bytes(data[: room[0]])
        if not taken:
            raise OSError(errno.ENOSPC, "No space left on device")
        file.extend(taken)
        room[0] -= len(taken)
        return len(taken)

    monkeypatch.setattr(os, "write", write)
    writer = LineWriter(1000)
    for line in (b"line 1\nline 2\nline 3\n", b"line 4\n", b"line 5\n", b"line 6\n"):
        for part in line.splitlines(keepends=True):
            writer.put(part)
        writer.close()
        room[0] = {b"line 4\n": 4, b"line 5\n": 100}.get(line, room[0])
    assert bytes(file) == b"line 1\nline 2\nline\nline 6\n"
    assert writer.dropped == 3


def test_closed_pipe_never_piles_lines_up() -> None:
    """With the reader gone for good each line is counted as dropped and none is kept."""
    reading, writing = os.pipe()
    os.close(reading)
    writer = LineWriter(limit=1000, descriptor=writing)
    for number in range(1, 4):
        writer.put(b"line\n")
        writer.close()
        assert writer.dropped == number
    os.close(writing)


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
