"""What a schema refuses that another takes, told by place: the heart of `make contract-check`."""

from copy import deepcopy
from typing import Any

import pytest

from app.chassis.contract.changes import changes_of
from app.chassis.contract.narrow import refusals
from app.chassis.contract.operations import Operation
from app.chassis.validation import NO_NUL


def body(**members: Any) -> dict[str, Any]:
    """A schema of an object."""
    return {"type": "object", "properties": members, "required": sorted(members)}


def tagged(kind: str, **members: Any) -> dict[str, Any]:
    """A schema of an object that one value of `kind` tells apart."""
    return body(kind={"const": kind}, **members)


def mapping(schema: Any, names: Any = None) -> dict[str, Any]:
    """A schema of an object with free names."""
    return {"type": "object", "additionalProperties": schema} | ({"propertyNames": names} if names else {})


def patterned(schema: Any) -> dict[str, Any]:
    """A schema of an object whose names have a pattern."""
    return {"type": "object", "patternProperties": {"^[a-z]+$": schema}}


def pair(*schemas: Any) -> dict[str, Any]:
    """A schema of a tuple."""
    return {"type": "array", "prefixItems": list(schemas), "minItems": len(schemas), "maxItems": len(schemas)}


TEXT, NUMBER = {"type": "string"}, {"type": "integer"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        (TEXT, TEXT, []),
        (TEXT, {"type": "string", "maxLength": 5}, [("", "maxLength")]),
        ({"type": "string", "maxLength": 4}, {"type": "string", "maxLength": 5}, []),
        (NUMBER, {"type": "integer", "minimum": 0}, [("", "minimum")]),
        ({"type": "integer", "exclusiveMinimum": 1}, {"type": "integer", "exclusiveMinimum": 0}, []),
        (TEXT, {"type": "string", "minLength": 0}, []),
        ({"type": "string", "format": "date-time"}, {"type": "string", "format": "date"}, [("", "format")]),
        (NUMBER, {"type": "number"}, []),
        ({"type": "number"}, NUMBER, [("", "type")]),
        ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, [("", "type")]),
        (TEXT, {"anyOf": [{"type": "null"}, TEXT]}, []),
        ({"type": ["string", "null"]}, {"anyOf": [TEXT, {"type": "null"}]}, []),
        ({"enum": ["a", "b"]}, {"enum": ["a"]}, [("", "enum")]),
        ({"const": "a"}, {"enum": ["a", "b"]}, []),
        (TEXT, {"enum": ["a"]}, [("", "enum")]),
        ({"enum": ["a"]}, TEXT, []),
        ({"enum": ["a"]}, NUMBER, [("", "type")]),
        (body(a=TEXT), body(a=TEXT, b=TEXT), [("/b", "required")]),
        (body(a=TEXT, b=TEXT), body(a=TEXT), []),
        (body(a=TEXT, b=TEXT), body(a=TEXT) | {"additionalProperties": False}, [("/b", "member")]),
        (
            {"type": "object", "additionalProperties": NUMBER},
            {"type": "object", "additionalProperties": TEXT},
            [("/*", "type")],
        ),
        (
            {"type": "array", "items": TEXT},
            {"type": "array", "items": NUMBER, "maxItems": 3},
            [("", "maxItems"), ("/*", "type")],
        ),
        ({"$ref": "#/components/schemas/Old"}, body(a=NUMBER), [("/a", "type")]),
        ({"allOf": [body(a=TEXT), {"required": ["b"]}]}, body(a=TEXT, b=TEXT), []),
        ({}, TEXT, [("", "type")]),
        ({"$ref": "#/components/schemas/Tree"}, {"$ref": "#/components/schemas/Tree"}, []),
        # Bounds that say the same in other words, and one of a multiple.
        ({"type": "integer", "minimum": 1}, {"type": "integer", "exclusiveMinimum": 0}, []),
        ({"type": "integer", "exclusiveMaximum": 10}, {"type": "integer", "maximum": 9}, []),
        ({"type": "number", "minimum": 1}, {"type": "number", "exclusiveMinimum": 1}, [("", "exclusiveMinimum")]),
        ({"type": "integer", "multipleOf": 10}, {"type": "integer", "multipleOf": 5}, []),
        ({"type": "integer", "multipleOf": 5}, {"type": "integer", "multipleOf": 10}, [("", "multipleOf")]),
        # Formats and patterns that refuse nothing more.
        (TEXT, {"type": "string", "format": "password"}, []),
        ({"type": "string", "format": "uuid4"}, {"type": "string", "format": "uuid"}, []),
        ({"type": "string", "pattern": "^[a-z]+$"}, {"type": "string", "pattern": NO_NUL}, []),
        ({"type": "string", "pattern": NO_NUL}, {"type": "string", "pattern": "^[a-z]+$"}, [("", "pattern")]),
        # Listed values against types and rules, split and joined.
        ({"enum": ["a", "abcdef"]}, {"type": "string", "maxLength": 3}, [("", "maxLength")]),
        ({"enum": ["a", "abc"]}, {"type": "string", "maxLength": 3}, []),
        ({"enum": ["a", 1]}, TEXT, [("", "type")]),
        ({"enum": ["a", "b"]}, {"anyOf": [{"const": "a"}, {"const": "b"}]}, []),
        ({"enum": ["a", None]}, {"anyOf": [{"const": "a"}, {"type": "null"}]}, []),
        ({"type": "boolean"}, {"enum": [True, False]}, []),
        ({"type": "boolean"}, {"const": True}, [("", "enum")]),
        ({"anyOf": [{"enum": ["a"]}, {"type": "null"}]}, {"enum": ["a"]}, [("", "type")]),
        # Free members, their names, tuples.
        ({"type": "object", "additionalProperties": True}, mapping(NUMBER), [("/*", "type")]),
        (mapping(NUMBER), mapping(NUMBER, {"enum": ["a"]}), [("/*", "enum")]),
        (mapping(TEXT), body() | {"properties": {"a": NUMBER}}, [("/a", "type")]),
        (body(a=TEXT), mapping(NUMBER), [("/a", "type")]),
        (patterned(NUMBER), patterned(TEXT), [("/*", "type")]),
        (pair(NUMBER, TEXT), pair(NUMBER, {"type": "string", "maxLength": 3}), [("/1", "maxLength")]),
        (pair(NUMBER, TEXT), pair(TEXT, NUMBER), [("/0", "type"), ("/1", "type")]),
        (pair(NUMBER, NUMBER), {"type": "array", "items": NUMBER}, []),
        # Of several, the one that was meant.
        (tagged("cat", a=TEXT), {"oneOf": [tagged("dog", b=TEXT), tagged("cat", a=NUMBER)]}, [("/a", "type")]),
        (tagged("fox", a=TEXT), {"oneOf": [tagged("dog", a=TEXT), tagged("cat", a=TEXT)]}, [("/kind", "enum")]),
        (NUMBER, {"anyOf": [TEXT, {"type": "null"}]}, [("", "type")]),
    ],
)
def test_what_a_schema_refuses_is_told_by_place(
    old: dict[str, Any], new: dict[str, Any], told: list[tuple[str, str]]
) -> None:
    """What the first takes and the second does not, in any way a schema can say it."""
    tree = body(below={"type": "array", "items": {"$ref": "#/components/schemas/Tree"}})
    document = {"components": {"schemas": {"Old": body(a=TEXT), "Tree": tree}}}
    found = refusals(old, new, document, document)
    assert [(one.pointer, one.rule) for one in found if one.is_certain] == told


