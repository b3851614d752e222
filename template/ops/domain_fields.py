"""What FIELDS of `make domain` says: `title:text(1..80) note:text? price:decimal(12,2)`. Standard library only."""

import json
import keyword
import re
from dataclasses import dataclass

from copies import NotDoneError

MOST_FIELDS = 40
MOST_TEXT = 10_000  # of all texts together: they must fit into a request
SAFE_INT = 2**53 - 1  # what every JSON client holds exactly: RFC 7493
_NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
_FIELD = re.compile(r"(?P<name>[^:()]*):(?P<kind>[a-z]+)(\((?P<rule>[^()]*)\))?(?P<optional>\??)")
_RANGE = re.compile(r"(-?[0-9]{1,16})\.\.(-?[0-9]{1,16})")
_PARTS = re.compile(r"([0-9]{1,3}),([0-9]{1,3})")
# kind -> an example of its rule; none takes no rule.
KINDS = {
    "text": "text(1..80)",
    "int": "int(0..1000000)",
    "decimal": "decimal(12,2)",
    "bool": "",
    "date": "",
    "datetime": "",
    "email": "",
    "uuid": "",
}
_AN_ARGUMENT = "functions of the domain have an argument of that name"
# Why a field cannot have that name.
_TAKEN = (
    dict.fromkeys(("id", "version", "created_at", "updated_at"), "every row has it already")
    | dict.fromkeys(("metadata", "registry", "type_annotation_map"), "SQLAlchemy keeps that name")
    | dict.fromkeys(
        ("construct", "copy", "dict", "from_orm", "json", "schema", "schema_json", "update_forward_refs", "validate"),
        "pydantic keeps that name",
    )
    | {"l": "it looks like a 1"}
    | dict.fromkeys(("bool", "date", "datetime", "int", "str"), "it is the name of a type")
    | dict.fromkeys(("cmax", "cmin", "ctid", "oid", "rowid", "tableoid", "xmax", "xmin"), "a database keeps that name")
    | dict.fromkeys(("mapped_column", "utc_now"), "the table's class calls a function of that name")
    | dict.fromkeys(("work", "expected_version", "self"), _AN_ARGUMENT)
)
_TAKEN_BY_BEGINNING = {"model_": "pydantic", "parse_": "pydantic"}


@dataclass(frozen=True)
class Field:
    """A column and a member: `low` and `high` bound a text's length or a number; `digits`, `places` are a decimal's."""

    name: str
    kind: str
    is_optional: bool = False
    low: int = 0
    high: int = 0
    digits: int = 0
    places: int = 0


def wrong(what: str, found: str, expected: str) -> NotDoneError:
    """The error of a name or a field that cannot be used."""
    shown = repr(found[:60]) if found.isprintable() else ascii(found[:60])
    return NotDoneError(f"{what}: found {shown}; expected {expected}", 2)


def read_fields(told: str, key: str = "") -> list[Field]:
    """The fields that FIELDS names; `key` is what functions call the key of one.

    Raises:
        NotDoneError: one cannot be used.
    """
    parts = told.split()
    if not parts:
        raise wrong("FIELDS", told, "one or more, such as title:text(1..80) note:text? price:decimal")
    if len(parts) > MOST_FIELDS:
        raise wrong("FIELDS", f"{len(parts)} fields", f"at most {MOST_FIELDS}; add the others by hand")
    fields = [_field(part) for part in parts]
    names = [field.name for field in fields]
    if key in names:
        raise wrong("FIELDS: name", key, f"another name: {_AN_ARGUMENT}")
    if twins := [name for number, name in enumerate(names) if name in names[:number]]:
        raise wrong("FIELDS", twins[0], "each name once")
    if (length := sum(field.high for field in fields if field.kind == "text")) > MOST_TEXT:
        raise wrong("FIELDS", f"texts of {length} characters together", f"at most {MOST_TEXT}: a request has its limit")
    return fields


def _field(part: str) -> Field:
    found = _FIELD.fullmatch(part)
    if not found:
        raise wrong("FIELDS", part, "name:kind, such as title:text(1..80), note:text? or price:decimal(12,2)")
    name, kind, rule = found["name"], found["kind"], found["rule"]
    _require_name(name)
    if kind not in KINDS:
        raise wrong(f"FIELDS: kind of {name}", kind, f"one of {', '.join(KINDS)}")
    if rule is not None and not KINDS[kind]:
        raise wrong(f"FIELDS: rule of {name}", rule, f"none: {kind} takes no rule")
    is_optional = bool(found["optional"])
    if kind == "decimal":
        digits, places = _parts(name, rule)
        return Field(name, kind, is_optional, digits=digits, places=places)
    if KINDS[kind]:
        low, high = _bounds(name, kind, rule)
        return Field(name, kind, is_optional, low, high)
    return Field(name, kind, is_optional)


def _require_name(name: str) -> None:
    if not _NAME.fullmatch(name) or len(name) > 40:
        raise wrong("FIELDS: name", name, "lower-case ASCII letters, digits and single _, at most 40, a letter first")
    reason = _TAKEN.get(name) or ("Python keeps that name" if keyword.iskeyword(name) else "")
    for beginning, whose in _TAKEN_BY_BEGINNING.items():
        reason = reason or (f"{whose} keeps names that begin so" if name.startswith(beginning) else "")
    if reason:
        raise wrong("FIELDS: name", name, f"another name: {reason}")


def _bounds(name: str, kind: str, rule: str | None) -> tuple[int, int]:
    least, most = (0, MOST_TEXT) if kind == "text" else (-SAFE_INT, SAFE_INT)
    if rule is None:
        return (1, 200) if kind == "text" else (least, most)
    found = _RANGE.fullmatch(rule)
    low, high = (int(found[1]), int(found[2])) if found else (0, 0)
    is_same_length = kind == "text" and 0 < low == high
    if not found or not (least <= low < high <= most or is_same_length) or high > most:
        raise wrong(f"FIELDS: rule of {name}", rule, f"low..high from {least} to {most}, such as {KINDS[kind]}")
    return low, high


def _parts(name: str, rule: str | None) -> tuple[int, int]:
    found = _PARTS.fullmatch("12,2" if rule is None else rule)
    digits, places = (int(found[1]), int(found[2])) if found else (0, 0)
    if not found or not places < digits <= 15:  # SQLite keeps a binary number, exact to 15 digits
        raise wrong(f"FIELDS: rule of {name}", rule or "", "digits,places with places < digits <= 15: decimal(12,2)")
    return digits, places


def examples(field: Field) -> tuple[str, str]:
    """Two texts that the rule of a text allows."""
    words = field.name.replace("_", " ").capitalize()
    first, second = (text[: field.high] for text in (words, f"Other {words.lower()}"))
    if field.low > len(first):
        first, second = first.ljust(field.low, "."), "x" * field.low
    return first, second if second != first else "x" * field.high


def literal(text: str) -> str:
    """A text in Python; a long one as what it is made of."""
    head = text.rstrip(text[-1:])
    if len(text) - len(head) < 60:
        return json.dumps(text)
    tail = f'"{text[-1]}" * {len(text) - len(head)}'
    return f"{json.dumps(head)} + {tail}" if head else tail
