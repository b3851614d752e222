"""Operations as a contract declares them, and requests to them that can do no work. May import contract, target."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from app.chassis.audit.target import Target
from app.chassis.contract.operations import Operation, operations_of

__all__ = ["Guarded", "guarded_operations"]

_TYPES, _FORMATS = {"integer", "number", "boolean"}, {"uuid", "date", "date-time"}
_Request = tuple[str, dict[str, str], bytes | None]


@dataclass(frozen=True, slots=True)
class Guarded:
    """An operation that asks who calls; path, headers and body to try it with, None if no request is harmless."""

    name: str
    method: str
    request: _Request | None


def _is_guarded(about: dict[str, Any], contract: dict[str, Any]) -> bool:
    """Whether an operation declares `security` that an anonymous caller cannot meet."""
    security = about.get("security", contract.get("security", []))
    return bool(security) and all(security)


def guarded_operations(target: Target) -> Iterator[Guarded]:
    """Those of every version."""
    for version, contract in target.contracts.items():
        for one in operations_of(contract).values():
            if _is_guarded(one.about, contract):
                yield Guarded(f"{one.method} /{version}{one.template}", one.method, _harmless(one, version, contract))


def _harmless(one: Operation, version: str, contract: dict[str, Any]) -> _Request | None:
    """A request that reads, or that is refused before the work should the guard let it through.

    FastAPI asks guards first, then judges parameters and body, and calls the route only if all of them are good: a text
    where an object is wanted, or `~` where a number is wanted, stops it. A body that is no JSON would come too early.
    """
    place = next((key for key, told in one.parameters.items() if key[0] in ("path", "query") and _is_bad(told)), None)
    has_body = one.method != "GET" and _wants_object(one, contract)
    if one.method != "GET" and not has_body and place is None:
        return None
    wrong = place if place is not None and one.method != "GET" else ("", "")
    path = re.sub(r"\{(\w+)[^}]*\}", lambda found: "~" if wrong == ("path", found[1]) else "1", one.template)
    query = f"?{wrong[1]}=~" if wrong[0] == "query" else ""
    body = (b'"audit"', {"Content-Type": "application/json"}) if has_body else (None, {})
    return f"/{version}{path}{query}", body[1], body[0]


def _is_bad(parameter: dict[str, Any]) -> bool:
    """Whether the parameter refuses a `~`."""
    schema = parameter.get("schema", {})
    return schema.get("type") in _TYPES or schema.get("format") in _FORMATS


def _wants_object(one: Operation, contract: dict[str, Any]) -> bool:
    body = one.about.get("requestBody", {})
    schema = body.get("content", {}).get("application/json", {}).get("schema", {})
    if "$ref" in schema:
        schema = contract["components"]["schemas"].get(schema["$ref"].rpartition("/")[2], {})
    return bool(body.get("required")) and schema.get("type") in ("object", "array")
