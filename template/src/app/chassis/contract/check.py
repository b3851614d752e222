"""What was released is asked of the service of today. May import base, explore, http, replay, testing."""

from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from app.chassis.contract.base import Base
from app.chassis.contract.explore import explore
from app.chassis.contract.replay import Operation, fresh_client, operations_of, replayed
from app.chassis.http.recordings import Case, Recorded
from app.chassis.testing.team import Team

__all__ = ["Break", "breaks_of_version"]


@dataclass(frozen=True, slots=True)
class Break:
    """Something a client of the release relies on that is not so any more; `name` is what a waiver says."""

    name: str
    told: str


def breaks_of_version(base: Base, version: str, contract: dict[str, Any], team: Team) -> Iterator[Break]:
    """Every way found in which a served version breaks with its release. Each is told once.

    Raises:
        ContractError: a released file cannot be used.
    """
    released = base.document(version)
    old, new = _by_path(released), _by_path(contract)
    for key in sorted(old.keys() - new.keys()):
        yield Break(f"{version}.{old[key].id}.removed", f"{' '.join(key)} is gone; {base.name} had it")
    kept = {key: operation for key, operation in old.items() if key in new}
    for key, operation in kept.items():
        for name, told in _gone(operation, new[key]):
            yield Break(f"{version}.{operation.id}.{name}", f"{' '.join(key)} {told} {base.name}")
    by_id = {operation.id: operation for operation in kept.values()}
    cases = [case for case in base.cases(version) if case.operation in by_id and case.response is not None]
    with fresh_client(team) as client:
        unasked: list[tuple[Case, str]] = []
        for case, answer in replayed(cases, by_id, team, client, unasked):
            if lines := list(_broken(case, answer)):
                told = _told(case, by_id[case.operation], lines)
                yield Break(f"{version}.{case.operation}.{case.name}", told)
        for case, why in unasked:
            told = (
                f"{by_id[case.operation].method} {by_id[case.operation].template}: the recorded request cannot be made"
            )
            yield Break(f"{version}.{case.operation}.{case.name}", f"{told}: {why}")
        document = _for_old_clients(released, set(kept))
        for finding in explore(document, version, client, team, is_only_allowed=True).findings:
            yield Break(f"{version}.{finding.operation}.{finding.kind}", finding.told)


def _gone(old: Operation, new: Operation) -> Iterator[tuple[str, str]]:
    """What no request would show: codes nobody provoked, parameters that are now ignored."""
    for code, status in old.codes.items():
        if code not in new.codes:
            yield f"code.{code}", f"does not fail with {code} any more, as it did in"
        elif new.codes[code] != status:
            yield f"code.{code}", f"fails with {code} as {new.codes[code]}, no more as {status}, as it did in"
    for place, name in sorted(old.parameters - new.parameters):
        yield f"parameter.{name}", f"ignores the {place} parameter {name}, which it read in"


def _by_path(contract: dict[str, Any]) -> dict[tuple[str, str], Operation]:
    return {(operation.method, operation.template): operation for operation in operations_of(contract).values()}


def _for_old_clients(released: dict[str, Any], kept: set[tuple[str, str]]) -> dict[str, Any]:
    """The released document without what is gone; a new error code under a known status breaks nobody."""
    document = deepcopy(released)
    for template, item in document["paths"].items():
        for method in [name for name in item if (name.upper(), template) not in kept]:
            del item[method]
    for schema in document["components"]["schemas"].values():
        error = schema.get("properties", {}).get("error", {})
        if "allOf" in error:
            error["allOf"] = error["allOf"][:1]
    return document


def _told(case: Case, operation: Operation, lines: list[str]) -> str:
    more = f", and {len(lines) - 1} more" if len(lines) > 1 else ""
    return f"{operation.method} {operation.template}: the recorded answer {case.name} {lines[0]}{more}"


def _broken(case: Case, answer: Recorded) -> Iterator[str]:
    old = case.response
    assert old is not None  # noqa: S101  # only such are asked
    if old.status != answer.status:
        yield f"had status {old.status}, now {answer.status}{_why(answer)}"
    elif old.status >= 400 and old.body:
        if (was := old.body["error"]["code"]) != (code := answer.body["error"]["code"]):
            yield f"had the code {was}, now {code}"
        elif old.body["error"]["retryable"] != answer.body["error"]["retryable"]:
            yield f"was {'' if old.body['error']['retryable'] else 'not '}retryable, now the opposite"
    else:
        yield from (f"had the header {name}, now none" for name in old.headers if name not in answer.headers)
        yield from _lost(old.body, answer.body, "")


def _why(answer: Recorded) -> str:
    return f" {answer.body['error']['code']}" if answer.status >= 400 else ""


def _lost(old: Any, new: Any, pointer: str) -> Iterator[str]:
    """Members that are gone or have another JSON type; values may be others, and there may be more of them."""
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old:
            if key not in new:
                yield f"had {pointer}/{key}, now none"
            else:
                yield from _lost(old[key], new[key], f"{pointer}/{key}")
    elif isinstance(old, list) and isinstance(new, list):
        for index, (before, after) in enumerate(zip(old, new, strict=False)):
            yield from _lost(before, after, f"{pointer}/{index}")
    elif old is not None and _type(old) != _type(new):
        yield f"had {_type(old)} at {pointer}, now {_type(new)}"


def _type(value: Any) -> str:
    names = {
        dict: "an object",
        list: "a list",
        str: "a text",
        bool: "true or false",
        int: "a number",
        float: "a number",
    }
    return names.get(type(value), "null")
