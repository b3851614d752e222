"""Base of wire shapes: JSON types mean what JSON Schema says. May import validation."""

import re
from datetime import date, datetime, time, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError, core_schema, to_json

from app.chassis.validation import NO_NUL

__all__ = ["MAX_ID", "Email", "Schema"]

MAX_ID = 2**63 - 1  # largest key both engines can hold

# One address as browsers accept it, with a dot in the domain. Source: HTML Living Standard, "valid e-mail address".
_LABEL = "[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"
_EMAIL = re.compile(rf"^[A-Za-z0-9.!#$%&'*+/=?^_`{{|}}~-]{{1,64}}@{_LABEL}(?:\.{_LABEL})+$")


def _check_email(value: str) -> str:
    if not _EMAIL.fullmatch(value):
        raise PydanticCustomError("email", "not an e-mail address")
    return value


Email = Annotated[
    str,
    Field(max_length=254),
    AfterValidator(_check_email),
    WithJsonSchema({"type": "string", "maxLength": 254, "pattern": _EMAIL.pattern, "examples": ["ada@example.com"]}),
]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_text_or(*types: type) -> Any:
    def accepts(value: Any) -> bool:
        # pydantic would read "1700000000" as a moment; JSON Schema's date-time does not.
        return isinstance(value, types) or (isinstance(value, str) and not value.strip("+-. ").isdigit())

    return accepts


def _has_no_twins(value: Any) -> bool:
    return not isinstance(value, list) or len({to_json(entry) for entry in value}) == len(value)


# core schema type -> (accepted value, what is expected). Conversions that JSON Schema does not know are refused.
_ACCEPTS: dict[str, tuple[Any, str]] = {
    "int": (_is_number, "a whole number"),
    "float": (_is_number, "a number"),
    "bool": (lambda value: isinstance(value, bool), "true or false"),
    "datetime": (_is_text_or(datetime), "a date and time such as 2030-01-31T12:00:00Z"),
    "date": (_is_text_or(date), "a date such as 2030-01-31"),
    "time": (_is_text_or(time), "a time such as 12:00:00"),
    "timedelta": (_is_text_or(timedelta), "a duration such as PT5M"),
    "uuid": (_is_text_or(UUID), "a UUID"),
}


def _guarded(schema: CoreSchema, accepts: Any, expected: str) -> CoreSchema:
    def check(value: Any) -> Any:
        if not accepts(value):
            raise PydanticCustomError("wrong_json_type", "wrong JSON type", {"expected": expected})
        return value

    return core_schema.no_info_before_validator_function(check, schema)


def _harden(node: Any) -> Any:
    """Copy of a core schema in which every leaf accepts just what its JSON Schema declares."""
    if isinstance(node, list | tuple):
        return type(node)(_harden(entry) for entry in node)
    if not isinstance(node, dict):
        return node
    kind = node.get("type")
    if kind == "str" and "pattern" not in node:
        return {**node, "pattern": NO_NUL}
    if kind in _ACCEPTS:
        return _guarded(node, *_ACCEPTS[kind])
    if kind in ("set", "frozenset"):
        hardened = {**node, "items_schema": _harden(node.get("items_schema", core_schema.any_schema()))}
        return _guarded(hardened, _has_no_twins, "no entry twice")
    return {key: _hardened_member(key, value) for key, value in node.items()}


def _hardened_member(key: str, value: Any) -> Any:
    if key in ("fields", "choices") and isinstance(value, dict):  # its keys are the team's names, not pydantic's
        return {name: _harden(schema) for name, schema in value.items()}
    skip = {"metadata", "serialization", "default", "ref", "cls", "config", "custom_init", "root_model"}
    return value if key in skip else _harden(value)


def _name_free_members(node: Any) -> None:
    """Declare free names as generators know them, and that they hold no NUL."""
    for part in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _name_free_members(part)
    if isinstance(node, dict) and node.get("patternProperties", {}).keys() == {NO_NUL}:
        node["additionalProperties"] = node.pop("patternProperties")[NO_NUL]
        node["propertyNames"] = {"pattern": NO_NUL}


class Schema(BaseModel):
    """Base of request and response bodies: unknown members refused, JSON types taken at their word, no NUL in texts.

    Whole numbers may be written 3.0 (JSON Schema says so), never true or "3".
    """

    model_config = ConfigDict(
        extra="forbid",
        from_attributes=True,
        allow_inf_nan=False,
        json_schema_serialization_defaults_required=True,
        use_attribute_docstrings=True,
    )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        """Answers may gain members: only requests are told that there are no others."""
        declared = handler(schema)
        resolved = handler.resolve_ref_schema(declared)
        if handler.mode == "serialization":
            resolved.pop("additionalProperties", None)
        _name_free_members(resolved.get("properties", {}))
        return declared

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Harden the model's schema once, when the class is made."""
        hardened: CoreSchema = _harden(handler(source))
        return hardened
