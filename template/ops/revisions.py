"""What migrations/versions holds, read without running it. Standard library only."""

import ast
from pathlib import Path


def revisions() -> dict[str, set[str]]:
    """Each revision with those that come right before it."""
    found = dict[str, set[str]]()
    for path in Path("migrations/versions").glob("*.py"):
        told = dict[str, set[str]]()
        for node in ast.parse(path.read_text("utf-8")).body:
            if isinstance(node, ast.AnnAssign | ast.Assign) and node.value is not None:
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
                if isinstance(target, ast.Name):
                    told[target.id] = _texts(node.value)
        found |= {name: told.get("down_revision", set()) for name in told.get("revision", ())}
    return found


def _texts(value: ast.expr) -> set[str]:
    return {one.value for one in ast.walk(value) if isinstance(one, ast.Constant) and isinstance(one.value, str)}


def next_step(restored: set[str]) -> str:
    """What to do after a restore of a database that is at these revisions, as words for the operator."""
    known = revisions()
    newest = known.keys() - set().union(*known.values())
    why = ""
    if restored != newest and restored <= known.keys():
        here, there = (", ".join(sorted(one)) or "none" for one in (newest, restored))
        why = f" (the backup is of revision {there}, this release is at {here})"
    return f"make migrate{why}, then start the service"
