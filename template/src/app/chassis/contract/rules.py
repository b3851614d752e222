"""One JSON Schema at a time: its alternatives, values and rules, and what two say of a value without parts.

May import validation.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor, inf
from typing import Any

from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # its types are a package of their own

from app.chassis.validation import NO_NUL

__all__ = ["NAMED", "Refusal", "alternatives", "broken_rules", "free_of", "kind_of", "takes", "values_of"]

NAMED = "x-named"
"""In an alternative: the schema that it refers to."""

_NOT_OF_A_VALUE = {"$ref", "allOf", "anyOf", "oneOf", "items", "properties"}
_LOOSE = {None, "password", "path", "binary"}  # formats that refuse nothing
_WIDER = {"uuid": "uuid", "date-time": "date", "ipvanyaddress": "ipv", "ipvanynetwork": "ipv"}


@dataclass(frozen=True, slots=True)
class Refusal:
    """At `pointer` and at the places `also`, `rule` takes less: what it is in the schema that is offered, and judges.

    Not certain is what no schema can tell. `origin` is the place below the named schema it comes from.
    """

    pointer: str
    rule: str
    offered: Any
    judged: Any
    is_certain: bool = True
    also: tuple[str, ...] = ()
    origin: Any = None


def values_of(schema: dict[str, Any]) -> list[Any] | None:
    """The values it takes, if it lists them."""
    return [schema["const"]] if "const" in schema else schema.get("enum")


def kind_of(value: Any) -> str:
    """The JSON type of a value."""
    kinds = {bool: "boolean", int: "integer", float: "number", str: "string", list: "array", dict: "object"}
    return kinds.get(type(value), "null")


def takes(schema: dict[str, Any], value: Any, *, is_text: bool) -> bool:
    """Whether a schema takes a value without parts; in a URL or a form, as it is or as a text."""
    judge = Draft202012Validator({name: rule for name, rule in schema.items() if name not in _NOT_OF_A_VALUE})
    if not is_text:
        return bool(judge.is_valid(value))
    return judge.is_valid(value) or judge.is_valid(str(value)) or str(value) in map(str, values_of(schema) or ())


def broken_rules(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
    """Each rule of `new` that refuses something which `old`, of the same type, takes."""
    is_whole = old.get("type") == "integer"
    for sign, bound, open_bound in ((1, "minimum", "exclusiveMinimum"), (-1, "maximum", "exclusiveMaximum")):
        (was, _), (now, rule) = (_edge(one, sign, bound, open_bound, is_whole=is_whole) for one in (old, new))
        if now > was:
            yield Refusal("", rule, old.get(rule, old.get(bound, old.get(open_bound))), new[rule])
    for part in ("Length", "Items", "Properties"):
        if (most := new.get(f"max{part}", inf)) < old.get(f"max{part}", inf):
            yield Refusal("", f"max{part}", old.get(f"max{part}"), most)
        if (least := new.get(f"min{part}", 0)) > old.get(f"min{part}", 0):
            yield Refusal("", f"min{part}", old.get(f"min{part}"), least)
    if "multipleOf" in new and (not old.get("multipleOf") or old["multipleOf"] % new["multipleOf"]):
        yield Refusal("", "multipleOf", old.get("multipleOf"), new["multipleOf"])
    if new.get("uniqueItems") and not old.get("uniqueItems"):
        yield Refusal("", "uniqueItems", None, True)
    yield from _text_rules(old, new)


def _edge(schema: dict[str, Any], sign: int, bound: str, open_bound: str, *, is_whole: bool) -> tuple[Any, str]:
    """The bound as something that grows as it refuses more, and the rule that sets it."""
    found = [((-inf, False), bound)]
    for rule in (bound, open_bound):
        if rule in schema:
            value, is_open = sign * schema[rule], rule == open_bound
            if is_whole:
                value, is_open = (floor(value) + 1 if is_open else ceil(value)), False
            found.append(((value, is_open), rule))
    return max(found)


def _text_rules(old: dict[str, Any], new: dict[str, Any]) -> Iterator[Refusal]:
    was, now = old.get("pattern"), new.get("pattern")
    if now not in (None, was, NO_NUL if was or old.get("format") else None):
        yield Refusal("", "pattern", was, now, is_certain=was in (None, NO_NUL))  # two patterns: nobody can say
    was, now = old.get("format"), new.get("format")
    if now not in _LOOSE | {was} and not (was or "").startswith(_WIDER.get(now or "", " ")):
        yield Refusal("", "format", was, now)


def free_of(schema: dict[str, Any]) -> tuple[dict[str, Any], Any]:
    """What free names must fit, and what their members must: a schema, or True for anything, or False for none."""
    names, members = schema.get("propertyNames", {}), schema.get("additionalProperties", True)
    for pattern, only in schema.get("patternProperties", {}).items():
        names, members = {"pattern": pattern}, only
    return {"type": "string"} | names, members


def _resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    """The schema itself: what it refers to and `allOf` put into one, what stands beside them first."""
    if "$ref" in schema:
        known = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
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


def alternatives(schema: dict[str, Any], document: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The schema without `anyOf`, `oneOf` and lists of types: one for each."""
    schema = _resolved(schema, document)
    for word in ("anyOf", "oneOf"):
        if word in schema:
            rest = {key: value for key, value in schema.items() if key != word}
            for part in schema[word]:
                named = {NAMED: part["$ref"]} if "$ref" in part else {}
                yield from alternatives({**named, **part, **rest}, document)
            return
    kinds = schema.get("type")
    yield from ({**schema, "type": kind} for kind in kinds) if isinstance(kinds, list) else [schema]
