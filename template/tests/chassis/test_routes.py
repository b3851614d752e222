"""Every route the team has, without naming one: taken from the contract of each version."""

import json
import re
from typing import Annotated, Any
from uuid import uuid4

import pytest
from fastapi import FastAPI
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # its types are a package of their own
from pydantic import Field, ValidationError

from app.chassis.about import about
from app.chassis.contract.operations import overlap
from app.chassis.http import MAX_ID, Router, Schema, fails_with
from app.chassis.http.names import with_clean_names
from app.chassis.http.openapi import enveloped_openapi
from app.chassis.http.paging import page_links
from app.chassis.testing import Client
from app.chassis.testing.team import Team
from app.chassis.validation import NO_NUL

METHODS = ("get", "put", "post", "delete", "patch")
FILL = {"integer": "1", "number": "1", "boolean": "true"}


def filled(template: str, operation: dict[str, Any]) -> str:
    """The path with a plausible value for each parameter."""
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            template = template.replace(f"{{{parameter['name']}}}", FILL.get(parameter["schema"].get("type"), "x"))
    return template


def operations(contracts: dict[str, Any]) -> list[tuple[str, str, str, dict[str, Any]]]:
    """(method, path, template, operation) of every operation of every version."""
    return [
        (method.upper(), f"/{version}{filled(template, item[method])}", template, item[method])
        for version, contract in contracts.items()
        for template, item in contract["paths"].items()
        for method in METHODS
        if method in item
    ]


def test_wrong_method_is_405_with_every_allowed_one(client: Client, contracts: dict[str, Any]) -> None:
    """`Allow` names all methods of the path, not those of one route; OPTIONS says the same."""
    for version, contract in contracts.items():
        for template, item in contract["paths"].items():
            own = {method.upper() for method in METHODS if method in item}
            path = f"/{version}{filled(template, next(iter(item.values())))}"
            wanted = own | {"OPTIONS"} | ({"HEAD"} if {"get", "head"} & item.keys() else set())
            if any(template != other and overlap(template, other) for other in contract["paths"]):
                continue  # the path made up for it may be one of the other's
            wrong = next((method.upper() for method in METHODS if method.upper() not in own), "TRACE")
            answer = client.request(wrong, path)
            assert (answer.status, set(answer.headers["allow"].split(", "))) == (405, wanted), path
            asked = client.request("OPTIONS", path)
            assert (asked.status, set(asked.headers["allow"].split(", "))) == (204, wanted), path


def test_bodies_are_read_strictly_everywhere(client: Client, contracts: dict[str, Any], team_service: Team) -> None:
    """Every route that takes JSON refuses what is none, with the same codes."""
    for method, path, template, operation in operations(contracts):
        if "application/json" not in operation.get("requestBody", {}).get("content", {}):
            continue
        headers = team_service.headers(method, template) | {"If-Match": "*", "Idempotency-Key": uuid4().hex}
        typed = headers | {"Content-Type": "application/json"}
        for body, sent, code in [
            (b'{"cut', typed, "json_malformed"),
            (b'{"a": NaN}', typed, "json_malformed"),
            (b"\xff", typed, "json_malformed"),
            (b"a=b", headers | {"Content-Type": "text/plain"}, "content_type_unsupported"),
            (b"[[]]", typed, "validation_failed"),
        ]:
            answer = client.request(method, path, body=body, headers=sent)
            assert answer.error["code"] == code, (method, path, body, answer)


def test_path_keys_are_checked_before_the_database(
    client: Client, contracts: dict[str, Any], team_service: Team
) -> None:
    """A whole-number key out of range or out of shape is never a 5xx."""
    for method, _, template, operation in operations(contracts):
        numbers = [
            p["name"]
            for p in operation.get("parameters", ())
            if p["in"] == "path" and p["schema"].get("type") == "integer"
        ]
        for name in numbers:
            for value in ("x", "-1", str(10**30), "9223372036854775808"):
                version_path = next(
                    f"/{v}{template}" for v, c in contracts.items() if operation in c["paths"][template].values()
                )
                path = version_path.replace(f"{{{name}}}", value)
                answer = client.request(
                    method, path, headers=team_service.headers(method, template) | {"If-Match": "*"}
                )
                assert 400 <= answer.status < 500, (method, path, answer)


