"""Every route of the team keeps its own contract, at the edges of what it allows and beyond: with schemathesis.

CONFORMANCE_EXAMPLES sends so many random requests a route on top. Needs no edit when a route is added.
"""

import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from app.chassis.contract.explore import explore
from app.chassis.contract.operations import operations_of
from app.chassis.contract.record import proposals
from app.chassis.contract.replay import fresh_client, replayed
from app.chassis.http.recordings import cases_of, contract_folder
from app.chassis.testing import ServiceProcess
from app.chassis.testing.plugin import explored
from app.chassis.testing.team import Team

EXAMPLES = int(os.environ.get("CONFORMANCE_EXAMPLES", "10"))


@pytest.mark.engines("sqlite", "postgresql")
def test_every_route_keeps_its_contract(
    contracts: dict[str, Any], team_service: Team, new_database: Callable[[Path], str], tmp_path: Path
) -> None:
    """Declared statuses, types and shapes only; what fits is taken, what does not is refused; each 2xx was seen."""
    problems = []
    for version, contract in contracts.items():
        operations = operations_of(contract)
        with fresh_client(team_service, DATABASE_URL=new_database(tmp_path / version)) as client:
            cases = cases_of(contract_folder(), version)
            recorded = {case.file for case in cases}
            cases += [one for one in proposals(contract_folder() / version, contract) if one.file not in recorded]
            answers = replayed(cases, operations, team_service, client, unasked=[])
            answered = [(case.operation, answer.status) for case, answer in answers]
            done = explore(contract, version, client, team_service, examples=EXAMPLES)
        for operation, status in answered:
            done.note(operation, status)
        explored[version] = done.table()
        problems += [finding.told for finding in done.findings]
        problems += [
            f"{one.method} /{version}{one.template}: {status} is declared and was never seen: "
            f"put what it needs into seed() of tests/service.py, or a request into contract/{version}/{one.id}/ok.json"
            for one, status in done.unseen(operations.values())
        ]
    assert not problems, "\n\n".join(problems)


def test_route_that_lies_is_found(service: ServiceProcess, contracts: dict[str, Any], team_service: Team) -> None:
    """A member, a status and a refusal that the contract gets wrong are each told."""
    for version, contract in contracts.items():
        for operation in operations_of(contract).values():
            headers = team_service.headers("GET", operation.template)
            is_plain = operation.method == "GET" and "{" not in operation.template
            path = f"/{version}{operation.template}"
            if is_plain and service.client().request("GET", path, headers=headers).status == 200:
                lies = deepcopy(contract)
                lies["paths"] = {operation.template: {"get": lies["paths"][operation.template]["get"]}}
                told = lies["paths"][operation.template]["get"]
                told["responses"]["202"] = told["responses"]["200"]
                name = told["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].rpartition("/")[2]
                lies["components"]["schemas"][name]["required"].append("no_such_member")
                told["responses"].pop("422", None)
                done = explore(lies, version, service.client(), team_service)
                assert [status for _, status in done.unseen(operations_of(lies).values())] == ["202"]
                kinds = {finding.kind for finding in done.findings}
                assert kinds >= ({"response", "status"} if told.get("parameters") else {"response"})
                return


def test_form_leaves_the_other_routes_to_be_tried(
    service: ServiceProcess, contracts: dict[str, Any], team_service: Team
) -> None:
    """Forms are sent legal things only; what comes after them is sent the rest too."""
    for version, contract in contracts.items():
        for operation in operations_of(contract).values():
            if operation.method == "GET" and "422" in operation.about["responses"] and "{" not in operation.template:
                kept = deepcopy(contract)
                form = {"content": {"application/x-www-form-urlencoded": {"schema": {"type": "object"}}}}
                first = {"operationId": "a_form", "requestBody": form, "responses": {"404": {"description": "none"}}}
                kept["paths"] = {
                    "/-probe/form": {"post": first},
                    operation.template: {"get": kept["paths"][operation.template]["get"]},
                }
                first["responses"]["404"]["content"] = {"application/json": {"examples": {"route_not_found": {}}}}
                done = explore(kept, version, service.client(), team_service)
                assert (operation.id, 422) in done.reached
                return
