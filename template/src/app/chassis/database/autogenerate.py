"""What a revision that is written from the models looks like. May import columns."""

import sys
from typing import Any, Literal

from alembic.autogenerate.render import render_op, renderers
from alembic.operations.ops import CreateIndexOp, CreateTableOp, DropIndexOp, MigrateOperation, ModifyTableOps
from sqlalchemy import Boolean, DateTime, Integer, SmallInteger, inspect, text

from app.chassis.database.columns import UtcDateTime

__all__ = ["complete", "rendered"]


def complete(context: Any, _revision: Any, directives: list[Any]) -> None:
    """Add what SQLite does not show; an empty revision is most often an unsaved model, or one that nothing imports."""
    for script in directives:
        if context.dialect.name == "sqlite":
            _add_indexes(context, script)
        for way in (script.upgrade_ops, script.downgrade_ops):
            _step_out(way)
        if script.upgrade_ops.is_empty():
            print("models and revisions agree: the new revision is empty, to be filled by hand", file=sys.stderr)  # noqa: T201


def _add_indexes(context: Any, script: Any) -> None:
    """SQLite reflects no index over an expression: Alembic leaves it out, and loses it where it copies the table."""
    up, down = script.upgrade_ops.ops, script.downgrade_ops.ops
    there = set(context.connection.scalars(text("SELECT name FROM sqlite_master WHERE type = 'index'")))
    made = {one.table_name for one in up if isinstance(one, CreateTableOp)}
    changes = [one for one in up if isinstance(one, ModifyTableOps)]
    written = {one.index_name for change in changes for one in change.ops if isinstance(one, CreateIndexOp)}
    shown = inspect(context.connection)
    for table in context.opts["target_metadata"].sorted_tables:
        is_changed = any(one.table_name == table.name for one in changes)
        for index in sorted(table.indexes, key=lambda one: str(one.name)):
            if index.name in written or (index.name in there and not is_changed):
                continue
            if index.name in there and index.name in {one["name"] for one in shown.get_indexes(table.name)}:
                continue
            make, drop = CreateIndexOp.from_index(index), DropIndexOp.from_index(index)
            # PostgreSQL may have it still: only SQLite loses it. On the way back of a dropped table nobody made it.
            make.if_not_exists, drop.if_exists = table.name not in made or None, True
            up.append(ModifyTableOps(table.name, [make]))
            if index.name in there:
                down.append(ModifyTableOps(table.name, [make]))
            else:
                down.insert(0, ModifyTableOps(table.name, [drop]))


class _OutsideOp(MigrateOperation):
    """Indexes that are built while others write, which PostgreSQL does outside of a transaction only."""

    def __init__(self, indexes: list[Any]) -> None:
        self.indexes = indexes


def _step_out(way: Any) -> None:
    """A revision of indexes alone keeps nobody waiting; beside other changes they must be taken back with them."""
    steps = [one for change in way.ops for one in (change.ops if isinstance(change, ModifyTableOps) else [change])]
    if steps and all(isinstance(one, CreateIndexOp | DropIndexOp) for one in steps):
        way.ops = [_OutsideOp(steps)]


@renderers.dispatch_for(_OutsideOp)
def _render_outside(context: Any, operation: _OutsideOp) -> list[str]:
    lines = ["with op.get_context().autocommit_block():"]
    for one in operation.indexes:
        one.kw = {**one.kw, "postgresql_concurrently": True}
        both: list[Any] = [one]
        if isinstance(one, CreateIndexOp):  # what was broken off before is there, and of no use
            one.if_not_exists = None
            both.insert(0, DropIndexOp.from_index(one.to_index()))
        for each in both:
            if isinstance(each, DropIndexOp):
                each.if_exists = True
            lines += [f"    {line}" for line in render_op(context, each)]
    return lines


def rendered(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """A revision outlives the code it was written with, so it names SQLAlchemy's types, never ours.

    What it read from the scratch database is SQLite's: it becomes what both engines have.
    """
    if kind == "server_default":
        return _boolean(thing)
    if kind != "type":
        return False
    is_read = type(thing).__name__.isupper()
    generic = thing.as_generic() if is_read else thing
    if isinstance(thing, UtcDateTime) or (is_read and isinstance(generic, DateTime)):
        return "sa.DateTime(timezone=True)"
    if is_read and isinstance(generic, Integer) and not isinstance(generic, SmallInteger):
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    return f"sa.{generic!r}" if is_read else False


def _boolean(default: Any) -> str | Literal[False]:
    """SQLite's 0 and 1 are no booleans to PostgreSQL."""
    if not isinstance(getattr(getattr(default, "column", None), "type", None), Boolean):
        return False
    said = {"0": "sa.false()", "false": "sa.false()", "1": "sa.true()", "true": "sa.true()"}
    return said.get(str(getattr(default, "arg", "")).strip("'").lower(), False)
