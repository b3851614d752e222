"""What the plan readers know of the database, and what they find. May import sql."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from app.chassis.data.plans.sql import Block

__all__ = ["MANY_ROWS", "Facts", "Look", "Step"]

MANY_ROWS = 1_000
"""Reading or sorting as many rows is what an index is for."""


@dataclass(slots=True)
class Facts:
    """Rows of each table; columns of each index, None where an expression stands, and of each table's key.

    SQLite: rows that share the values of an index.
    """

    rows: dict[str, int]
    indexes: Mapping[str, tuple[str, Sequence[str | None]]]
    keys: Mapping[str, Sequence[str]] = field(default_factory=dict)
    shares: dict[str, list[int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """A costly step of a plan: `kind` scan, sort or skip; how many rows it is about."""

    kind: str
    table: str
    alias: str
    rows: int


@dataclass(slots=True)
class Look:
    """What one plan of one statement showed; `told` is the plan in short."""

    told: str
    blocks: Sequence[Block]
    steps: list[Step] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def has_pattern(self, alias: str) -> bool:
        """Whether rows are chosen by LIKE: how many pass is another matter with every word."""
        return any(
            one.kind == "pattern" and one.name[0] in (alias, "")
            for block in self.blocks
            if alias in block.tables
            for one in block.conditions
        )