def test_every_reading_route_answers_and_twice_the_same(
    client: Client, contracts: dict[str, Any], team_service: Team
) -> None:
    """GET changes nothing: asked twice, the data is the same."""
    for method, path, template, _ in operations(contracts):
        if method == "GET":
            headers = team_service.headers(method, template)
            first, second = (client.request("GET", path, headers=headers) for _ in range(2))
            assert first.status < 500
            assert first.status == second.status
            if first.status == 200 and first.headers["content-type"] == "application/json":
                assert first.data == second.data


def test_operation_names_are_unique_and_clean(contracts: dict[str, Any]) -> None:
    """Client generators make function names of them."""
    for contract in contracts.values():
        names = [item[m]["operationId"] for item in contract["paths"].values() for m in METHODS if m in item]
        assert len(names) == len(set(names))
        assert all(name.isidentifier() for name in names), names


def test_contract_says_whose_it_is(contracts: dict[str, Any]) -> None:
    """Name, description and owner are those that were answered."""
    for contract in contracts.values():
        assert contract["info"]["title"] == about().name
        assert contract["info"]["description"] == about().description
        assert about().owner in contract["info"]["contact"]["name"]


def test_every_answer_is_declared_with_its_envelope(contracts: dict[str, Any]) -> None:
    """The contract shows `data` and `meta` for every success, `error` and `meta` for everything else."""
    for contract in contracts.values():
        schemas = contract["components"]["schemas"]
        for _, _, _, operation in operations({"": contract}):
            for status, response in operation["responses"].items():
                schema = response.get("content", {}).get("application/json", {}).get("schema")
                if schema is not None:
                    members = schemas[schema["$ref"].rpartition("/")[2]]["required"]
                    assert members == (["error", "meta"] if status[0] in "45d" else ["data", "meta"]), operation


def test_every_failure_is_declared_with_its_codes_and_an_example_of_each(contracts: dict[str, Any]) -> None:
    """`code` is an enum of the route's own codes; each has an example under its status that fits the schema."""
    for contract in contracts.values():
        shared = contract["components"]
        for _, _, _, operation in operations({"": contract}):
            codes, shown = set[str](), set[str]()
            for status, response in operation["responses"].items():
                if not status.isdigit() or int(status) < 400:
                    continue
                media = response["content"]["application/json"]
                for code, reference in media["examples"].items():
                    example = (
                        shared["examples"][reference["$ref"].rpartition("/")[2]] if "$ref" in reference else reference
                    )
                    error = example["value"]["error"]
                    assert (error["code"], error["status"]) == (code.partition(".")[0], int(status))
                    Draft202012Validator({**media["schema"], "components": shared}).validate(example["value"])
                    shown.add(error["code"])
                envelope = shared["schemas"][media["schema"]["$ref"].rpartition("/")[2]]
                codes = set(envelope["properties"]["error"]["allOf"][1]["properties"]["code"]["enum"])
            assert shown == codes, operation["operationId"]


def test_names_of_schemas_are_clean(contracts: dict[str, Any]) -> None:
    """Client generators make class names of them."""
    for contract in contracts.values():
        assert [name for name in contract["components"]["schemas"] if not re.fullmatch("[A-Z][A-Za-z0-9]*", name)] == []
        assert not [
            key for key in re.findall(r'"\$ref": "#/([^"]*)"', json.dumps(contract)) if not _found(contract, key)
        ]


def _found(contract: dict[str, Any], path: str) -> bool:
    node: Any = contract
    for key in path.split("/"):
        node = node.get(key, {})
    return bool(node)


