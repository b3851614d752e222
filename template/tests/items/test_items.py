"""The sample over HTTP, from the outside."""

import itertools
from typing import Any
from urllib.parse import quote

import pytest

from app.chassis.testing import Client

_numbers = itertools.count()


def an_item(**changes: Any) -> dict[str, Any]:
    """A valid item with a name of its own."""
    return {"name": f"Item {next(_numbers)}", "contact_email": "ada@example.com", "quantity": 5, "note": None} | changes


def created(client: Client, **changes: Any) -> dict[str, Any]:
    """An item the service holds."""
    answer = client.request("POST", "/items", json_body=an_item(**changes))
    assert answer.status == 201, answer
    item: dict[str, Any] = answer.data
    return item


def test_create_item_is_found_where_it_says(client: Client) -> None:
    """A created item is read back, unchanged, at its Location."""
    answer = client.request("POST", "/items", json_body=an_item(note="Größe: 3 µm 🧵"))
    found = client.request("GET", answer.headers["location"])
    assert (answer.status, found.status) == (201, 200)
    assert found.data == answer.data
    assert found.data["note"] == "Größe: 3 µm 🧵"
    version = answer.headers["x-api-version"]
    assert answer.headers["location"] == f"/{version}/items/{answer.data['id']}"


def test_list_items_pages_without_overlap(client: Client) -> None:
    """Walking the pages by their links meets every item once, newest first."""
    for _ in range(5):
        created(client)
    keys, path = [], "/items?limit=2"
    while path:
        answer = client.request("GET", path)
        keys += [item["id"] for item in answer.data]
        links = dict(reversed(part.strip().split("; ")) for part in answer.headers["link"].split(","))
        path = links.get('rel="next"', "").strip("<>")
    page = answer.json["meta"]["page"]
    assert len(keys) == len(set(keys)) == page["total"]
    assert keys == sorted(keys, reverse=True)
    assert page["pages"] == page["page"]


def test_list_items_by_cursor_misses_nothing_that_stays(client: Client) -> None:
    """Items are created and deleted between the pages: each of the others is met once, newest first."""
    kept = [created(client)["id"] for _ in range(5)]
    leaving = [created(client)["id"] for _ in range(4)]
    keys: list[int] = []
    cursor = ""
    while cursor is not None:
        answer = client.request("GET", f"/items?limit=3{'&cursor=' * bool(cursor)}{cursor}")
        keys += [item["id"] for item in answer.data]
        cursor = answer.json["meta"]["page"]["next_cursor"]
        created(client)
        if leaving:
            client.request("DELETE", f"/items/{leaving.pop()}", headers={"If-Match": "*"})
    assert keys == sorted(set(keys), reverse=True)
    assert set(kept) <= set(keys)


@pytest.mark.parametrize("query", ["page=0", "page=x", "page=1001", "limit=0", "limit=101", "page=1e3", "limit=-1"])
def test_list_items_refuses_bad_window(client: Client, query: str) -> None:
    """A page or limit outside its bounds is told which bounds."""
    answer = client.request("GET", f"/items?{query}")
    assert answer.status == 422
    assert answer.error["fields"][0]["pointer"] == "/" + query.partition("=")[0]


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("name", "ab", "at least 3 characters"),
        ("name", "x" * 81, "at most 80 characters"),
        ("name", 7, "a text"),
        ("name", "a\0bc", "a text without NUL characters"),
        ("contact_email", "nobody", "an e-mail address such as ada@example.com"),
        ("contact_email", "a@b", "an e-mail address such as ada@example.com"),
        ("quantity", -1, "0 or more"),
        ("quantity", 1_000_001, "1000000 or less"),
        ("quantity", True, "a whole number"),
        ("quantity", 1.5, "a whole number"),
        ("quantity", 10**30, "1000000 or less"),
        ("note", "x" * 501, "at most 500 characters"),
        ("colour", "red", "only the names this service documents"),
    ],
)
def test_create_item_says_which_rule_is_broken(client: Client, field: str, value: Any, expected: str) -> None:
    """Each rule of the sample has words of its own, at the field that breaks it."""
    answer = client.request("POST", "/items", json_body=an_item(**{field: value}))
    assert answer.status == 422
    assert [(problem["pointer"], problem["expected"]) for problem in answer.error["fields"]] == [
        (f"/{field}", expected)
    ]


def test_create_item_refuses_taken_name(client: Client) -> None:
    """Two items never share a name."""
    item = created(client)
    answer = client.request("POST", "/items", json_body=an_item(name=item["name"]))
    assert (answer.status, answer.error["code"]) == (409, "item_name_taken")


def test_replace_item_counts_the_version_up(client: Client) -> None:
    """A replaced item has the new content, the next version and a new ETag."""
    item = created(client)
    new = an_item(quantity=9)
    answer = client.request("PUT", f"/items/{item['id']}", json_body=new, headers={"If-Match": '"1"'})
    assert answer.status == 200
    assert answer.data["quantity"] == 9
    assert answer.headers["etag"] == '"2"'
    assert answer.data["updated_at"] > item["updated_at"]


@pytest.mark.parametrize(
    ("tag", "status"),
    [
        (None, 428),
        ('"7"', 412),
        ('W/"1"', 412),
        ('"x"', 412),
        ("junk", 400),
        ('"1", "2"', 400),
        ('"1"', 200),
        ("*", 200),
    ],
)
def test_replace_item_needs_the_version_it_changes(client: Client, tag: str | None, status: int) -> None:
    """Nobody overwrites what they have not read."""
    item = created(client)
    headers = {} if tag is None else {"If-Match": tag}
    answer = client.request("PUT", f"/items/{item['id']}", json_body=an_item(), headers=headers)
    assert answer.status == status
    kept = client.request("GET", f"/items/{item['id']}").data
    assert (kept["version"] == 1) == (status != 200)


def test_read_item_is_not_sent_twice(client: Client) -> None:
    """A reader who has the current version gets 304 without a body."""
    item = created(client)
    answer = client.request("GET", f"/items/{item['id']}", headers={"If-None-Match": '"0", W/"1"'})
    assert client.request("GET", f"/items/{item['id']}", headers={"If-None-Match": "*"}).status == 304
    assert (answer.status, answer.body, answer.headers["etag"]) == (304, b"", '"1"')


def test_delete_item_is_gone(client: Client) -> None:
    """A deleted item is not found any more, not even by a second delete."""
    item = created(client)
    path = f"/items/{item['id']}"
    assert client.request("DELETE", path).status == 428
    assert client.request("DELETE", path, headers={"If-Match": '"1"'}).status == 204
    assert client.request("GET", path).error["code"] == "item_not_found"
    assert client.request("DELETE", path, headers={"If-Match": "*"}).status == 404


@pytest.mark.parametrize("key", ["0", "-1", "x", "9223372036854775808", str(10**30), "%00", quote("٣٤"), "%FF"])
def test_read_item_refuses_what_is_no_key(client: Client, key: str) -> None:
    """A key that cannot be one is refused with the range of keys, and never reaches the database."""
    answer = client.request("GET", f"/items/{key}")
    assert answer.status in (400, 422)
