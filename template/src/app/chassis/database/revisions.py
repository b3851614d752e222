"""Which revisions there are and which the database has, told without slow Alembic.

May import about, columns, engine, feature, idempotency, imported.
"""

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, text

from app.chassis.about import project_root
from app.chassis.database.columns import Base
from app.chassis.database.engine import Database
from app.chassis.database.idempotency import ROOM as IDEMPOTENCY
from app.chassis.database.imported import ROOM as IMPORTED
from app.chassis.feature import MigrationRoom, loaded_features

__all__ = ["TEAM", "Revisions", "pending_rooms", "revisions", "rooms", "version_table"]

TEAM = "team"


def rooms() -> list[MigrationRoom]:
    """Chassis rooms that have tables, then the team, in the order in which they migrate."""
    own = [feature.migrations for feature in loaded_features() if feature.migrations is not None]
    return [IDEMPOTENCY, IMPORTED, *own, MigrationRoom(TEAM, Base.metadata, project_root() / "migrations")]


def version_table(room: MigrationRoom) -> str:
    """Table that remembers where a room's tables stand."""
    return "alembic_version" if room.name == TEAM else f"chassis_{room.name}_version"


@dataclass(frozen=True, slots=True)
class Revisions:
    """Revisions of a room: all of them, and those that no other one follows."""

    known: frozenset[str]
    heads: frozenset[str]

    def is_ahead(self, current: frozenset[str]) -> bool:
        """Whether a newer release migrated the database: it stands at a revision this one does not have."""
        return not current <= self.known


@cache
def revisions(folder: Path) -> Revisions:
    """The revisions in `folder/versions`, read without running them; Alembic passes the same files by."""
    known, followed = set(), set()
    for path in sorted((folder / "versions").glob("*.py")):
        if path.name.startswith(("__init__", ".#")):
            continue
        names = dict(_assignments(ast.parse(path.read_text(encoding="utf-8"))))
        before = names.get("down_revision") or ()
        known.add(names.get("revision", path.stem))
        followed |= {before} if isinstance(before, str) else set(before)
    return Revisions(frozenset(known), frozenset(known - followed))


def _assignments(tree: ast.Module) -> Any:
    for node in tree.body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and isinstance(node.value, ast.Constant | ast.Tuple | ast.List):
            target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]
            if isinstance(target, ast.Name):
                yield target.id, ast.literal_eval(node.value)


async def pending_rooms(database: Database) -> list[str]:
    """Rooms whose tables lack a revision of this program. Never creates anything.

    A database that a newer release migrated lacks none: that is how a release is rolled back.
    """

    def action(connection: Connection) -> list[str]:
        tables = set(inspect(connection).get_table_names())
        return [room.name for room in rooms() if _is_behind(revisions(room.folder), _current(connection, room, tables))]

    async with database.reader.connect() as connection:
        behind: list[str] = await connection.run_sync(action)
        return behind


def _is_behind(here: Revisions, current: frozenset[str]) -> bool:
    return current != here.heads and not here.is_ahead(current)


def _current(connection: Connection, room: MigrationRoom, tables: set[str]) -> frozenset[str]:
    table = version_table(room)
    if table not in tables:
        return frozenset()
    return frozenset(connection.scalars(text(f"SELECT version_num FROM {table}")))  # noqa: S608  # our own name