def test_schemas_that_refer_to_each_other_are_compared_once() -> None:
    """A union of things that hold two of the union has 16 pairs a level: to follow each would never end.

    The union is named in one place, or null in another, written out in a third: each way comes back to itself.
    """
    node = {"$ref": "#/components/schemas/Node"}
    kinds = {f"Kind{n}": body(kind={"const": n}, left=node, right=node) for n in range(4)}
    union = {"anyOf": [{"$ref": f"#/components/schemas/{name}"} for name in kinds]}
    old = {"components": {"schemas": {"Node": union, **kinds}}}
    kinds["Kind0"]["properties"]["left"] = {"anyOf": [node, {"type": "null"}]}
    kinds["Kind1"]["properties"]["left"] = dict(union)
    new = deepcopy(old)
    new["components"]["schemas"]["Kind2"]["required"].append("more")
    assert refusals(node, node, old, old) == []
    told = {one.pointer: one.rule for one in refusals(node, node, old, new)}
    assert "/more" in told
    assert all(pointer.endswith("/more") and rule == "required" for pointer, rule in told.items())


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ({"anyOf": [TEXT, {"type": "null"}]}, TEXT, []),
        (NUMBER, TEXT, []),
        (TEXT, NUMBER, [("", "type")]),
        (NUMBER, {"type": "array", "items": NUMBER}, []),
        ({"enum": ["a"]}, {"type": "array", "items": {"enum": ["a", "b"]}}, []),
        ({"type": "array", "items": NUMBER}, {"type": "array", "items": TEXT}, []),
        ({"enum": [1, 2]}, {"enum": ["1", "2"]}, []),
        ({"enum": [1, 2]}, {"enum": ["1"]}, [("", "type")]),
    ],
)
def test_in_a_url_all_is_text(old: dict[str, Any], new: dict[str, Any], told: list[tuple[str, str]]) -> None:
    """There is no null to be refused, a number is a text, and one value is a list."""
    found = refusals(old, new, {}, {}, is_text=True)
    assert [(one.pointer, one.rule) for one in found if one.is_certain] == told


