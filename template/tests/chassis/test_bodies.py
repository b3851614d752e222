"""Bodies that are not what they should be: each gets its status, in the envelope, without an echo."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field, ValidationError, create_model

from app.chassis.http import DecimalText, Moment, Schema
from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.client import raw_exchange

PATH = "/-probe/body"
POST = b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
JSON = {"Content-Type": "application/json"}
MARK = "do-not-echo-me"

MALFORMED = {
    "cut off": b'{"text": "' + MARK.encode(),
    "not JSON": MARK.encode(),
    "not UTF-8": b'{"text": "\xff\xfe"}',
    "UTF-16": '{"text": "abc"}'.encode("utf-16"),
    "NaN": b'{"ratio": NaN}',
    "Infinity": b'{"ratio": -Infinity}',
    "lone surrogate": b'{"text": "\\ud800"}',
    "too deep": b"[" * 5000 + b"]" * 5000,
    "10,000 digits": b'{"number": ' + b"9" * 10_000 + b"}",
    "two values": b"{} {}",
    "comment": b"{} // " + MARK.encode(),
    "single quotes": b"{'text': 'abc'}",
    "control character": b'{"text": "a\x01b"}',
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_json_is_400(client: Client, body: bytes) -> None:
    """What is not RFC 8259 JSON in UTF-8 is one error, and nothing of it comes back."""
    answer = client.request("POST", PATH, body=body, headers=JSON)
    assert (answer.status, answer.error["code"]) == (400, "json_malformed")
    assert MARK.encode() not in answer.body


WRONG: dict[str, tuple[Any, str, str]] = {
    "a list": ([], "", "an object"),
    "null": (None, "", "an object"),
    "a text": (MARK, "", "an object"),
    "unknown member": ({MARK: 1}, f"/{MARK}", "only the names this service documents"),
    "bool for int": ({"number": True}, "/number", "a whole number"),
    "text for int": ({"number": "7"}, "/number", "a whole number"),
    "fraction for int": ({"number": 7.5}, "/number", "a whole number"),
    "64-bit overflow": ({"number": 2**63}, "/number", "9223372036854775807 or less"),
    "10^30": ({"number": 10**30}, "/number", "9223372036854775807 or less"),
    "bool for float": ({"ratio": False}, "/ratio", "a number"),
    "1e400": ({"ratio": 1e999}, "/ratio", "a finite number"),
    "int for bool": ({"flag": 1}, "/flag", "true or false"),
    "text for bool": ({"flag": "yes"}, "/flag", "true or false"),
    "NUL": ({"text": "a\0b"}, "/text", "at least"),
    "too long": ({"text": MARK * 9}, "/text", "at most 20 characters"),
    "deep member": ({"nested": [{"a": 1}, {"b": True}]}, "/nested/1/b", "a whole number"),
    "slash in a name": ({"nested": [{"a/b~c": True}]}, "/nested/0/a~1b~0c", "a whole number"),
}


@pytest.mark.parametrize("case", WRONG.values(), ids=WRONG)
def test_wrong_value_is_422_at_its_place(client: Client, case: tuple[Any, str, str]) -> None:
    """JSON of the wrong shape is told field by field, with a JSON pointer and what is expected."""
    value, pointer, expected = case
    body = json.dumps(value).replace("Infinity", "1e999").encode()
    answer = client.request("POST", PATH, body=body, headers=JSON)
    assert (answer.status, answer.error["code"]) == (422, "validation_failed")
    assert answer.error["fields"][0]["pointer"] == pointer
    if expected != "at least":
        assert answer.error["fields"][0]["expected"] == expected
    assert MARK.encode() not in answer.body.replace(f"/{MARK}".encode(), b"")


def test_whole_number_may_be_written_as_fraction(client: Client) -> None:
    """JSON Schema calls 3.0 an integer, so it is one."""
    assert client.request("POST", PATH, body=b'{"number": 3.0}', headers=JSON).data["number"] == 3


def test_unknown_names_come_back_short_and_printable(client: Client) -> None:
    """A member's name is cut to 64 printable characters: it is the caller's, not ours."""
    answer = client.request("POST", PATH, json_body={"é" * 500: 1})
    assert answer.error["fields"][0]["pointer"] == "/" + "?" * 64


def test_many_wrong_members_give_a_small_answer(client: Client) -> None:
    """However wrong the input, the list of problems ends."""
    answer = client.request("POST", PATH, json_body={f"name{number}": 1 for number in range(2000)})
    assert answer.status == 422
    assert len(answer.error["fields"]) == 50
    assert len(answer.body) < 20_000


@pytest.mark.parametrize(
    "content_type", ["text/plain", "application/xml", "multipart/form-data", "json", "text/json", ""]
)
def test_wrong_content_type_is_415(client: Client, content_type: str) -> None:
    """A body that does not say it is JSON is not read as JSON; the answer says what to send."""
    answer = client.request("POST", PATH, body=b"{}", headers={"Content-Type": content_type})
    assert (answer.status, answer.error["expected"]) == (415, "Content-Type: application/json")


@pytest.mark.parametrize(
    "content_type", ["application/json", "Application/JSON; charset=utf-8", "application/merge-patch+json"]
)
def test_json_content_types_are_read(client: Client, content_type: str) -> None:
    """JSON by any of its names is JSON."""
    assert client.request("POST", PATH, body=b"{}", headers={"Content-Type": content_type}).status == 200


def test_missing_content_type_is_415(service: ServiceProcess) -> None:
    """A body without a type is refused."""
    request = b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
    assert b"HTTP/1.1 415" in raw_exchange(service.url, request)


def test_encoded_body_is_415(client: Client) -> None:
    """Compressed bodies are not unpacked: a small one could become a huge one."""
    answer = client.request("POST", PATH, body=b"\x1f\x8b", headers=JSON | {"Content-Encoding": "gzip"})
    assert (answer.status, answer.error["code"]) == (415, "content_encoding_unsupported")


def test_encoded_transfer_is_415(service: ServiceProcess) -> None:
    """The same in the transfer, which nobody unpacks either."""
    head = b"POST /-probe/body HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    request = head + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n"
    assert b"content_encoding_unsupported" in raw_exchange(service.url, request)


def test_missing_body_is_422(client: Client) -> None:
    """No body where one is needed is a missing field, not a crash."""
    answer = client.request("POST", PATH)
    assert (answer.status, answer.error["fields"][0]["code"]) == (422, "missing")


def test_too_large_body_is_413_before_it_is_sent(service: ServiceProcess) -> None:
    """An announced size over the limit is refused without waiting for the body."""
    head = POST + b"Content-Length: 999999999\r\n\r\n"
    answer = raw_exchange(service.url, head)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()
    assert b'"code":"body_too_large"' in answer


def test_too_large_body_is_answered_while_it_is_sent(client: Client) -> None:
    """A client that sends its 300 kB anyway reads a 413, not a reset connection."""
    answer = client.request("POST", PATH, body=b" " * 300_000, headers=JSON)
    assert answer.status == 413


def test_endless_chunked_body_is_413(service: ServiceProcess) -> None:
    """A body without a length is stopped at the limit."""
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = raw_exchange(service.url, head + (b"2000\r\n" + b" " * 0x2000 + b"\r\n") * 12)
    assert answer.startswith(b"HTTP/1.1 413"), answer[:100]


def test_chunked_body_within_the_limit_is_read(service: ServiceProcess) -> None:
    """Chunks are fine as long as they are not too much."""
    head = POST + b"Transfer-Encoding: chunked\r\n\r\n"
    assert raw_exchange(service.url, head + b"1\r\n{\r\n1\r\n}\r\n0\r\n\r\n").startswith(b"HTTP/1.1 200")


def test_expect_continue_is_refused_without_the_body(service: ServiceProcess) -> None:
    """A client that asks first is told no before it sends anything."""
    head = POST + b"Content-Length: 999999\r\nExpect: 100-continue\r\n\r\n"
    answer = raw_exchange(service.url, head)
    assert answer.startswith(b"HTTP/1.1 413"), answer[:100]


def test_client_that_hangs_up_leaves_no_trace(service: ServiceProcess, client: Client) -> None:
    """Half a request and a closed connection are no error of the service; it goes on."""
    head = POST + b"Content-Length: 10\r\n\r\n{"
    raw_exchange(service.url, head, half_close=True, timeout_seconds=2.0)
    assert client.request("GET", "/livez").status == 200
    assert not [line for line in service.lines if line.get("level") == "error" and line.get("path") == PATH]


@pytest.mark.parametrize("name", ["type", "cls", "ref", "config", "default", "metadata", "serialization", "fields"])
def test_member_may_have_any_name(name: str) -> None:
    """A member called as pydantic calls its own things is held to its type like every other, tags of unions too."""
    small = create_model("Small", __base__=Schema, **{name: (int, ...), "kind": (Literal["type"], ...)})
    other = create_model("Other", __base__=Schema, **{name: (str, ...), "kind": (Literal["cls"], ...)})
    both = create_model("Both", __base__=Schema, one=(Annotated[small | other, Field(discriminator="kind")], ...))
    both.model_validate({"one": {name: 1, "kind": "type"}})
    with pytest.raises(ValidationError, match="wrong JSON type"):
        both.model_validate({"one": {name: True, "kind": "type"}})


class Priced(Schema):
    """A decimal and a moment."""

    price: Annotated[Decimal, DecimalText(5, 2)] = Decimal(1)
    rate: Annotated[Decimal, DecimalText(9, 8)] = Decimal(1)
    at: Moment = datetime(2030, 1, 31, tzinfo=UTC)


def test_decimal_is_a_text_both_ways() -> None:
    """With just the places it declares, whatever the row's decimal looks like; the contract has its pattern."""
    body = Priced.model_validate({"price": "007.50"})
    assert (body.price, body.model_dump()["price"]) == (Decimal("7.50"), Decimal("7.50"))
    row = Priced.model_construct(price=Decimal("1E+2"), rate=Decimal("1E-8"), at=datetime(2030, 1, 31, tzinfo=UTC))
    told = json.loads(Priced.model_validate(row, from_attributes=True).model_dump_json())
    assert told == {"price": "100.00", "rate": "0.00000001", "at": "2030-01-31T00:00:00Z"}
    for mode in ("validation", "serialization"):
        declared = Priced.model_json_schema(mode=mode)["properties"]["price"]
        assert (declared["type"], declared["pattern"]) == ("string", r"^[0-9]{1,3}\.[0-9]{2}$")


@pytest.mark.parametrize("value", [1, 1.5, True, "1", "1.5", "1.555", "1000.00", "-1.00", "+1.00", "1e1", "NaN"])
def test_decimal_of_another_form_is_refused(value: Any) -> None:
    """A number of JSON's, another number of places, more digits, signs."""
    with pytest.raises(ValidationError):
        Priced.model_validate({"price": value})


@pytest.mark.parametrize("value", ["2030-01-31T12:00:00", "0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00"])
def test_moment_that_no_column_holds_is_refused(value: str) -> None:
    """Without a zone, or of no year in UTC; any other is in UTC from then on."""
    with pytest.raises(ValidationError):
        Priced.model_validate({"at": value})
    assert str(Priced.model_validate({"at": "2030-01-31T01:00:00+02:00"}).at) == "2030-01-30 23:00:00+00:00"
