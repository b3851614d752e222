"""A value that a JSON Schema allows and a person could have written. May import rules."""

from typing import Any
from urllib.parse import urlencode

from app.chassis.contract.rules import alternatives

__all__ = ["plausible_query", "plausible_value", "unknown_key"]

# Of JSON Schema's `format`, those that pydantic declares.
_FORMATS = {
    "date-time": "2030-01-31T12:00:00Z",
    "date": "2030-01-31",
    "time": "12:00:00",
    "duration": "PT5M",
    "uuid": "00000000-0000-4000-8000-000000000001",
    "email": "ada@example.com",
    "uri": "https://example.com/",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "binary": "text",
}


def plausible_value(schema: dict[str, Any], contract: dict[str, Any], depth: int = 0) -> Any:
    """What the schema gives as an example, a default or a choice; else something small of its type.

    A `pattern` is not read: a text that must match one needs an example beside it.
    """
    schema = next(alternatives(schema, contract))
    if schema.get("examples"):
        return schema["examples"][0]
    for given in ("example", "const", "default"):
        if given in schema:
            return schema[given]
    if "enum" in schema:
        return schema["enum"][0]
    kind = schema.get("type")
    if kind == "object" or "properties" in schema:
        required = schema.get("required", ()) if depth < 20 else ()
        return {name: plausible_value(schema["properties"][name], contract, depth + 1) for name in required}
    if kind == "array":
        least = schema.get("minItems", 0)
        return [plausible_value(schema.get("items", {}), contract, depth + 1)] * least if least else []
    return _plain(kind, schema)


def _plain(kind: str | None, schema: dict[str, Any]) -> Any:
    if kind in ("integer", "number"):
        low, high = schema.get("minimum"), schema.get("maximum")
        low = schema["exclusiveMinimum"] + 1 if "exclusiveMinimum" in schema else low
        at_least = 1 if low is None else max(1, low)
        return at_least if high is None else min(at_least, high)
    if kind == "boolean":
        return True
    if kind == "null":
        return None
    text = str(_FORMATS.get(schema.get("format", ""), "text"))
    return text.ljust(schema.get("minLength", 0), "x")[: schema.get("maxLength")]


def plausible_query(operation: dict[str, Any], contract: dict[str, Any]) -> str:
    """`?name=value&…` of an operation's required query parameters, or nothing."""
    required = [p for p in operation.get("parameters", ()) if p["in"] == "query" and p.get("required")]
    members = [(p["name"], str(plausible_value(p["schema"], contract))) for p in required]
    return f"?{urlencode(members)}" if members else ""


def unknown_key(schema: dict[str, Any], contract: dict[str, Any]) -> str:
    """A key of that schema which nothing has."""
    schema = next(alternatives(schema, contract))
    if schema.get("type") == "integer":
        return str(schema.get("maximum", 2**63 - 1))
    return "ffffffff-ffff-4fff-bfff-ffffffffffff" if schema.get("format") == "uuid" else "no-such-key"
