"""The source of a new domain: the texts of ops/domain/, filled. Standard library only.

Each imports all that it might need: ruff takes out what is not used, and lays it out as the team wants it.
"""

from pathlib import Path
from string import Template

from domain_fields import SAFE_INT, Field, examples, literal
from domain_names import ALIASED, Names

_TEXTS = Path(__file__).parent / "domain"
_PYTHON = {"text": "str", "email": "str", "decimal": "Decimal", "uuid": "UUID"}
_TYPES = """from datetime import date, datetime
from decimal import Decimal
from uuid import UUID
"""


def domain_files(names: Names, fields: list[Field]) -> dict[str, str]:
    """The files of `src/app/domains/<name>`, by their names."""
    columns = [f"    {field.name}: Mapped[{_row(field)}] = mapped_column({_column(field)})" for field in fields]
    members = [f"    {field.name}: {_row(field)}" for field in fields]
    words = words_of(names) | {"columns": "\n".join(columns), "members": "\n".join(members)}
    files = ("errors.py", "models.py", "plans.toml", "queries.py", "service.py")
    return {"__init__.py": f'"""{names.words.capitalize()}."""\n'} | {file: filled(file, words) for file in files}


def api_files(names: Names, fields: list[Field], version: str, *, has_auth: bool) -> dict[str, str]:
    """The files of `src/app/api/<version>/<name>`, by their names."""
    taken = [f"    {field.name}: {_taken(field)}{' = None' * field.is_optional}" for field in fields]
    given = [f"    {field.name}: {_given(field)}" for field in fields]
    words = words_of(names) | {"version": version, "taken": "\n".join(taken), "given": "\n".join(given)}
    return {
        "__init__.py": f'"""{names.words.capitalize()} over HTTP."""\n',
        "access.py": filled("access_guarded.py" if has_auth else "access_open.py", words),
        "routes.py": filled("routes.py", words),
        "schemas.py": filled("schemas.py", words),
    }


def filled(name: str, words: dict[str, str]) -> str:
    """A text of ops/domain/ with these words in it."""
    return Template((_TEXTS / f"{name}.txt").read_text("utf-8")).substitute(words)


def words_of(names: Names) -> dict[str, str]:
    """What the texts call the domain; a name of the chassis that its class has too is another there."""
    told = {
        name: getattr(names, name) for name in ("many", "one", "type", "variable", "words", "a_word", "word", "key")
    }
    told |= {"A_word": names.a_word.capitalize(), "types": _TYPES}
    for name in ALIASED:
        told[name] = f"Chassis{name}" if name == names.type else name
        told[f"import_{name}"] = f"{name} as {told[name]}" if name == names.type else name
    return told


def _row(field: Field) -> str:
    """The type of a field in Python."""
    return f"{_PYTHON.get(field.kind, field.kind)}{' | None' * field.is_optional}"


def _column(field: Field) -> str:
    if field.kind == "decimal":
        return f"Numeric({field.digits}, {field.places})"
    if field.kind in ("text", "email"):
        return f"String({field.high or 254})"
    return ""


def _taken(field: Field) -> str:
    """What a client may send."""
    optional = " | None" * field.is_optional
    if field.kind == "text":
        least = f"min_length={field.low}, " * bool(field.low)
        rule = f"{least}max_length={field.high}, examples=[{literal(examples(field)[0])}]"
        return f"Annotated[str{optional}, Field({rule})]"
    if field.kind == "int":
        return f"Annotated[int{optional}, Field(ge={_number(field.low)}, le={_number(field.high)})]"
    return {"email": f"Email{optional}", "datetime": f"Moment{optional}"}.get(field.kind) or _given(field)


def _given(field: Field) -> str:
    """What a client gets."""
    if field.kind == "decimal":
        return f"Annotated[Decimal, DecimalText({field.digits}, {field.places})]{' | None' * field.is_optional}"
    return _row(field)


def _number(value: int) -> str:
    if abs(value) == SAFE_INT:
        return "2**53 - 1" if value > 0 else "1 - 2**53"
    return f"{value:_}" if abs(value) > 9_999 else str(value)
