"""What a revision that is written from the models looks like. May import columns."""

import sys
from typing import Any, Literal

from sqlalchemy import DateTime, Integer

from app.chassis.database.columns import UtcDateTime

__all__ = ["rendered_type", "tell_if_empty"]


def tell_if_empty(_context: Any, _revision: Any, directives: list[Any]) -> None:
    """An empty revision is most often a model that was not saved, or one that nothing imports."""
    if directives and directives[0].upgrade_ops.is_empty():
        print("models and revisions agree: the new revision is empty, to be filled by hand", file=sys.stderr)  # noqa: T201


def rendered_type(kind: str, thing: Any, _context: Any) -> str | Literal[False]:
    """A revision outlives the code it was written with, so it names SQLAlchemy's types, never ours.

    What it read from the scratch database is SQLite's: it becomes what both engines have.
    """
    if kind != "type":
        return False
    is_read = type(thing).__name__.isupper()
    generic = thing.as_generic() if is_read else thing
    if isinstance(thing, UtcDateTime) or (is_read and isinstance(generic, DateTime)):
        return "sa.DateTime(timezone=True)"
    if is_read and isinstance(generic, Integer):
        return 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'
    return f"sa.{generic!r}" if is_read else False
