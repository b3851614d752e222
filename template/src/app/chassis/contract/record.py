"""`make contract`: records every case again, and begins those that a new route lacks.

May import differences, http, operations, plausible, replay, testing.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.chassis.contract.differences import differences
from app.chassis.contract.operations import Operation, operations_of
from app.chassis.contract.plausible import plausible_query, plausible_value, unknown_key
from app.chassis.contract.replay import fresh_client, replayed
from app.chassis.http.codes import TABLE
from app.chassis.http.recordings import Case, ContractError, Recorded, Sent, cases_of, shown, write_whole
from app.chassis.testing.team import Team

__all__ = ["proposals", "record", "write_document"]

Answers = dict[Path, tuple[Case, Recorded]]


def record(folder: Path, version: str, contract: dict[str, Any], team: Team) -> Iterator[str]:
    """Record every case of a version; tells what changed, and what a person must write.

    Nothing is written before every answer came twice the same.

    Raises:
        ContractError: a file cannot be used, an answer is not what its case is named by, or it varies.
    """
    operations = operations_of(contract)
    cases = cases_of(folder, version)
    proposed = [case for case in proposals(folder / version, contract) if case.file not in {one.file for one in cases}]
    cases += _found_by_trying(proposed, operations, team)
    first, second = (_answers(cases, operations, team) for _ in range(2))
    for file, (case, answer) in first.items():
        operation = operations[case.operation]
        if not _is_meant(case, answer, operation):
            raise ContractError(f"{shown(file)}: {_told(answer)}; expected {_meant(case, operation)}")
        for line in differences(answer.model_dump(), second[file][1].model_dump(), case.varies):
            raise ContractError(f"{shown(file)}: not the same twice: {line}; expected that pointer in `varies`")
    for case, answer in first.values():
        case.response = _keep_what_varies(case, answer)
        if case.write():
            yield f"wrote {shown(case.file)}"
    yield from _missing(cases, operations, folder / version)


def write_document(folder: Path, version: str, contract: dict[str, Any]) -> Iterator[str]:
    """Write `openapi.json` of a version if it changed."""
    file = folder / version / "openapi.json"
    content = json.dumps(contract, indent=2, ensure_ascii=False) + "\n"
    if not file.is_file() or file.read_bytes() != content.encode():
        write_whole(file, content)
        yield f"wrote {shown(file)}"


def _answers(cases: list[Case], operations: dict[str, Operation], team: Team) -> Answers:
    with fresh_client(team) as client:
        return {case.file: (case, answer) for case, answer in replayed(cases, operations, team, client)}


def _is_meant(case: Case, answer: Recorded, operation: Operation) -> bool:
    if answer.status < 400:
        return not operation.fails_in(case)
    return (
        operation.fails_in(case) and bool(answer.body) and answer.body["error"]["code"] == case.name.partition(".")[0]
    )


def _told(answer: Recorded) -> str:
    return f"is answered with {answer.status}" + (f" {answer.error['code']}" if answer.error else "")


def _meant(case: Case, operation: Operation) -> str:
    name = case.name.partition(".")[0]
    if operation.fails_in(case):
        return f"{name}: mend the request, or put what it needs into seed() of tests/service.py"
    return f"a success, or that code in the route's fails_with(…): {name} is none of them"


def _keep_what_varies(case: Case, answer: Recorded) -> Recorded:
    """The answer, but what varies keeps its recorded value, so that recording again changes nothing."""
    if case.response is None:
        return answer
    old, new = case.response.model_dump(), answer.model_dump()
    for pointer in case.varies:
        *path, last = pointer.split("/")[1:]
        try:
            _below(new, path)[last] = _below(old, path)[last]
        except (KeyError, IndexError, ValueError, TypeError):
            continue  # it is new
    return Recorded.model_validate(new)


def _below(node: Any, path: list[str]) -> Any:
    for key in path:
        node = node[int(key) if isinstance(node, list) else key]
    return node


def _missing(cases: list[Case], operations: dict[str, Operation], folder: Path) -> Iterator[str]:
    """What no request could be made up for: a success, and the codes of the service's own."""
    there = {(case.operation, case.name.partition(".")[0]) for case in cases}
    for operation in operations.values():
        wanted = sorted(set(operation.codes) - set(TABLE))
        if not any(case.operation == operation.id and not operation.fails_in(case) for case in cases):
            wanted.insert(0, "ok")
        for name in wanted:
            if (operation.id, name) not in there:
                yield f"missing {shown(folder / operation.id / name)}.json: write its request; then `make contract`"


def _found_by_trying(proposed: list[Case], operations: dict[str, Operation], team: Team) -> list[Case]:
    """Those that are answered as their name says."""
    found: dict[Path, Case] = {}
    if proposed:
        with fresh_client(team) as client:
            for case, answer in replayed(proposed, operations, team, client, unasked=[]):
                if _is_meant(case, answer, operations[case.operation]):
                    found.setdefault(case.file, case)
    return list(found.values())


def proposals(folder: Path, contract: dict[str, Any]) -> Iterator[Case]:
    """Requests to try for each operation: one that succeeds, those that fail as every route of its kind does."""
    for operation in operations_of(contract).values():
        yield from _proposals(folder, operation, contract)


def _proposals(folder: Path, operation: Operation, contract: dict[str, Any]) -> Iterator[Case]:
    about = operation.about
    headers = {p["name"].lower(): p.get("required") for p in about.get("parameters", ()) if p["in"] == "header"}
    match = {"If-Match": "*"} if "if-match" in headers else {}
    keys = {"Idempotency-Key": f"recorded-{operation.id}"} if headers.get("idempotency-key") else {}
    content = about.get("requestBody", {}).get("content", {}).get("application/json")
    body = plausible_value(content["schema"], contract) if content else None

    def case(name: str, path: str, **more: Any) -> Case:
        members = {"method": operation.method, "path": path, "headers": match | keys, "body": body} | more
        request = Sent.model_validate(members)
        return Case(request=request, file=folder / operation.id / f"{name}.json")

    paths = list(_paths(folder.name, operation, contract))
    yield from (case("ok", path) for path in paths)
    if content:
        yield case("validation_failed", paths[0], body=[])
    if match:
        yield case("precondition_required", paths[0], headers=keys)
    if "if-none-match" in headers:
        yield from (case("not_modified", path, headers={"If-None-Match": "*"}) for path in paths)
    for code in about["responses"].get("404", {}).get("content", {}).get("application/json", {}).get("examples", ()):
        yield from (case(code, path) for path in _paths(folder.name, operation, contract, is_known=False))


def _paths(version: str, operation: Operation, contract: dict[str, Any], *, is_known: bool = True) -> Iterator[str]:
    """The template filled with plausible keys, then with that of the first thing in the list above it; or with none."""
    parameters = [p for p in operation.about.get("parameters", ()) if p["in"] == "path"]
    template = f"/{version}{operation.template}{plausible_query(operation.about, contract)}"
    filled = template
    for p in parameters:
        key = plausible_value(p["schema"], contract) if is_known else unknown_key(p["schema"], contract)
        filled = filled.replace(f"{{{p['name']}}}", str(key))
    yield filled
    above = contract["paths"].get(operation.template.partition("/{")[0], {}).get("get")
    if is_known and len(parameters) == 1 and above is not None:
        listed = f"/{version}{operation.template.partition('/{')[0]}{plausible_query(above, contract)}"
        yield template.replace(f"{{{parameters[0]['name']}}}", f"{{{listed}#/data/0/id}}")
