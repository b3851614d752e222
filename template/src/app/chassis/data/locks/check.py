"""Whom new revisions would keep waiting on PostgreSQL: their SQL, judged by squawk and by the rules in rules.toml.

May import contract, feature, http, sql, text.
"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tokenize
import tomllib
from collections.abc import Collection, Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from app.chassis.contract.base import NoHistoryError, NothingReleasedError, find_release
from app.chassis.data.locks.sql import LocksError, rendered
from app.chassis.data.locks.text import Name, Part, is_made, parts
from app.chassis.feature import MigrationRoom
from app.chassis.http.recordings import shown

__all__ = ["check", "new_revisions"]

_UNREAD, _WIDE = "syntax-error", "constraint-missing-not-valid"
_DEFAULT = "adding-field-with-default"
_ACCEPTS = re.compile(r"#\s*squawk-ignore\s+([a-z-]+)\s+--\s+(\S.{9,})")
# What stands there writes no row: of numbers alone, or kept nowhere.
_NUMBERS, _VIRTUAL = re.compile(r"[-+*/().\d\s]+"), re.compile(r"GENERATED\s.*\sVIRTUAL", re.IGNORECASE | re.DOTALL)
# Squawk takes the table for new, whichever it is.
_MAYBE_MADE = re.compile(r"CREATE ([A-Z]+ )*TABLE IF NOT EXISTS |CREATE ((GLOBAL|LOCAL) )?TEMP")


class _Accepted(NamedTuple):
    file: Path
    line: int
    rule: str
    reason: str


def new_revisions(root: Path, given: str | None) -> tuple[set[str], str]:
    """Names of the team's revisions that no release holds, and a line that says how that is known.

    Raises:
        ContractError: git cannot tell.
    """
    names = {path.name for path in (root / "migrations/versions").glob("*.py")}
    try:
        base = find_release(root, given)
    except (NothingReleasedError, NoHistoryError) as error:
        return names, f"nothing released, every revision is new: {str(error).partition(';')[0]}"
    names -= {Path(path).name for path in base.files("migrations/versions")}
    return names, f"base: {base.name}, {base.why}"


def check(room: MigrationRoom, names: Collection[str]) -> tuple[list[str], int]:
    """Lines about the room's revisions in files of those names, and how many findings nobody accepted.

    Raises:
        LocksError: it cannot be told.
    """
    table = tomllib.loads(Path(__file__).with_name("rules.toml").read_text(encoding="utf-8"))
    rules = {name: one for one in table["on"] + table["own"] for name in one["rules"]}
    lines, bad, made = [], 0, set[Name]()
    for file, each in groupby(rendered(room, names), lambda one: one.file):
        statements = list(each)
        accepted = [_accepted_at(file, one.line) for one in statements]
        used = {one[_UNREAD] for one in accepted if _UNREAD in one}
        sent = [  # what squawk cannot read would hide the rest from it
            _blank(one.sql) if _UNREAD in mine else one.sql for one, mine in zip(statements, accepted, strict=True)
        ]
        for index, rule, said in _judged(sent, rules, made):
            where = f"{shown(file)}:{statements[index].line}: {rule}"
            sql = " ".join(statements[index].sql.split())[:200].rstrip("; ")
            if rule in accepted[index]:
                used.add(accepted[index][rule])
            elif rule == _UNREAD:
                way_out = f"SQL of PostgreSQL, or # squawk-ignore {rule} -- REASON"
                raise LocksError(f"{where}: {sql}: {said}; expected {way_out}")
            else:
                bad += 1
                told = (sql, f"lock: {rules[rule]['lock']}", f"instead: {rules[rule]['instead']}")
                lines += [f"BAD {where}", *(f"    {one}" for one in told)]
        for one in _accepted_in(file):
            effect = f"accepted: {one.reason}" if one in used else "lets nothing pass"
            lines.append(f"{shown(file)}:{one.line}: {one.rule} {effect}")
    return lines, bad


def _accepted_in(file: Path) -> Iterator[_Accepted]:
    """Each comment `# squawk-ignore RULE -- REASON` of a revision."""
    with tokenize.open(file) as text:
        for token in tokenize.generate_tokens(text.readline):
            if token.type == tokenize.COMMENT and re.match(r"#\s*squawk", token.string):
                if not (says := _ACCEPTS.fullmatch(token.string)):
                    expected = "# squawk-ignore RULE -- REASON, one rule, ten characters or more"
                    raise LocksError(f"{shown(file)}:{token.start[0]}: {token.string}; expected {expected}")
                yield _Accepted(file, token.start[0], says[1], says[2])


def _accepted_at(file: Path, line: int) -> dict[str, _Accepted]:
    """By rule, those in the innermost statement of Python around the line, and right above it."""
    source = file.read_text(encoding="utf-8")
    lines, first, last = source.splitlines(), line, line
    for node in ast.walk(ast.parse(source)):  # the outer before the inner
        if isinstance(node, ast.stmt) and node.lineno <= line <= (node.end_lineno or 0):
            first, last = node.lineno, node.end_lineno or line
    while first > 1 and lines[first - 2].lstrip().startswith("#"):
        first -= 1
    return {one.rule: one for one in _accepted_in(file) if first <= one.line <= last}


def _judged(sent: Sequence[str], rules: Mapping[str, Any], made: set[Name]) -> Iterator[tuple[int, str, str]]:
    """Index of a text, the rule it breaks, what squawk says; nothing about what is new, which it adds to `made`."""
    read = [_hidden(one) for one in sent]
    found, at = _said("".join(read), {_UNREAD, *rules}), 0
    made -= {one for one in made if one.schema == "pg_temp"}  # gone with the session of its revision
    for index, sql in enumerate(sent):
        height = sql.count("\n")
        mine = [(_place(read[index], one, at), one) for one in found if at <= one["line"] < at + height]
        for part in parts(sql):
            said = [(name, "") for name, one in rules.items() if "text" in one and re.match(one["text"], part.flat)]
            for place, one in mine:
                if part.start <= place[0] < part.start + len(part.sql) and not _is_quick(part, place, one):
                    said.append((one["rule_name"], one["message"]))
            new = is_made(part.changes, made)
            yield from ((index, *one) for one in said if not new or one[0] == _UNREAD)
            if new and part.flat.startswith("DROP"):
                made.remove(new)
            made |= part.made(made)
        at += height


def _blank(sql: str) -> str:
    return re.sub("[^\n]", " ", sql)


def _hidden(sql: str) -> str:
    for one in parts(sql):
        if _MAYBE_MADE.match(one.flat):
            sql = sql[: one.start] + _blank(one.sql) + sql[one.start + len(one.sql) :]
    return sql


def _is_quick(part: Part, place: tuple[int, int], found: Mapping[str, Any]) -> bool:
    value = part.sql[place[0] - part.start : place[1] - part.start]
    is_virtual = _VIRTUAL.fullmatch(value) and "NOT NULL" not in part.flat  # else each row is looked at
    return found["rule_name"] == _DEFAULT and bool(_NUMBERS.fullmatch(value) or is_virtual)


def _place(sql: str, found: Mapping[str, Any], at: int) -> tuple[int, int]:
    """From where to where in the text that begins in line `at`: squawk counts bytes of a line."""
    lines = sql.split("\n")
    first, last = (
        len("\n".join([*lines[:line], lines[line].encode()[:column].decode(errors="ignore")]))
        for line, column in (
            (found["line"] - at, found["column"]),
            (min(found["line_end"] - at, len(lines) - 1), found["column_end"]),
        )
    )
    return min(first, len(sql) - 1), last


def _said(sql: str, rules: Collection[str]) -> list[dict[str, Any]]:
    folders = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    # No file of settings, no comment in SQL silences it: a reason stands in the revision.
    command = [shutil.which("squawk", path=folders) or "squawk", "--config", os.devnull, "--reporter", "json"]
    text = sql.replace("squawk-", "squawk_")
    try:
        done = subprocess.run(command, input=text.encode(), capture_output=True, check=False)  # noqa: S603  # our own words
        found = [one for one in json.loads(done.stdout) if one["rule_name"] in rules]
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise LocksError(f"squawk does not run: {error}; expected the one that `make setup` installs") from None
    ends = [(one["line_end"], one["column_end"]) for one in found if one["rule_name"] != _WIDE]
    return [one for one in found if one["rule_name"] != _WIDE or (one["line_end"], one["column_end"]) not in ends]
