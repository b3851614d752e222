"""What clients rely on: recorded answers and documents are those of today, and the mock serves them."""

import json
import re
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.chassis.contract.differences import differences
from app.chassis.contract.golden import changed_answers, changed_document
from app.chassis.contract.operations import operations_of
from app.chassis.contract.plausible import plausible_value
from app.chassis.contract.record import proposals, write_document
from app.chassis.contract.replay import replayed
from app.chassis.http.recordings import Case, ContractError, Sent, cases_of, contract_folder, parsed
from app.chassis.testing import Client, ServiceProcess
from app.chassis.testing.team import Team

MEANT = "if that is meant, `make contract` records it anew; read its diff before you commit it"


@pytest.mark.engines("sqlite", "postgresql")
def test_recorded_answers_are_those_of_today(
    contracts: dict[str, Any], team_service: Team, new_database: Callable[[Path], str], tmp_path: Path, engine: str
) -> None:
    """Every request in contract/vN gets the answer that stands beside it; PostgreSQL's keys may have gaps."""
    for version, contract in contracts.items():
        url = new_database(tmp_path / version)
        lines = list(changed_answers(contract_folder(), version, contract, team_service, DATABASE_URL=url))
        if engine == "postgresql":  # an insert that was refused has used up its key
            lines = [line for line in lines if not re.search(r"recorded (.*), now \1$", re.sub(r"\d+", "0", line))]
        assert not lines, "\n".join([*lines, MEANT])


def test_changed_answer_is_told(tmp_path: Path, contracts: dict[str, Any], team_service: Team) -> None:
    """Whatever stands in a recorded answer and is not what comes."""
    for version, contract in contracts.items():
        for case in cases_of(contract_folder(), version)[:1]:
            assert case.response is not None
            case.response.status, case.response.headers["etag"] = 299, '"none"'
            case.file = tmp_path / case.file.relative_to(contract_folder())
            case.write()
            told = list(changed_answers(tmp_path, version, contract, team_service))
            assert any("response/status: recorded 299, now " in line for line in told)
            assert any("response/headers/etag: " in line for line in told)


def test_changed_document_is_told(tmp_path: Path, contracts: dict[str, Any]) -> None:
    """By the place that differs."""
    for version, contract in contracts.items():
        list(write_document(tmp_path, version, contract))
        assert list(changed_document(tmp_path, version, contract)) == []
        other = contract | {"info": contract["info"] | {"title": "another"}}
        (told,) = changed_document(tmp_path, version, other)
        assert "/info/title: recorded " in told


def test_recorded_documents_are_those_of_today(contracts: dict[str, Any]) -> None:
    """contract/vN/openapi.json, once there, is what the service says of itself."""
    for version, contract in contracts.items():
        lines = list(changed_document(contract_folder(), version, contract))
        assert not lines, "\n".join([*lines[:20], MEANT])


def test_recorded_answers_are_the_examples_of_the_contract(contracts: dict[str, Any]) -> None:
    """Whoever reads the document sees what the service really sent."""
    for version, contract in contracts.items():
        operations = operations_of(contract)
        for case in cases_of(contract_folder(), version):
            if case.response is not None and case.response.body is not None:
                content = operations[case.operation].about["responses"][str(case.response.status)]["content"]
                assert content["application/json"]["examples"][case.name]["value"] == case.response.body


def test_mock_answers_with_what_is_recorded(tmp_path: Path, contracts: dict[str, Any], team_service: Team) -> None:
    """`python -m app mock` needs no database, for a key neither; `Prefer` chooses a case, input is checked as ever."""
    key = {"Idempotency-Key": "one-for-all"}
    with ServiceProcess(tmp_path, module="app", command="mock") as service:
        client = service.client(contracts)
        assert client.request("GET", "/readyz").status == 200
        for version, contract in contracts.items():
            operations = operations_of(contract)
            made_up = [case for case in proposals(tmp_path / version, contract) if case.name == "ok"]
            plain = {case.operation: case.request for case in reversed(made_up)}  # the first of each
            for case in cases_of(contract_folder(), version):
                assert case.response is not None
                headers = team_service.headers(case.request.method, operations[case.operation].template)
                # What a request refers to is not there: one made up from the schemas stands in for it.
                sent = plain[case.operation] if "#/" in case.request.model_dump_json() else case.request
                answer = client.request(
                    case.request.method,
                    sent.path,
                    json_body=sent.body,
                    body=sent.text.encode() if sent.text else None,
                    headers={"Prefer": f"example={case.name}", **key} | headers | case.request.headers,
                )
                assert answer.status == case.response.status, (case.file, answer)
                if case.response.body is not None and "data" in case.response.body:
                    assert answer.data == case.response.body["data"]
                    by_status = {"Prefer": f"code={case.response.status}", **key} | headers | case.request.headers
                    again = client.request(case.request.method, sent.path, json_body=sent.body, headers=by_status)
                    assert again.status == case.response.status
                elif case.response.body is not None:
                    assert answer.error["code"] == case.response.body["error"]["code"]
            for operation in operations.values():
                if operation.method == "GET":
                    path = f"/{version}{operation.template}".replace("{", "").replace("}", "")
                    headers = team_service.headers("GET", operation.template) | {"Prefer": "example=no_such_case"}
                    unknown = client.request("GET", path, headers=headers, check=False)
                    assert unknown.status in (406, 422)
    assert list(tmp_path.iterdir()) == []