def test_what_is_refused_below_a_name_is_told_once() -> None:
    """A schema that is used in many places has one line, with the shortest place, and says how many more there are."""
    reference = {"$ref": "#/components/schemas/Money"}
    levels = {f"Level{n}": body(a={"$ref": f"#/components/schemas/Level{n + 1}"}, b=reference) for n in range(15)}
    old = {"components": {"schemas": {**levels, "Level15": body(a=reference, b=reference), "Money": body(sum=TEXT)}}}
    new = deepcopy(old)
    new["components"]["schemas"]["Money"]["properties"]["sum"] = TEXT | {"maxLength": 9}
    (line,) = refusals(*[{"$ref": "#/components/schemas/Level0"}] * 2, old, new)
    assert (line.pointer, line.rule, len(line.also)) == ("/b/sum", "maxLength", 16)


def test_what_was_taken_for_granted_is_looked_at_again() -> None:
    """Found wrong only in an alternative that is not meant, and met again where it is."""

    def named(name: str) -> dict[str, Any]:
        return {"$ref": f"#/components/schemas/{name}"}

    def optional(**members: Any) -> dict[str, Any]:
        return {"type": "object", "properties": members}

    old = {
        "Root": optional(x=named("W"), q=named("Q")),
        "W": optional(p=named("P")),
        "P": optional(child=named("Q"), bad=TEXT),
        "Q": optional(up=named("P")),
    }
    new = deepcopy(old)
    new["Root"]["properties"]["x"] = {"anyOf": [named("W"), optional(p={})]}
    new["P"]["properties"]["bad"] = TEXT | {"maxLength": 3}
    documents = ({"components": {"schemas": schemas}} for schemas in (old, new))
    assert [one.pointer for one in refusals(named("Root"), named("Root"), *documents)] == ["/q/up/bad"]


def operation(template: str = "/things/{key}", **about: Any) -> tuple[Operation, dict[str, Any]]:
    """An operation and the document it is in."""
    schemes = {
        "Header": {"type": "apiKey", "in": "header", "name": "X-Key"},
        "Bearer": {"type": "http", "scheme": "bearer"},
    }
    schemes["Login"] = {"type": "oauth2", "flows": {}}
    schemes["Basic"] = {"type": "http", "scheme": "basic"}
    members = {"operationId": "read_thing", "responses": {}, **about}
    document = {"paths": {template: {"post": members}}, "components": {"schemas": {}, "securitySchemes": schemes}}
    return Operation(document, "post", template), document


