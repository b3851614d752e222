"""Whom new revisions would keep waiting on PostgreSQL: their SQL, judged by squawk's rules in rules.toml.

May import contract, features, http, sql.
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
from collections.abc import Collection, Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from app.chassis.contract.base import NoHistoryError, NothingReleasedError, find_release
from app.chassis.data.locks.sql import LocksError, rendered
from app.chassis.features import MigrationRoom
from app.chassis.http.recordings import shown

__all__ = ["check", "new_revisions"]

_UNREAD, _WIDE = "syntax-error", "constraint-missing-not-valid"
_ACCEPTS = re.compile(r"#\s*squawk-ignore\s+([a-z-]+)\s+--\s+(\S.{9,})")
_NAME = r'(?:(?:"[^"]+"|[\w$]+)\.)?("[^"]+"|[\w$]+)(?![\w$]|\s*,)'
_IF = r"(?:CONCURRENTLY\s+)?(?:IF\s+(?:NOT\s+)?EXISTS\s+)?(?:ONLY\s+)?"
_KIND = r"(?:MATERIALIZED\s+)?(?:TABLE|VIEW|TYPE|SEQUENCE|FUNCTION|DOMAIN|SCHEMA)\s+"
_INDEX = r"CREATE\s+(?:UNIQUE\s+)?INDEX\s+"
_MADE = re.compile(rf"\bCREATE\s+{_KIND}{_IF}{_NAME}", re.IGNORECASE)
_MADE_INDEX = re.compile(rf"\b{_INDEX}{_IF}{_NAME}\s+ON\s+{_IF}{_NAME}", re.IGNORECASE)
_CHANGED = re.compile(
    rf"\b(?:(?:ALTER|DROP|REINDEX)\s+(?:INDEX\s+|{_KIND})|{_INDEX}[^;]*?\bON\s+){_IF}{_NAME}", re.IGNORECASE
)


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
    rules = {name: one for one in table["on"] for name in one["rules"]}
    lines, bad, made = [], 0, set[str]()
    for file, each in groupby(rendered(room, names), lambda one: one.file):
        statements = list(each)
        accepted = [_accepted_at(file, one.line) for one in statements]
        used = {one[_UNREAD] for one in accepted if _UNREAD in one}
        sent = [  # what squawk cannot read would hide the rest from it
            re.sub("[^\n]", " ", one.sql) if _UNREAD in mine else one.sql
            for one, mine in zip(statements, accepted, strict=True)
        ]
        for index, rule, said in _judged(sent, {_UNREAD, *rules}, made):
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


def _judged(sent: Sequence[str], rules: Collection[str], made: set[str]) -> Iterator[tuple[int, str, str]]:
    """Index of a text, the rule it breaks, what squawk says; nothing about what is new, which it adds to `made`."""
    found, at = _said("".join(sent), rules), 0
    for index, sql in enumerate(sent):
        height = sql.count("\n")
        for one in (one for one in found if at <= one["line"] < at + height):
            lines = sql.split("\n")[: one["line_end"] - at + 1]
            until = "\n".join([*lines[:-1], lines[-1][: one["column_end"]]]).rstrip("; \n")
            changed = _CHANGED.search(until.rpartition(";")[2])
            if not changed or changed[1].strip('"').lower() not in made | _made_by(until, made):
                yield index, one["rule_name"], one["message"]
        at += height
        made |= _made_by(sql, made)


def _made_by(sql: str, made: set[str]) -> set[str]:
    """What the text creates; an index only where its table is as new."""
    names = {name.strip('"').lower() for name in _MADE.findall(sql)}
    indexes = [(index.strip('"').lower(), table.strip('"').lower()) for index, table in _MADE_INDEX.findall(sql)]
    return names | {index for index, table in indexes if table in made | names}


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