GOOD = {"request": {"method": "GET", "path": "/v1/things"}}


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("Ok", json.dumps(GOOD), "Ok.json: found that name; expected ok, or an error's code"),
        ("ok", "{", "ok.json: is not a JSON object"),
        ("ok", "\xff", "ok.json: is not a JSON object"),
        ("ok", "[]", "ok.json: is not a JSON object"),
        ("ok", "{}", "ok.json: request is missing; expected a value"),
        ("ok", '{"request": {"method": 1, "path": "/v1/x"}}', "request.method is not a text; expected a text"),
        ("ok", '{"request": {"method": "get", "path": "/v1/x"}}', "request.method has the wrong form; expected a text"),
        ("ok", json.dumps(GOOD | {"reply": 1}), "reply is not known here"),
        ("ok", '{"request": {"method": "GET", "path": "/v2/x"}}', "request.path is /v2/x; expected a path below /v1/"),
        ("ok", '{"request": {"method": "GET", "path": "/v1/a b"}}', "request.path has the wrong form"),
        (
            "ok",
            '{"request": {"method": "GET", "path": "/v1/x", "headers": {"A": "1\\r\\nB: 2"}}}',
            "has the wrong form",
        ),
        ("ok", '{"request": {"method": "PUT", "path": "/v1/x", "body": NaN}}', "is not a JSON object"),
        ("ok", '{"request": {"method": "PUT", "path": "/v1/x", "body": 1, "text": "1"}}', "expected one of them"),
    ],
)
def test_file_that_is_no_case_is_told(tmp_path: Path, name: str, content: str, told: str) -> None:
    """One message: path, what is wrong, what is expected."""
    with pytest.raises(ContractError) as refused:
        parsed(tmp_path / "v1" / "read_thing" / f"{name}.json", content.encode("latin-1"))
    assert told in str(refused.value)
    assert str(refused.value).startswith(str(tmp_path / "v1/read_thing"))


def test_case_of_an_operation_that_is_gone_is_told(tmp_path: Path, client: Client, team_service: Team) -> None:
    """A folder that nothing answers to any more is not skipped in silence."""
    case = Case(request=Sent(method="GET", path="/v1/things"), file=tmp_path / "v1/read_thing/ok.json")
    with pytest.raises(
        ContractError, match="read_thing: v1 has no operation of that name; rename the folder, or delete"
    ):
        list(replayed([case], {}, team_service, client))


def test_differences_are_told_by_place() -> None:
    """What is gone, new, other, or of another length; what varies is left out."""
    old = {"a": 1, "b": [1, 2], "c": {"d": "x", "e": "y"}, "t": "one"}
    new = {"b": [1, 3], "c": {"d": 1, "e": "y"}, "f": None, "t": "two"}
    assert list(differences(old, new, ["/t"])) == [
        "/a: gone", "/b/1: recorded 2, now 3", "/c/d: recorded 'x', now 1", "/f: new",
    ]  # fmt: skip
    assert list(differences([1], [1, 2])) == [": recorded [1], now [1, 2]"]


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"type": "string", "minLength": 6}, "textxx"),
        ({"type": "string", "maxLength": 2}, "te"),
        ({"type": "string", "format": "uuid"}, "00000000-0000-4000-8000-000000000001"),
        ({"type": "integer", "maximum": -3}, -3),
        ({"type": "number", "exclusiveMinimum": 4}, 5),
        ({"anyOf": [{"type": "boolean"}, {"type": "null"}]}, True),
        ({"enum": ["a", "b"]}, "a"),
        ({"type": "string", "examples": ["given"]}, "given"),
        ({"type": "array", "items": {"const": 1}, "minItems": 2}, [1, 1]),
        ({"allOf": [{"$ref": "#/components/schemas/Thing"}], "default": {}}, {}),
        ({"$ref": "#/components/schemas/Thing"}, {"name": "text"}),
    ],
)
def test_made_up_values_fit_their_schema(schema: dict[str, Any], value: Any) -> None:
    """`make contract` tries them for routes that have no case yet."""
    thing = {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}, "more": {}}}
    assert plausible_value(schema, {"components": {"schemas": {"Thing": thing}}}) == value


def test_undeclared_answer_fails_the_test_that_got_it(
    service: ServiceProcess, contracts: dict[str, Any], team_service: Team
) -> None:
    """A status that the route does not declare is a lie in the contract, whoever meets it."""
    for version, contract in contracts.items():
        for operation in operations_of(contract).values():
            content = operation.about.get("requestBody", {}).get("content", {}).get("application/json", {})
            reference = content.get("schema", {}).get("$ref", "").rpartition("/")[2]
            if "{" not in operation.template and contract["components"]["schemas"].get(reference, {}).get("required"):
                silent = deepcopy(contract)
                del silent["paths"][operation.template][operation.method.lower()]["responses"]["422"]
                client = service.client({version: silent})
                headers = team_service.headers(operation.method, operation.template)
                headers |= {"If-Match": "*", "Idempotency-Key": uuid4().hex}
                with pytest.raises(AssertionError, match="does not declare"):
                    client.request(operation.method, f"/{version}{operation.template}", json_body=[], headers=headers)
                return
