"""The tests of a new domain: the texts of ops/domain/, filled. Standard library only."""

from typing import Any

from domain_fields import Field, examples, literal
from domain_names import Names
from domain_texts import filled, words_of

_TWO: dict[str, tuple[Any, Any]] = {
    "bool": (True, False),
    "date": ("2030-01-31", "2031-02-28"),
    "datetime": ("2030-01-31T12:00:00Z", "2031-02-28T00:00:00Z"),
    "email": ("ada@example.com", "bob@example.com"),
    "uuid": ("00000000-0000-4000-8000-000000000001", "00000000-0000-4000-8000-000000000002"),
}
# Values that are refused, and what is expected instead.
_WRONG: dict[str, list[tuple[Any, str]]] = {
    "bool": [(1, "true or false"), ("true", "true or false")],
    "date": [(20300131, "a date such as 2030-01-31"), ("2030-02-30", "a date such as 2030-01-31")],
    "datetime": [
        (1900000000, "a date and time such as 2030-01-31T12:00:00Z"),
        ("2030-01-31T12:00:00", "a date and time with a zone, such as 2030-01-31T12:00:00Z"),
    ],
    "email": [("nobody", "an e-mail address such as ada@example.com"), (7, "a text")],
    "uuid": [("nothing", "a UUID such as 123e4567-e89b-12d3-a456-426614174000"), (7, "a UUID")],
}


def suite_files(names: Names, fields: list[Field], root: str = "") -> dict[str, str]:
    """The files of `tests/<name>`, by their names; `root` stands before each path."""
    refused = [(field.name, *case) for field in fields for case in _refused(field)]
    refused.append(("no_such_field", 1, "only the names this service documents"))
    first, second = bodies(fields)
    words = words_of(names) | {
        "first": _members(first),
        "second": _members(second),
        "refused": "\n".join(f"        ({', '.join(map(_shown, case))})," for case in refused),
        "missing": "",
        "path": f"{root}/{names.many}",
    }
    for text, is_optional in (("needed", False), ("optional", True)):
        if told := [field.name for field in fields if field.is_optional == is_optional]:
            words["missing"] += filled(f"tests_{text}.py", words | {"names": ", ".join(map(_shown, told))})
    return {
        "__init__.py": "",
        "seed.py": filled("seed.py", words),
        f"test_{names.many}.py": filled("tests.py", words),
    }


def bodies(fields: list[Field]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two requests with every field, and in each another value."""
    pairs = {field.name: _two(field) for field in fields}
    return {name: pair[0] for name, pair in pairs.items()}, {name: pair[1] for name, pair in pairs.items()}


def _two(field: Field) -> tuple[Any, Any]:
    if field.kind == "text":
        return examples(field)
    if field.kind == "int":
        return field.low, field.high
    if field.kind == "decimal":
        rest = f".{'5'.ljust(field.places, '0')}" if field.places else ""
        return f"1{rest}", f"2{rest}"
    return _TWO[field.kind]


def _refused(field: Field) -> list[tuple[Any, str]]:
    if field.kind == "text":
        short = [("x" * (field.low - 1), f"at least {field.low} characters")] if field.low else []
        return [*short, ("x" * (field.high + 1), f"at most {field.high} characters"), (7, "a text")]
    if field.kind == "int":
        bounds = [(field.low - 1, f"{field.low} or more"), (field.high + 1, f"{field.high} or less")]
        return [*bounds, (True, "a whole number"), ("1", "a whole number")]
    if field.kind == "decimal":
        whole, part = f"[0-9]{{1,{field.digits - field.places}}}", rf"\.[0-9]{{{field.places}}}" if field.places else ""
        return [(1, "a text"), ("one", f"a text that matches ^{whole}{part}$")]
    return _WRONG[field.kind]


def _members(body: dict[str, Any]) -> str:
    return ", ".join(f"{_shown(name)}: {_shown(value)}" for name, value in body.items())


def _shown(value: Any) -> str:
    return literal(value) if isinstance(value, str) else repr(value)
