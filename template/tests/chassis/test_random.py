"""Random requests: whatever comes, one shape goes back, and never a 5xx for it. RANDOM_CASES sends more."""

import os
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.chassis.testing import Client

CASES = int(os.environ.get("RANDOM_CASES", "100"))

texts = st.text(max_size=30)
values: Any = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
fields = st.fixed_dictionaries(
    {}, optional=dict.fromkeys(("text", "number", "ratio", "flag", "email", "nested"), values)
)
random_run = settings(
    max_examples=CASES, deadline=None, database=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@random_run
@given(body=fields | values)
def test_any_json_is_answered_by_its_schema(client: Client, body: Any) -> None:
    """JSON of any shape is 200 or 422; what JSON cannot say is 400."""
    assert client.request("POST", "/-probe/body", json_body=body).status in (200, 400, 422)


@random_run
@given(body=st.binary(max_size=200))
def test_any_bytes_are_answered(client: Client, body: bytes) -> None:
    """Bytes that claim to be JSON."""
    answer = client.request("POST", "/-probe/body", body=body, headers={"Content-Type": "application/json"})
    assert answer.status in (200, 400, 422)


@random_run
@given(
    method=st.sampled_from(("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")),
    path=texts.map(lambda text: "/" + quote(text, safe="/{}"))
    | st.sampled_from(("/livez", "/health", "/v1", "/v1/", "/docs")),
    query=texts.map(quote),
    version=st.none() | st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=6),
)
def test_any_path_is_answered(client: Client, method: str, path: str, query: str, version: str | None) -> None:
    """Any method, path, query and version."""
    headers = {} if version is None else {"X-API-Version": version}
    assert client.request(method, f"{path}?{query}", headers=headers).status < 500


@random_run
@given(
    name=st.sampled_from(
        ("If-Match", "If-None-Match", "Origin", "Accept", "X-Request-ID", "Idempotency-Key", "Cookie", "Range")
    ),
    value=st.text(st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"), max_size=80),
)
def test_any_header_is_answered(client: Client, name: str, value: str) -> None:
    """Headers a client may send with anything in them."""
    answer = client.request("GET", "/-probe/hello", headers={name: value.strip()})
    assert answer.status == 200


@pytest.fixture(autouse=True)
def _still_alive(client: Client) -> Any:
    yield
    assert client.request("GET", "/livez").status == 200
