"""Reads a statement as it was sent: which tables, columns compared and in which way, order, limit.

Imports nothing of the chassis. Only what an index could serve is read; what is not understood is left out.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

__all__ = ["Block", "Condition", "Name", "read"]

_CAST = re.compile(r"(\$\d+)::[A-Za-z_]+(?: PRECISION| WITH(?:OUT)? TIME ZONE)?(?:\([\d, ]+\))?(?:\[\])?")
_PIECE = re.compile(
    r"--[^\n]*|/\*[^*]*\*+(?:[^*/][^*]*\*+)*/|'(?:[^']|'')*'|\"[^\"]+\"|\$\d+|[^\W\d]\w*|\d[\d.]*|::|<>|!=|<=|>=|\|\||!?~~?\*?|\S"
)
_CLAUSES = set(
    re.findall(r"\w+", "SELECT FROM WHERE GROUP HAVING ORDER LIMIT OFFSET FETCH FOR SET RETURNING UPDATE DELETE VALUES")
)
_JOINS = set(re.findall(r"\w+", "JOIN ON LEFT RIGHT FULL INNER OUTER CROSS NATURAL USING LATERAL ONLY"))
_WORDS = set(
    re.findall(r"\w+", "AND OR NOT IN IS NULL LIKE ILIKE BETWEEN EXISTS AS DISTINCT ANY ASC DESC BY TRUE FALSE")
)
_WORDS |= _CLAUSES | _JOINS
_SETS = {"UNION", "INTERSECT", "EXCEPT"}
_KINDS = {"=": "equal", "IN": "equal", "IS": "equal", "BETWEEN": "range"}
_KINDS |= dict.fromkeys(("<", ">", "<=", ">="), "range") | dict.fromkeys(("<>", "!="), "other")
_KINDS |= dict.fromkeys(("LIKE", "ILIKE", "GLOB", "MATCH", "~", "~*", "~~", "~~*"), "pattern")
_KINDS |= dict.fromkeys(("!~", "!~*", "!~~", "!~~*"), "other")
_AGGREGATE = re.compile(
    r"(?i)(count|sum|avg|min|max|total|array_agg|string_agg|group_concat|json_agg|json_group_array)\Z"
)
Name = tuple[str, str]
"""Alias or table, empty if not said, and column."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A column that is compared: `kind` equal, range, pattern, other or wrapped; `arm` of an OR, 0 if of none."""

    name: Name
    kind: str
    arm: int = 0
    is_join: bool = False
    expression: str = ""


@dataclass(slots=True)
class Block:
    """One SELECT, UPDATE or DELETE: tables by alias, comparisons, order as (column, is descending)."""

    tables: dict[str, str] = field(default_factory=dict)
    conditions: list[Condition] = field(default_factory=list)
    order: list[tuple[Name, bool]] = field(default_factory=list)
    has_limit: bool = False
    is_grouped: bool = False


def read(statement: str) -> list[Block]:
    """Every block of the statement, the outermost first."""
    root: list[Any] = []
    open_lists = [root]
    for piece in _PIECE.findall(_CAST.sub(r"\1", statement)):
        if piece == "(":
            inner: list[Any] = []
            open_lists[-1].append(inner)
            open_lists.append(inner)
        elif piece == ")":
            del open_lists[max(len(open_lists) - 1, 1) :]
        elif not piece.startswith(("--", "/*")):
            open_lists[-1].append(piece)
    return list(_blocks(root))


def _upper(piece: Any) -> str:
    return piece.upper() if isinstance(piece, str) else ""


def _split(pieces: Sequence[Any], *words: str) -> Iterator[list[Any]]:
    """Parts between the words; the AND of a BETWEEN is no such word."""
    part: list[Any] = []
    is_between = False
    for piece in pieces:
        word = _upper(piece)
        if word in words and not (word == "AND" and is_between):
            yield part
            part = []
            continue
        is_between = word == "BETWEEN" or (is_between and word != "AND")
        part.append(piece)
    yield part


def _blocks(pieces: Sequence[Any]) -> Iterator[Block]:
    for part in _split(pieces, *_SETS):
        words = [_upper(piece) for piece in part]
        start = next((place for place, word in enumerate(words) if word in ("SELECT", "UPDATE", "DELETE")), None)
        if start is not None:
            yield _block(part[start:])
        for piece in part:
            if isinstance(piece, list):
                yield from _blocks(piece)


