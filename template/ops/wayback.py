"""Whether an older release can serve the database that a newer one migrated. Standard library only.

Read from the text of the revisions between the two. What they add, the older one does not know and does not need; what
they take away or tighten is unsafe, unless the older release's code never names it.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass

from releases import NotDeployedError, git, has

FOLDER = "migrations/versions"
SAFE = frozenset(
    (
        "add_column",
        "batch_alter_table",
        "create_index",
        "create_table",
        "create_table_comment",
        "drop_constraint",
        "drop_index",
        "drop_table_comment",
        "f",
        "get_bind",
        "get_context",
    )
)
TAKES = {"drop_column": "removes", "drop_table": "removes", "rename_table": "renames"}
TIGHTENS = frozenset(
    (
        "create_check_constraint",
        "create_exclude_constraint",
        "create_foreign_key",
        "create_primary_key",
        "create_unique_constraint",
    )
)


@dataclass(frozen=True)
class Finding:
    """What a revision does that an older release may not stand: `is_unsafe` is None where it cannot be told."""

    place: str
    what: str
    is_unsafe: bool | None


def findings(older: str, newer: str) -> list[Finding]:
    """What stands between two commits, the oldest revision first.

    Raises:
        NotDeployedError: git does not have one of them.
    """
    before, after = (
        git("ls-tree", "-r", "-z", "--name-only", commit, "--", f"{FOLDER}/").split("\0") for commit in (older, newer)
    )
    added = sorted({path for path in after if path.endswith(".py")} - set(before))
    found = [one for path in added for one in _of(path, git("show", f"{newer}:./{path}"))]
    return [one for one in found if not _unknown_to(older, one)]


def _of(path: str, text: str) -> Iterator[Finding]:
    """What one revision does, by the calls of its `upgrade`: `op.…`, and `batch.…` within `op.batch_alter_table`."""
    try:
        (upgrade,) = (one for one in ast.parse(text).body if isinstance(one, ast.FunctionDef) and one.name == "upgrade")
    except (SyntaxError, ValueError) as error:
        yield Finding(f"{path}:{getattr(error, 'lineno', 1)}", "is no revision", None)
        return
    tables: dict[str, list[str]] = {"op": []}
    items = [item for node in ast.walk(upgrade) if isinstance(node, ast.With) for item in node.items]
    for item in items:
        if isinstance(item.optional_vars, ast.Name) and isinstance(item.context_expr, ast.Call):
            tables[item.optional_vars.id] = _texts(item.context_expr)[:1]
    for call in (node for node in ast.walk(upgrade) if isinstance(node, ast.Call)):
        match call.func:
            case ast.Attribute(value=ast.Name(id=name), attr=verb) if name in tables:
                what = _judged(verb, call, ".".join([*tables[name], *_texts(call)][:2]))
                if what:
                    yield Finding(f"{path}:{call.lineno}", *what)


def _judged(verb: str, call: ast.Call, what: str) -> tuple[str, bool | None] | None:
    """What a call does in words, and whether it is unsafe; None if it only adds."""
    keywords = {one.arg: one.value for one in call.keywords}
    if verb == "alter_column":
        is_tighter = isinstance(keywords.get("nullable"), ast.Constant) and keywords["nullable"].value is False
        return (f"changes {what}", True) if is_tighter or keywords.keys() & {"new_column_name", "type_"} else None
    if verb == "add_column" and _is_demanding(call):
        return f"adds {what}, which must be given", True
    if verb in TAKES:
        return f"{TAKES[verb]} {what}", True
    if verb in TIGHTENS:
        return f"{verb.replace('_', ' ')} on {what}", None
    return None if verb in SAFE else (f"{verb}: its effect cannot be read", None)


def _is_demanding(call: ast.Call) -> bool:
    """Whether a new column has no value of its own where an older release inserts a row without it."""
    for one in ast.walk(call):
        match one:
            case ast.Call(func=ast.Attribute(attr="Column"), keywords=given):
                keywords = {each.arg: each.value for each in given}
                nullable = keywords.get("nullable")
                is_required = isinstance(nullable, ast.Constant) and nullable.value is False
                return is_required and "server_default" not in keywords
    return False


def _texts(call: ast.Call) -> list[str]:
    """The texts among a call's arguments: names of tables and columns."""
    found = []
    for one in call.args:
        if isinstance(one, ast.Constant) and isinstance(one.value, str):
            found.append(one.value)
        elif isinstance(one, ast.Call):
            found += _texts(one)[:1]
    return found


def _unknown_to(commit: str, finding: Finding) -> bool:
    """Whether the older release's code never names what is taken away."""
    removed = re.fullmatch(r"removes (?:\w+\.)?(\w+)", finding.what)
    if not removed:
        return False
    try:
        git("grep", "--quiet", "--word-regexp", "--fixed-strings", "-e", removed[1], commit, "--", "src")
    except NotDeployedError:
        return True
    return False


def verdict(older: str, newer: str, version: str) -> tuple[bool | None, list[str]]:
    """Whether `version`, at the commit `older`, can serve what `newer` migrated, None if unknown; and why, in lines.

    A commit that git does not have, as in a clone that is shallow, is no reason to be stuck: it is unknown.

    Raises:
        NotDeployedError: git cannot be asked.
    """
    for commit in (older, newer):
        if not has(commit):
            return None, [f"rollback to {version}: UNKNOWN", f"the commit {commit[:8]} is not in this repository"]
    found = findings(older, newer)
    lines = [f"{one.place}: {one.what}" for one in found]
    if any(one.is_unsafe for one in found):
        return False, [f"rollback to {version}: UNSAFE", *lines]
    if found:
        return None, [f"rollback to {version}: UNKNOWN", *lines]
    return True, [f"rollback to {version}: safe, no revision between takes away or tightens what it uses"]