def parameter(name: str, place: str, schema: Any, **more: Any) -> dict[str, Any]:
    """One parameter."""
    return {"name": name, "in": place, "schema": schema, **more}


def content(kind: str, schema: Any) -> dict[str, Any]:
    """A body."""
    return {"requestBody": {"content": {kind: {"schema": schema}}}}


def answer(schema: Any) -> dict[str, Any]:
    """An answer."""
    return {"responses": {"200": {"content": {"application/json": {"schema": schema}}}}}


FORM, FILES = "application/x-www-form-urlencoded", "multipart/form-data"


@pytest.mark.parametrize(
    ("old", "new", "certain", "possible"),
    [
        (
            {"parameters": [parameter("X-Kind", "header", TEXT)]},
            {"parameters": [parameter("x-kind", "header", TEXT)]},
            [],
            [],
        ),
        ({"parameters": [parameter("q", "query", TEXT)]}, {}, ["parameter?q"], []),
        ({}, {"parameters": [parameter("q", "query", TEXT, required=True)]}, ["required?q"], []),
        ({}, {"parameters": [parameter("q", "query", TEXT)]}, [], []),
        (content(FORM, body(a=NUMBER)), content(FILES, body(a=TEXT)), [], []),
        (content("application/json", body(a=TEXT)), content(FILES, body(a=TEXT)), ["content"], []),
        (
            content("application/json", body(a=TEXT | {"default": "x"})),
            content("application/json", body(a=TEXT | {"default": "y"})),
            [],
            ["default/a"],
        ),
        ({"security": [{"Header": []}]}, {"security": [{"Bearer": []}]}, ["security"], []),
        ({"security": [{"Bearer": []}]}, {"security": [{"Login": []}]}, [], []),
        ({"security": [{"Bearer": []}]}, {"security": [{"Basic": []}]}, ["security"], []),
        ({"security": [{"Bearer": []}]}, {"security": [{"Bearer": []}, {"Header": []}]}, [], []),
        ({"security": [{"Bearer": []}, {"Header": []}]}, {"security": [{"Bearer": []}]}, ["security"], []),
        ({}, {"security": [{"Bearer": []}]}, ["security"], []),
        (answer(body(a=TEXT)), answer(body(a={"anyOf": [TEXT, {"type": "null"}]})), ["answer/a"], []),
        (answer(body(a={"enum": ["x"]})), answer(body(a={"enum": ["x", None]})), ["answer/a"], []),
        (answer(body(a={"enum": ["x"]})), answer(body(a={"enum": ["x", "y"]})), [], ["answer/a"]),
        (answer(body(a=TEXT | {"format": "date-time"})), answer(body(a=TEXT | {"format": "time"})), [], ["answer/a"]),
        (answer(pair(NUMBER, NUMBER)), answer({"type": "array", "items": NUMBER}), [], ["answer"]),
        (answer(body(a=TEXT)), answer(body(a=TEXT, b=TEXT)), [], []),
    ],
)
def test_changes_of_an_operation_are_named(
    old: dict[str, Any], new: dict[str, Any], certain: list[str], possible: list[str]
) -> None:
    """Parameters, bodies, answers, who may call: each with its rule and place, certain or possible."""
    (was, released), (now, today) = operation(**old), operation(**new)
    found = list(changes_of(was, now, released, today))
    assert [one.rule + one.pointer for one in found if one.is_certain] == certain
    assert [one.rule + one.pointer for one in found if not one.is_certain] == possible


def test_parameter_of_a_path_may_have_another_name() -> None:
    """Its place counts: there the two are compared."""
    old, released = operation("/things/{key}", parameters=[parameter("key", "path", NUMBER)])
    new, today = operation("/things/{id}", parameters=[parameter("id", "path", NUMBER | {"minimum": 10})])
    assert [one.rule + one.pointer for one in changes_of(old, new, released, today)] == ["minimum/key"]