def _block(pieces: Sequence[Any]) -> Block:
    clauses: dict[str, list[Any]] = {}
    current: list[Any] = []
    for piece in pieces:
        if _upper(piece) in _CLAUSES:
            current = clauses.setdefault(_upper(piece), [])
        else:
            current.append(piece)
    block = Block(has_limit="LIMIT" in clauses or "FETCH" in clauses)
    chosen = clauses.get("SELECT", [])
    calls = any(isinstance(b, list) and _AGGREGATE.match(str(a)) for a, b in pairwise(chosen))
    block.is_grouped = calls or "GROUP" in clauses or "DISTINCT" in map(_upper, chosen[:1])
    _read_tables([*clauses.get("UPDATE", []), ",", *clauses.get("FROM", [])], block)
    _read_conditions(clauses.get("WHERE", []), block, 0)
    for part in _split(clauses.get("ORDER", [])[1:], ","):
        names = list(_names(part))
        block.order += [(name, "DESC" in map(_upper, part)) for name in names[:1]]
    if len(chosen) in (2, 4) and _upper(chosen[0]) in ("MIN", "MAX"):  # the first by an index, too
        block.order += [(name, False) for name in _names(chosen[1])]
    return block


def _read_tables(pieces: Sequence[Any], block: Block) -> None:
    for part in _split(pieces, ",", "JOIN"):
        source, *conditions = _split(part, "ON")
        words = [piece for piece in source if _upper(piece) not in _JOINS | set(re.findall(r"\w+", "AS"))]
        for inner in [piece for piece in words if isinstance(piece, list)][:1]:
            if "SELECT" not in map(_upper, inner):
                _read_tables(inner, block)
        names = [piece.strip('"') for piece in words if isinstance(piece, str) and piece != "."]
        if names and isinstance(words[0], str):
            table = names[1] if "." in words else names[0]
            block.tables[names[-1]] = table
        for condition in conditions:
            _read_conditions(condition, block, 0)


def _read_conditions(pieces: Sequence[Any], block: Block, arm: int) -> None:
    arms = list(_split(pieces, "OR"))
    for number, one in enumerate(arms, 1):
        for atom in _split(one, "AND"):
            _read_atom(atom, block, arm * 10 + number if len(arms) > 1 else arm)


def _read_atom(atom: Sequence[Any], block: Block, arm: int) -> None:
    if len(atom) == 1 and isinstance(atom[0], list):
        if "SELECT" not in map(_upper, atom[0]):
            _read_conditions(atom[0], block, arm)
        return
    words = [_upper(piece) for piece in atom]
    place = next((number for number, word in enumerate(words) if word in _KINDS), len(atom))
    kind = _KINDS[words[place]] if place < len(atom) else "equal"
    kind = "other" if "NOT" in words else kind
    left, right = (atom[:place], atom[place + 1 :]) if "BETWEEN" not in words else (atom[:place], [])
    sides = [list(_names(side)) for side in (left, right)]
    for names, side in zip(sides, (left, right), strict=True):
        is_tuple = len(side) == 1 and isinstance(side[0], list)
        is_bare = is_tuple or len(side) <= (3 if "." in side else 1) or kind == "other"
        for name in names:
            expression = "" if is_bare else _text([t for t in side if _upper(t) not in ("NOT", "ESCAPE")])
            block.conditions.append(
                Condition(name, kind if is_bare else "wrapped", arm, all(map(bool, sides)), expression)
            )


def _names(pieces: Sequence[Any]) -> Iterator[Name]:
    """Columns named, those of a query inside left out."""
    if "SELECT" in map(_upper, pieces):
        return
    for place, piece in enumerate(pieces):
        if isinstance(piece, list):
            yield from _names(piece)
            continue
        before, after = pieces[place - 1 : place], [*pieces[place + 1 : place + 2], ""][0]
        is_word = bool(re.match(r'[^\W\d]|"', piece)) and piece.upper() not in _WORDS
        if is_word and not isinstance(after, list) and after != "." and before not in (["::"], ["AS"]):
            yield (pieces[place - 2].strip('"') if before == ["."] else "", piece.strip('"'))


def _text(pieces: Sequence[Any]) -> str:
    """The expression as one would write it, without the table's name."""
    told = ""
    for place, piece in enumerate(pieces):
        if [*pieces[place + 1 : place + 2], ""][0] == "." or piece == ".":
            continue
        if isinstance(piece, list):
            told += f"({_text(piece)})"
        else:
            told += piece if not told or told[-1] in "(:" or piece in ",:" else f" {piece}"
    return told.replace(" ::", "::").replace(":: ", "::")
