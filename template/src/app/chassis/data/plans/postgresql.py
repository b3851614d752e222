"""Plans of PostgreSQL, as EXPLAIN (FORMAT JSON) tells them. May import facts, sql."""

import re
from collections.abc import Iterator, Sequence
from typing import Any

from app.chassis.data.plans.facts import MANY_ROWS, Facts, Look, Step
from app.chassis.data.plans.sql import Block

__all__ = ["generic", "look_at_postgresql"]

# Nodes that hand a row on as they get it, so that a LIMIT above them ends them early.
_JOINS = {"Nested Loop", "Hash Join", "Merge Join"}
_PASSING = {"Limit", "LockRows", "Subquery Scan", "Result", "Append", "Merge Append", "Memoize"} | _JOINS
_INDEXED = ("Index Scan", "Index Only Scan", "Bitmap Index Scan")
_WINDOW = re.compile(r"\b(LIMIT|OFFSET)\s+\$(\d+)(?:::\w+)?")
_PLACE = re.compile(r"\$(\d+)")


def generic(statement: str, parameters: Sequence[Any]) -> tuple[str, int]:
    """The statement for PREPARE, and how many values it takes: all unknown but the window, whose size is no secret."""
    told = _WINDOW.sub(lambda found: f"{found[1]} {int(parameters[int(found[2]) - 1] or 0)}", statement)
    places: dict[str, int] = {}
    told = _PLACE.sub(lambda found: f"${places.setdefault(found[1], len(places) + 1)}", told)
    return told, len(places)


def look_at_postgresql(plan: dict[str, Any], blocks: Sequence[Block], facts: Facts) -> Look:
    """Say which steps of the plan are costly."""
    look = Look("; ".join(_told(plan)), blocks)
    _walk(plan, None, look, facts)
    return look


def _told(node: dict[str, Any]) -> Iterator[str]:
    """The plan in a line; a value in a condition is left out."""
    words = node["Node Type"]
    if index := node.get("Index Name"):
        words += f" using {index}"
    if table := node.get("Relation Name"):
        words += f" on {table}"
    for name in ("Index Cond", "Filter", "Join Filter"):
        if told := node.get(name):
            words += f" ({name.lower()}: {re.sub(chr(39) + '.*?' + chr(39), '…', told)})"
    yield words
    for child in node.get("Plans", ()):
        yield from _told(child)


def _walk(node: dict[str, Any], limit: int | None, look: Look, facts: Facts) -> None:
    kind, children = node["Node Type"], node.get("Plans", [])
    if kind == "Limit":
        limit = node["Plan Rows"]
    if kind == "Seq Scan" or kind in _INDEXED:
        _look_at_scan(node, limit, look, facts)
    elif kind == "Sort" and (rows := children[0]["Plan Rows"]) >= MANY_ROWS and any(one.order for one in look.blocks):
        table, alias = next(_relations(node), ("", ""))
        look.steps.append(Step("sort", table, alias, rows))
    for child in children:
        is_passing = kind in _PASSING and child.get("Parent Relationship") in ("Outer", "Subquery", "Member")
        wanted = limit if is_passing or kind == "Merge Join" else None
        if wanted is not None and kind in _JOINS:  # rows that find a partner lie anywhere, too
            wanted = wanted * max(child["Plan Rows"], node["Plan Rows"]) // max(node["Plan Rows"], 1)
        _walk(child, wanted, look, facts)


def _look_at_scan(node: dict[str, Any], limit: int | None, look: Look, facts: Facts) -> None:
    index: str = node.get("Index Name", "")
    named: str = node.get("Relation Name", "")
    table, columns = facts.indexes.get(index, (named, ()))
    if index in facts.indexes:
        look.used.add(index)
    alias: str = node.get("Alias", table)
    total = facts.rows.get(table, 0)
    if total < MANY_ROWS:
        return
    condition = node.get("Index Cond")
    if condition is None:
        # Rows that pass lie anywhere: a limit is reached after its share of them.
        read = (
            total
            if limit is None or look.has_pattern(alias)
            else min(total, limit * total // max(node["Plan Rows"], 1))
        )
        if read >= MANY_ROWS and node["Node Type"] != "Bitmap Index Scan":
            look.steps.append(Step("scan", table, alias, read))
    elif columns and columns[0] is not None and not re.search(rf'(?<![\w"])"?{re.escape(columns[0])}"?\b', condition):
        look.steps.append(Step("skip", table, alias, total))


def _relations(node: dict[str, Any]) -> Iterator[tuple[str, str]]:
    if name := node.get("Relation Name"):
        yield name, node.get("Alias", name)
    for child in node.get("Plans", ()):
        yield from _relations(child)
