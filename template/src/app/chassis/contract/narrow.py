"""What one JSON Schema takes and another refuses, found without asking anybody. Imports nothing of the chassis.

Of a request, the released schema must be taken by that of today; of an answer, today's by the released one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["Refusal", "refusals"]

_AT_MOST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_AT_LEAST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_EXACT = ("pattern", "format", "multipleOf", "uniqueItems")
_DEPTH = 12


@dataclass(frozen=True, slots=True)
class Refusal:
    """At `pointer`, `rule` takes less: what it was in the schema that is offered, what it is in the one that judges."""

    pointer: str
    rule: str
    offered: Any
    judged: Any


@dataclass(frozen=True, slots=True)
class _Side:
    schema: dict[str, Any]
    document: dict[str, Any]

    def at(self, schema: Any) -> "_Side":
        return _Side(schema if isinstance(schema, dict) else {}, self.document)

    def resolved(self) -> "_Side":
        schema = self.schema
        while "$ref" in schema:
            known = self.document["components"]["schemas"].get(schema["$ref"].rpartition("/")[2], {})
            schema = {**known, **{key: value for key, value in schema.items() if key != "$ref"}}
        for part in schema.get("allOf", ()):
            schema = _merged(schema, self.at(part).resolved().schema)
        return self.at({key: value for key, value in schema.items() if key != "allOf"})

    def alternatives(self) -> list["_Side"]:
        """The schema without `anyOf`, `oneOf` and lists of types: one for each."""
        schema = self.resolved().schema
        for word in ("anyOf", "oneOf"):
            if word in schema:
                rest = {key: value for key, value in schema.items() if key != word}
                return [side for part in schema[word] for side in self.at({**rest, **part}).alternatives()]
        if isinstance(schema.get("type"), list):
            return [self.at({**schema, "type": kind}) for kind in schema["type"]]
        return [self.at(schema)]


def refusals(
    offered: dict[str, Any], judge: dict[str, Any], offering: dict[str, Any], judging: dict[str, Any], pointer: str = ""
) -> list[Refusal]:
    """Each place where schema `judge` of document `judging` refuses what `offered` of document `offering` takes."""
    return list(_refusals(_Side(offered, offering), _Side(judge, judging), pointer, 0))


def _refusals(offered: _Side, judge: _Side, pointer: str, depth: int) -> Iterator[Refusal]:
    if depth > _DEPTH:
        return
    judges = judge.alternatives()
    for one in offered.alternatives():
        found = [list(_of_one(one.schema, other.schema, one, other, pointer, depth)) for other in judges]
        yield from min(
            found, key=lambda lines: (any(one.rule == "type" and one.pointer == pointer for one in lines), len(lines))
        )


def _of_one(
    old: dict[str, Any], new: dict[str, Any], offered: _Side, judge: _Side, pointer: str, depth: int
) -> Iterator[Refusal]:
    taken, offered_values = _values(new), _values(old)
    if taken is not None:
        lost = [value for value in offered_values or () if value not in taken]
        if lost or offered_values is None:
            yield Refusal(pointer, "enum", offered_values, taken)
        return
    kind = old.get("type") or (_kind(offered_values[0]) if offered_values else None)
    if new.get("type") not in (None, kind) and (kind, new["type"]) != ("integer", "number"):
        yield Refusal(pointer, "type", kind, new["type"])
        return
    if offered_values is None:
        yield from _bounds(old, new, pointer)
    yield from _members(old, new, offered, judge, pointer, depth)
    if "items" in new and isinstance(old.get("items", {}), dict):
        yield from _refusals(offered.at(old.get("items", {})), judge.at(new["items"]), f"{pointer}/*", depth + 1)


def _bounds(old: dict[str, Any], new: dict[str, Any], pointer: str) -> Iterator[Refusal]:
    for rule in _AT_MOST:
        if rule in new and (rule not in old or new[rule] < old[rule]):
            yield Refusal(pointer, rule, old.get(rule), new[rule])
    for rule in _AT_LEAST:
        floor = 0 if rule in ("minLength", "minItems", "minProperties") else float("-inf")
        if rule in new and new[rule] > old.get(rule, floor):
            yield Refusal(pointer, rule, old.get(rule), new[rule])
    for rule in _EXACT:
        if rule in new and old.get(rule) != new[rule]:
            yield Refusal(pointer, rule, old.get(rule), new[rule])


def _members(
    old: dict[str, Any], new: dict[str, Any], offered: _Side, judge: _Side, pointer: str, depth: int
) -> Iterator[Refusal]:
    for name in new.get("required", ()):
        if name not in old.get("required", ()):
            yield Refusal(f"{pointer}/{name}", "required", False, True)
    known = new.get("properties", {})
    for name, schema in old.get("properties", {}).items():
        if name in known:
            yield from _refusals(offered.at(schema), judge.at(known[name]), f"{pointer}/{name}", depth + 1)
        elif new.get("additionalProperties") is False:
            yield Refusal(f"{pointer}/{name}", "member", True, False)
    free, taken = old.get("additionalProperties"), new.get("additionalProperties")
    if isinstance(free, dict) and isinstance(taken, dict):
        yield from _refusals(offered.at(free), judge.at(taken), f"{pointer}/*", depth + 1)
    elif taken is False and (free is True or isinstance(free, dict)):
        yield Refusal(f"{pointer}/*", "member", True, False)


def _values(schema: dict[str, Any]) -> list[Any] | None:
    return [schema["const"]] if "const" in schema else schema.get("enum")


def _kind(value: Any) -> str | None:
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def _merged(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    both = {**part, **schema}
    for word, empty in (("properties", dict[str, Any]()), ("required", list[str]())):
        if word in schema and word in part:
            ours, theirs = schema.get(word, empty), part.get(word, empty)
            both[word] = {**theirs, **ours} if word == "properties" else [*theirs, *ours]
    return both
