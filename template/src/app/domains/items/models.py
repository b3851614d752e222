"""Tables of the sample domain."""

from datetime import datetime

from sqlalchemy import CheckConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from app.chassis.database import Base, Key, UtcDateTime, utc_now


class Item(Base):
    """A thing in stock."""

    __tablename__ = "items"
    __table_args__ = (CheckConstraint("quantity >= 0", name="quantity_not_negative"),)

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    name: Mapped[str] = mapped_column(String(80), unique=True)
    contact_email: Mapped[str] = mapped_column(String(254))
    quantity: Mapped[int] = mapped_column()
    note: Mapped[str | None] = mapped_column(String(500))
    version: Mapped[int] = mapped_column()
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=utc_now, onupdate=utc_now)

    # Every change counts up, and one that meets another version than it read fails.
    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy's way