@pytest.mark.parametrize(
    ("template", "other", "is_shared"),
    [
        ("/things/all", "/things/{thing_id}", True),
        ("/things/{thing_id}", "/things/{name}", True),
        ("/things/all", "/things/none", False),
        ("/things/all", "/things", False),
    ],
)
def test_templates_share_paths(template: str, other: str, is_shared: bool) -> None:
    """Where they do, a method that one lacks may be answered by the other."""
    assert overlap(template, other) == is_shared


def test_bounds_of_whole_numbers_are_exact() -> None:
    """2**63 - 1 is no float: a client that sends the declared maximum is not refused."""

    class Thing(Schema):
        number: Annotated[int, Field(ge=-MAX_ID - 1, le=MAX_ID)]

    async def make_thing(body: Thing) -> int:
        return body.number

    router = Router()
    router.post("/things")(make_thing)
    document = enveloped_openapi(_app_of(router), None)
    number = document["components"]["schemas"]["Thing"]["properties"]["number"]
    assert (number["minimum"], number["maximum"]) == (-(2**63), 2**63 - 1)
    assert isinstance(number["maximum"], int)


def test_free_names_and_sets_are_declared_as_they_are_taken() -> None:
    """A name holds no NUL, and generators see what its values are; a set takes nothing twice, as it declares."""

    class Bag(Schema):
        counts: dict[str, Annotated[int, Field(ge=0)]]
        marks: set[int]

    declared = Bag.model_json_schema()["properties"]
    assert declared["counts"]["additionalProperties"] == {"type": "integer", "minimum": 0}
    assert declared["counts"]["propertyNames"] == {"pattern": NO_NUL}
    assert declared["marks"]["uniqueItems"]
    assert Bag.model_validate({"counts": {"a": 1}, "marks": [1, 2]}).marks == {1, 2}
    for wrong in ({"counts": {"\0": 1}, "marks": []}, {"counts": {}, "marks": [1, 1]}):
        with pytest.raises(ValidationError):
            Bag.model_validate(wrong)


def _app_of(router: Router) -> FastAPI:
    app = FastAPI()
    app.router.routes.extend(router.routes)
    return app


def test_two_schemas_of_one_clean_name_are_refused() -> None:
    """A generator would give both one class."""
    document = {"components": {"schemas": {"Page_Item": {}, "PageItem": {}}}}
    with pytest.raises(ValueError, match="PageItem, Page_Item; rename one"):
        with_clean_names(document)


def test_unknown_code_is_refused_where_it_is_declared() -> None:
    """A slip of the pen in `fails_with` stops the service from starting."""
    with pytest.raises(ValueError, match="found the code 'no_such_code'"):
        fails_with("not_found", "no_such_code")


@pytest.mark.parametrize("accept", ["application/json", "*/*", "text/html", "application/xml;q=0.1"])
def test_json_is_sent_whatever_is_accepted(client: Client, accept: str) -> None:
    """RFC 9110 §12.4.1 lets a server ignore Accept; this one has a single representation."""
    answer = client.request("GET", "/livez", headers={"Accept": accept})
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")


@pytest.mark.parametrize("kept", [b"q=", b"q=&r", b"q=a%26b%20c", b"q=%FF", b"q=%C3%BC", b"q=1&q=2"])
def test_links_keep_the_query_beside_page_and_limit(kept: bytes) -> None:
    """A filter means the same on the next page, an empty one and bytes that are no text too."""
    scope = {"path": "/v1/things", "query_string": b"page=2&%s&limit=5" % kept}
    links = page_links(scope, {"page": 2, "limit": 5, "total": 15, "pages": 3}).decode("ascii")
    query = kept.decode("ascii").replace("%20", "+").replace("&r", "&r=")
    assert f'</v1/things?{query}&page=3&limit=5>; rel="next"' in links
