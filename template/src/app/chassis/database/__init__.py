"""The database: engines, units of work, columns both engines agree on. Domains import from here."""

from app.chassis.database.columns import Base, Key, UtcDateTime, utc_now
from app.chassis.database.keyset import Order, Part, Slice
from app.chassis.database.upsert import insert_or_update
from app.chassis.database.violations import when_violated
from app.chassis.database.work import ReadWork, WriteWork

__all__ = [
    "Base",
    "Key",
    "Order",
    "Part",
    "ReadWork",
    "Slice",
    "UtcDateTime",
    "WriteWork",
    "insert_or_update",
    "utc_now",
    "when_violated",
]
