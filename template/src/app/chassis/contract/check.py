"""What was released is asked of the service of today.

May import base, changes, explore, findings, http, operations, replay, rules, testing.
"""

import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

from app.chassis.contract.base import Base
from app.chassis.contract.changes import Change, changes_of
from app.chassis.contract.explore import explore
from app.chassis.contract.findings import Break
from app.chassis.contract.operations import Operation, operations_of
from app.chassis.contract.replay import fresh_client, replayed
from app.chassis.contract.rules import kind_of
from app.chassis.http.recordings import Case, ContractError, Recorded
from app.chassis.testing.team import Team

__all__ = ["breaks_of_version"]

_TYPES = {"object": "an object", "array": "a list", "string": "a text", "boolean": "true or false", "null": "null"}


def breaks_of_version(base: Base, version: str, contract: dict[str, Any], team: Team) -> Iterator[Break]:
    """Every way found in which a served version breaks with its release. Each is told once.

    Raises:
        ContractError: a released file cannot be used.
    """
    released = base.document(version)
    old, new = _by_path(released), _by_path(contract)
    for key in sorted(old.keys() - new.keys()):
        yield Break(f"{version}.{old[key].id}.removed", f"{old[key]} is gone; {base.name} had it")
    kept = {key: operation for key, operation in old.items() if key in new}
    seen = set[tuple[str, str]]()
    for key, operation in kept.items():
        for change in _changes(base, version, operation, changes_of(operation, new[key], released, contract)):
            seen |= {(operation.id, pointer) for pointer in change.refuses}
            told = f"{operation} {change.told} (since {base.name})"
            yield Break(f"{version}.{operation.id}.{change.rule}{change.pointer}", told, change.is_certain)
    yield from _asked(base, version, _for_old_clients(released, kept), team, seen)


def _changes(base: Base, version: str, operation: Operation, found: Iterator[Change]) -> list[Change]:
    try:
        return list(found)
    except (ArithmeticError, LookupError, AttributeError, RecursionError, TypeError, ValueError) as error:
        place = f"{base.name}:contract/{version}/openapi.json"
        raise ContractError(f"{place}: {operation} cannot be compared: {error!r}; expected a sound document") from error


def _asked(
    base: Base, version: str, released: dict[str, Any], team: Team, seen: set[tuple[str, str]]
) -> Iterator[Break]:
    """What the answers of today show, but for refusals of what the documents already told."""
    by_id = operations_of(released)
    cases = [case for case in base.cases(version) if case.operation in by_id and case.response is not None]
    unasked: list[tuple[Case, str]] = []
    reached = set[tuple[str, int]]()
    with fresh_client(team) as client:
        for case, answer in replayed(cases, by_id, team, client, unasked):
            reached.add((case.operation, answer.status))
            if lines := list(_broken(case, answer)):
                told = _told(case, by_id[case.operation], lines)
                yield Break(f"{version}.{case.operation}.{case.name}", told)
        for case, why in unasked:
            told = f"{by_id[case.operation]}: the recorded request {case.name} cannot be made: {why}"
            yield Break(f"{version}.{case.operation}.{case.name}", told)
        done = explore(released, version, client, team, is_only_allowed=True)
    for finding in done.findings:
        if finding.kind != "request" or (finding.operation, finding.pointer) not in seen:
            yield Break(f"{version}.{finding.operation}.{finding.kind}{finding.pointer}", finding.told)
    for operation, status in done.unseen(by_id.values()):
        if (operation.id, int(status)) not in reached:
            told = f"{operation} was never seen to answer {status} today, whatever {base.name} allows was sent"
            yield Break(f"{version}.{operation.id}.{status}", told, is_certain=False)


def _by_path(contract: dict[str, Any]) -> dict[tuple[str, str], Operation]:
    """Operations by method and path, whatever the path's parameters are called."""
    return {(one.method, re.sub(r"{[^}]*}", "{}", one.template)): one for one in operations_of(contract).values()}


def _for_old_clients(released: dict[str, Any], kept: dict[tuple[str, str], Operation]) -> dict[str, Any]:
    """The released document without what is gone; the codes of errors are looked at one by one."""
    document = deepcopy(released)
    templates = {(operation.method.lower(), operation.template) for operation in kept.values()}
    for template, item in document["paths"].items():
        for method in [name for name in item if (name, template) not in templates]:
            del item[method]
    for schema in document["components"]["schemas"].values():
        error = schema.get("properties", {}).get("error", {})
        if "allOf" in error:
            error["allOf"] = error["allOf"][:1]
    return document


def _told(case: Case, operation: Operation, lines: list[str]) -> str:
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"{operation}: the recorded answer {case.name} {lines[0]}{more}"


def _broken(case: Case, answer: Recorded) -> Iterator[str]:
    old = case.response
    assert old is not None  # noqa: S101  # only such are asked
    if old.status != answer.status:
        yield f"had status {old.status}, now {answer.status}{_why(answer)}"
        return
    yield from (f"had the header {name}, now none" for name in old.headers if name not in answer.headers)
    if old.error and answer.error:
        if old.error["code"] != answer.error["code"]:
            yield f"had the code {old.error['code']}, now {answer.error['code']}"
        elif old.error["retryable"] != answer.error["retryable"]:
            yield f"was {'' if old.error['retryable'] else 'not '}retryable, now the opposite"
    else:
        yield from _lost(old.body, answer.body, "")


def _why(answer: Recorded) -> str:
    return f" {answer.error['code']}" if answer.error else ""


def _lost(old: Any, new: Any, pointer: str) -> Iterator[str]:
    """Members that are gone or have another JSON type; values may be others, and there may be more of them."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield f"had {pointer}/{key}, now none"
            else:
                yield from _lost(old[key], new[key], f"{pointer}/{key}")
    elif isinstance(old, list) and isinstance(new, list):
        if old and not new:
            yield f"had {len(old)} at {pointer}, now none"
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _lost(before, after, f"{pointer}/{index}")
    elif old is not None and _type(old) != _type(new):
        yield f"had {_type(old)} at {pointer}, now {_type(new)}"


def _type(value: Any) -> str:
    return _TYPES.get(kind_of(value), "a number")
