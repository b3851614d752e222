"""What one JSON Schema takes and another refuses, found without asking anybody. Imports nothing of the chassis.

Of a request, the released schema must be taken by that of today; of an answer, today's by the released one.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

__all__ = ["Refusal", "refusals"]

_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems")


@dataclass(frozen=True, slots=True)
class Refusal:
    """At `pointer`, `rule` takes less: what it was in the schema that is offered, what it is in the one that judges."""

    pointer: str
    rule: str
    offered: Any
    judged: Any


def refusals(
    offered: dict[str, Any], judge: dict[str, Any], offering: dict[str, Any], judging: dict[str, Any]
) -> list[Refusal]:
    """Each place where schema `judge` of document `judging` refuses what `offered` of document `offering` takes."""
    return _Comparison(offering, judging).refusals(offered, judge, "")


class _Comparison:
    """Each pair of schemas is compared once, however often and however deep they refer to each other."""

    def __init__(self, offering: dict[str, Any], judging: dict[str, Any]) -> None:
        self._offering, self._judging = offering, judging
        self._known: dict[tuple[str, str], list[Refusal]] = {}

    def refusals(self, offered: Any, judge: Any, pointer: str) -> list[Refusal]:
        if not (isinstance(offered, dict) and isinstance(judge, dict)):
            return []  # `true`, or a schema FastAPI does not write
        pair = json.dumps(offered), json.dumps(judge)
        if pair not in self._known:
            self._known[pair] = []  # while it is looked at: what refers to itself refuses nothing more
            self._known[pair] = list(self._compared(offered, judge))
        return [replace(one, pointer=pointer + one.pointer) for one in self._known[pair]]

    def _compared(self, offered: dict[str, Any], judge: dict[str, Any]) -> Iterator[Refusal]:
        judges = _alternatives(judge, self._judging)
        for one in _alternatives(offered, self._offering):
            found = [list(self._of_one(one, other)) for other in judges]
            yield from min(found, key=lambda lines: (_is_other(lines), len(lines)))

    def _of_one(self, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
        taken, offered = _values(new), _values(old)
        if taken is not None:
            if offered is None or [value for value in offered if value not in taken]:
                yield Refusal("", "enum", offered, taken)
            return
        kind = old.get("type") or (_kind(offered[0]) if offered else None)
        if new.get("type") not in (None, kind) and (kind, new["type"]) != ("integer", "number"):
            yield Refusal("", "type", kind, new["type"])
            return
        if offered is None:
            yield from _bounds(old, new)
        yield from self._members(old, new)
        if "items" in new:
            yield from self.refusals(old.get("items", {}), new["items"], "/*")

    def _members(self, old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
        for name in new.get("required", ()):
            if name not in old.get("required", ()):
                yield Refusal(f"/{name}", "required", False, True)
        known = new.get("properties", {})
        for name, schema in old.get("properties", {}).items():
            if name in known:
                yield from self.refusals(schema, known[name], f"/{name}")
            elif new.get("additionalProperties") is False:
                yield Refusal(f"/{name}", "member", True, False)
        free, taken = old.get("additionalProperties"), new.get("additionalProperties")
        yield from self.refusals(free, taken, "/*")
        if taken is False and free not in (None, False):
            yield Refusal("/*", "member", True, False)


def _is_other(lines: list[Refusal]) -> bool:
    """Whether it was another alternative altogether: by its type, or by the one value that tells it apart."""
    return any(
        (one.rule == "type" and not one.pointer) or (one.rule == "enum" and len(one.offered or ()) == 1)
        for one in lines
    )


def _bounds(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
    for rule in _AT_MOST:
        if rule in new and (rule not in old or new[rule] < old[rule]):
            yield Refusal("", rule, old.get(rule), new[rule])
    for rule in _AT_LEAST:
        floor = 0 if rule in ("minLength", "minItems", "minProperties") else float("-inf")
        if rule in new and new[rule] > old.get(rule, floor):
            yield Refusal("", rule, old.get(rule), new[rule])
    for rule in _EXACT:
        if rule in new and old.get(rule) != new[rule]:
            yield Refusal("", rule, old.get(rule), new[rule])


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schema itself: what it refers to and `allOf` put into one, what stands beside them first."""
    if "$ref" in schema:
        known = document["components"]["schemas"].get(schema["$ref"].rpartition("/")[2], {})
        schema = {**_resolved(known, document), **{key: value for key, value in schema.items() if key != "$ref"}}
    for part in schema.get("allOf", ()):
        more = _resolved(part, document)
        schema = {
            **more,
            **schema,
            "properties": more.get("properties", {}) | schema.get("properties", {}),
            "required": [*more.get("required", ()), *schema.get("required", ())],
        }
    return {key: value for key, value in schema.items() if key != "allOf"}


def _alternatives(schema: dict[str, Any], document: dict[str, Any]) -> list[dict[str, Any]]:
    """The schema without `anyOf`, `oneOf` and lists of types: one for each."""
    schema = _resolved(schema, document)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {key: value for key, value in schema.items() if key != word}
            return [one for part in schema[word] for one in _alternatives({**rest, **part}, document)]
    kinds = schema.get("type")
    return [{**schema, "type": kind} for kind in kinds] if isinstance(kinds, list) else [schema]


def _values(schema: dict[str, Any]) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _kind(value: Any) -> str:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")
