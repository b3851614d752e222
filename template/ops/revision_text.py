"""What a revision's text says that it does to the database. Standard library only.

Only what is known to add is passed over. What the text does not tell, such as SQL of its own, a connection that is
handed on, or a function from elsewhere, is a finding that cannot be judged.
"""

import ast
import builtins
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from revision_operations import operation, texts

ASKED = frozenset(("autocommit_block", "dialect"))  # of get_bind() and get_context(): changes nothing
REACHING = frozenset(("__import__", "compile", "eval", "exec", "getattr", "globals", "locals", "vars"))
LIBRARIES = (sys.stdlib_module_names | {"sqlalchemy"}) - {"importlib", "os", "sqlite3", "subprocess", "sys"}


@dataclass(frozen=True)
class Finding:
    """What a revision does that an older release may not stand: `is_unsafe` is None where it cannot be told.

    It does not count where the older release's code never names `named`. One with `creates` is no fault, but a new
    table: what `refers_to` that does not count either.
    """

    place: str
    what: str
    is_unsafe: bool | None
    named: str | None = None
    refers_to: str = ""
    creates: str = ""


def of_text(path: str, text: str) -> Iterator[Finding]:
    """What `upgrade` does, and whatever else of the file it may call."""
    try:
        tree = ast.parse(text)
        (upgrade,) = (one for one in tree.body if isinstance(one, ast.FunctionDef) and one.name == "upgrade")
    except (SyntaxError, ValueError) as error:
        yield Finding(f"{path}:{getattr(error, 'lineno', None) or 1}", "is no revision", None)
        return
    names = _Names(tree)
    for nodes in _reached(tree, upgrade):
        for node, *judged in _judged(nodes, names):
            yield Finding(f"{path}:{node.lineno}", *judged)


class _Names:
    """What the names of a revision stand for: alembic's `op`, the batch of a table, what comes from elsewhere."""

    def __init__(self, tree: ast.Module) -> None:
        self.operations: set[str] = set()
        self.foreign: set[str] = set(REACHING)
        self.tables: dict[ast.AST, list[str]] = {}  # of a call, the table of the batch that it belongs to
        self.batches: set[str] = set()
        self.known: set[str] = set(dir(builtins))  # what stands for nothing in this file is not known to add
        for node in ast.walk(tree):
            match node:
                case ast.Name(id=name, ctx=ast.Store()) | ast.arg(arg=name) | ast.ExceptHandler(name=str(name)):
                    self.known.add(name)
                case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                    self.known.add(name)
                case ast.ImportFrom(module=module, names=names):
                    for one in names:
                        self._imported(one, module or "", is_operations=(module, one.name) == ("alembic", "op"))
                case ast.Import(names=names):
                    for one in names:
                        self._imported(one, one.name, is_operations=False)
                case ast.With(items=items):
                    for item in items:
                        self._batch(item, node)

    def _imported(self, one: ast.alias, module: str, *, is_operations: bool) -> None:
        name = one.asname or one.name.partition(".")[0]
        self.known.add(name)
        if is_operations:
            self.operations.add(name)
        elif module.partition(".")[0] not in LIBRARIES:
            self.foreign.add(name)

    def _batch(self, item: ast.withitem, whole: ast.With) -> None:
        match item:
            case ast.withitem(ast.Call(func=ast.Attribute(attr="batch_alter_table")) as call, ast.Name(id=batch)):
                self.batches.add(batch)
                self.tables |= {each: texts(call)[:1] for each in ast.walk(whole) if isinstance(each, ast.Call)}

    def is_foreign(self, name: str) -> bool:
        """Whether a call by this name goes to what this file does not tell; a value has no name."""
        return name in self.foreign or bool(name and name not in self.known)

    def verb(self, node: ast.AST) -> str | None:
        """Which of alembic's operations a call is."""
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=verb)):
                return verb if name in self.operations | self.batches else None
        return None


def _reached(tree: ast.Module, upgrade: ast.FunctionDef) -> Iterator[list[ast.AST]]:
    """`upgrade`, what stands beside the functions, and each function or class that one of them names."""
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    own = {one.name: one for one in tree.body if isinstance(one, kinds) and one is not upgrade}
    waiting: list[ast.AST] = [upgrade, *(one for one in tree.body if not isinstance(one, kinds))]
    while waiting:
        nodes = list(ast.walk(waiting.pop(0)))
        waiting += [own.pop(node.id) for node in nodes if isinstance(node, ast.Name) and node.id in own]
        yield nodes


def _judged(nodes: list[ast.AST], names: _Names) -> Iterator[tuple[Any, ...]]:
    """What each call does: its node, and the members of its finding."""
    inner = {each for node in nodes if names.verb(node) for each in ast.walk(node) if each is not node}
    bases = {node.func.value for node in nodes if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)}
    bases |= {item.optional_vars for node in nodes if isinstance(node, ast.With) for item in node.items}
    opened = {item.context_expr for node in nodes if isinstance(node, ast.With) for item in node.items}
    asked = {node.value for node in nodes if isinstance(node, ast.Attribute) and node.attr in ASKED}
    for node in nodes:
        match node:
            case ast.Name(id=name) if name in names.operations | names.batches and node not in bases:
                yield node, f"hands {name} on: its effect cannot be read", None
            case ast.ImportFrom(names=[ast.alias(name="*")]):
                yield node, "imports whatever there is: its effect cannot be read", None
            case ast.Call() if verb := names.verb(node):
                is_read = {"batch_alter_table": node in opened, "get_bind": node in asked, "get_context": node in asked}
                if verb in is_read and not is_read[verb]:
                    yield node, f"{verb}: what is done with it cannot be read", None
                elif verb not in is_read or verb == "batch_alter_table":
                    yield from ((node, *one) for one in operation(verb, node, names.tables.get(node, [])))
            case ast.Call(func=func) if node not in inner and names.is_foreign(_root(func)):
                yield node, f"{ast.unparse(func)[:60]}: its effect cannot be read", None


def _root(func: ast.expr) -> str:
    while isinstance(func, ast.Attribute | ast.Call | ast.Subscript):
        func = func.func if isinstance(func, ast.Call) else func.value
    return func.id if isinstance(func, ast.Name) else ""
