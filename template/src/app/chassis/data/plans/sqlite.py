"""Plans of SQLite, as EXPLAIN QUERY PLAN tells them. May import facts, sql."""

import re
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from app.chassis.data.plans.facts import MANY_ROWS, Facts, Look, Step
from app.chassis.data.plans.sql import Block, read

__all__ = ["look_at_sqlite"]

# Source: https://www.sqlite.org/eqp.html
_READS = re.compile(
    r"(?P<how>SCAN|SEARCH) (?:TABLE )?(?P<alias>.+?)(?: AS (?P<as>.+?))?(?: USING (?P<using>.*?))?(?: LEFT-JOIN)?\Z"
)
_INDEX = re.compile(r"(?:COVERING )?INDEX (?P<name>.+?)(?: \((?P<keys>.*)\))?\Z")
_WINDOW = re.compile(r"(?i)\s+LIMIT\s+(\?|\d+)(?:\s+OFFSET\s+(?:\?|\d+))?\s*(?=\)|;?\s*\Z)")
Execute = Callable[[str, Sequence[Any]], Sequence[Sequence[Any]]]


def look_at_sqlite(
    execute: Execute, statement: str, parameters: Sequence[Any], blocks: Sequence[Block], facts: Facts
) -> Look:
    """Explain the statement and say which steps are costly; it may be run to see how many rows pass its WHERE."""
    rows = [(row[1], row[3]) for row in execute(f"EXPLAIN QUERY PLAN {statement}", parameters)]
    look = Look("; ".join(told for _, told in rows), blocks)
    passes = _Passes(execute, statement, parameters)
    for parent in dict.fromkeys(parent for parent, _ in rows):
        _look_at_loop([told for above, told in rows if above == parent], look, facts, passes)
    return look


def _look_at_loop(lines: Sequence[str], look: Look, facts: Facts, passes: "_Passes") -> None:
    """One loop: tables inside each other, then what is sorted."""
    is_sorted = any("TEMP B-TREE" in line and "TERM" not in line and "PART" not in line for line in lines)
    number, first = 1, None
    for line in lines:
        if not (found := _READS.match(line)):
            if re.match(r"USE TEMP B-TREE FOR ORDER BY", line) and number >= MANY_ROWS and first is not None:
                look.steps.append(Step("sort", first[0], first[1], number))
            continue
        alias = found["as"] or found["alias"]
        block = next((one for one in look.blocks if alias in one.tables), None)
        table = block.tables[alias] if block else alias
        total = facts.rows.get(table, 0)
        index = _INDEX.match(found["using"] or "")
        if index and index["name"] in facts.indexes:
            look.used.add(index["name"])
        read = _rows_read(found, index, total, facts)
        if index and "ANY(" in (index["keys"] or "") and total >= MANY_ROWS:
            look.steps.append(Step("skip", table, alias, total))
        elif read >= MANY_ROWS and _is_scan(found) and not _is_end_of_key(found, block, facts.keys.get(table)):
            is_bounded = first is None and not is_sorted and block and block.has_limit and not block.is_grouped
            if block and is_bounded and not look.has_pattern(alias):
                read = passes.rows_until(block, total)
            if read >= MANY_ROWS:
                look.steps.append(Step("scan", table, alias, read))
        first = first or (table, alias)
        number *= max(read, 1)


def _is_scan(found: re.Match[str]) -> bool:
    """A SEARCH without a word on how looks for the smallest or largest value in every row."""
    using = found["using"] or ""
    return found["how"] == "SCAN" or not using or using.startswith("AUTOMATIC")


def _is_end_of_key(found: re.Match[str], block: Block | None, key: Sequence[str] | None) -> bool:
    """The smallest or largest key is at an end of the table itself: SQLite then names no index."""
    is_search = found["how"] == "SEARCH" and not found["using"]
    return is_search and block is not None and [name for (_, name), _ in block.order] == key


def _rows_read(found: re.Match[str], index: re.Match[str] | None, total: int, facts: Facts) -> int:
    """Rows that a step is likely to read."""
    using = found["using"] or ""
    if _is_scan(found):
        return 0 if using.startswith("VIRTUAL") else total
    if index is None:  # the key of the table
        return 1 if "=?" in using else total // 4
    keys = index["keys"] or ""
    equal, shares = keys.count("=?"), facts.shares.get(index["name"], [])
    if not keys:
        return 1
    rows = shares[equal - 1] if 0 < equal <= len(shares) else (1 if equal else total)
    return rows // 4 if re.search(r"[<>]", keys) else rows


class _Passes:
    """How many rows a LIMIT must look at: counted, for SQLite does not estimate it."""

    def __init__(self, execute: Execute, statement: str, parameters: Sequence[Any]) -> None:
        self._execute, self._statement, self._parameters = execute, statement, parameters

    def rows_until(self, block: Block, total: int) -> int:
        """Rows read until the limit is reached; all of them where nobody can tell."""
        if not block.conditions:
            return 0
        sent, wanted = self._statement, [replace(block, has_limit=False)]
        for window in _WINDOW.finditer(sent):
            starts = [one.end() for one in re.finditer(r"\A|\(", sent[: window.start()])]
            start = next((one for one in reversed(starts) if read(sent[one : window.start()])[:1] == wanted), None)
            if start is None:
                continue
            before, behind = (re.sub(r"'[^']*'", "", sent[:end]).count("?") for end in (start, window.start()))
            limit = self._parameters[behind] if window[1] == "?" else window[1]
            # Its own text, parameters as they were: nothing is put into it.
            count = f"SELECT count(*) FROM ({sent[start : window.start()]})"  # noqa: S608
            try:
                passing = int(self._execute(count, self._parameters[before:behind])[0][0])
            except SQLAlchemyError:  # it asks for what only the statement around it knows
                break
            return min(total, total * int(limit) // max(passing, 1))
        return total
