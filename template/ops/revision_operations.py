"""What one of alembic's operations does to an older release that runs on the same database. Standard library only.

Each finding is what it does in words, whether that is unsafe (None if it cannot be told), which name the older
release's code must have for it to count, the table that may not be new for it to count, and the table that it creates.
"""

import ast
from collections.abc import Iterator
from typing import Any

ADDS = frozenset(("batch_alter_table", "create_table", "create_table_comment", "drop_table_comment", "f"))
TAKES = {"drop_column": "removes", "drop_table": "removes", "rename_table": "renames"}
LOOSENS = frozenset(("drop_constraint", "drop_index"))  # an older release misses it only where it counts on conflicts
TIGHTENS = frozenset(
    (
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_primary_key",
        "create_unique_constraint",
    )
)
ON_CONFLICT = "on_conflict"
UNTOLD = "?"


def operation(verb: str, call: ast.Call, table: list[str]) -> Iterator[tuple[Any, ...]]:
    """What one of alembic's operations does, and whether it is unsafe; nothing if it only adds."""
    what = ".".join([*table, *texts(call)][:2])
    given = {one.arg: one.value for one in call.keywords}
    named = what.rpartition(".")[2] or None
    of_table = (table or texts(call)[verb != "add_column" :] or [""])[0]
    is_told = None not in given and not any(isinstance(one, ast.Starred) for one in call.args)
    if not is_told or given.keys() & {"copy_from", "table_args"}:
        yield f"{verb}: its effect cannot be read", None
    elif verb in TAKES:
        yield f"{TAKES[verb]} {what}", True, named if verb != "rename_table" else None
    elif verb in TIGHTENS or (verb == "create_index" and "unique" in given and _said(given["unique"]) is not False):
        yield (
            f"{'creates a unique index' if verb == 'create_index' else verb.replace('_', ' ')} on {what}",
            None,
            None,
            of_table,
        )
    elif verb in LOOSENS:
        yield f"{verb.replace('_', ' ')} {what}", None, ON_CONFLICT
    elif verb == "alter_column":
        yield from _altered(given, what)
    elif verb == "add_column":
        yield from ((*one, None, of_table) for one in _added(call, what))
    elif verb not in ADDS | {"create_index"}:
        yield f"{verb}: its effect cannot be read", None
    if verb == "create_table":
        yield "", None, None, "", (texts(call) or ["?"])[0]
    if verb in ("create_table", "add_column"):
        yield from _references(call, what)


def _altered(given: dict[str | None, ast.expr], what: str) -> Iterator[tuple[Any, ...]]:
    nullable, named = _said(given.get("nullable")), what.rpartition(".")[2]
    if given.keys() & {"new_column_name", "type_"} or ("nullable" in given and nullable is False):
        yield f"changes {what}", True
    elif "nullable" in given:
        yield f"lets {what} be empty", None, named
    if "server_default" in given and _said(given["server_default"]) in (None, False):
        yield f"takes the default of {what} away", None


def _added(call: ast.Call, what: str) -> Iterator[tuple[Any, ...]]:
    """Whether a new column has no value of its own where an older release inserts a row without it."""
    columns = [one for one in ast.walk(call) if isinstance(one, ast.Call) and _last(one.func) == "Column"]
    for one in columns:
        given = {each.arg: each.value for each in one.keywords}
        has_value = "server_default" in given and _said(given["server_default"]) not in (None, False)
        nullable = _said(given["nullable"]) if "nullable" in given else True
        if None in given or nullable == UNTOLD:
            yield f"adds {what}, and does not tell whether it may be empty", None
        elif (nullable is False or _said(given.get("primary_key")) is True) and not has_value:
            yield f"adds {what}, which must be given", True
        elif "unique" in given and has_value:
            yield f"adds {what}, of which no two may be the same", True
    if not columns:
        yield f"adds to {what} what cannot be read", None


def _references(call: ast.Call, what: str) -> Iterator[tuple[Any, ...]]:
    """A row that a new one refers to can no longer be removed, by a release that does not know of it."""
    for one in (one for one in ast.walk(call) if isinstance(one, ast.Call)):
        given = {each.arg: each.value for each in one.keywords}
        if _last(one.func) in ("ForeignKey", "ForeignKeyConstraint") and _said(given.get("ondelete")) in (None, UNTOLD):
            to = [text for each in ast.walk(one) if "." in (text := str(_said(each)))]
            table = to[0].split(".")[-2] if to else ""
            yield f"{what} refers to {table or 'a table'}, whose rows it keeps from removal", None, table or None, table


def _said(value: ast.AST | None) -> object:
    """A constant's value; None where there is none, UNTOLD where the text does not tell."""
    return value.value if isinstance(value, ast.Constant) else None if value is None else UNTOLD


def _last(func: ast.expr) -> str:
    return func.attr if isinstance(func, ast.Attribute) else func.id if isinstance(func, ast.Name) else ""


def texts(call: ast.Call) -> list[str]:
    """The texts among a call's arguments: names of tables and columns."""
    found = []
    for one in call.args:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            found.append(one.value)
        elif isinstance(one, ast.Call):
            found += texts(one)[:1]
    return found
