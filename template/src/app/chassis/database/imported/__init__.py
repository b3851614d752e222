"""How far files were brought in (`data/imports/run.py`), kept beside the rows. May import columns, feature."""

from datetime import datetime
from pathlib import Path

from sqlalchemy import MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.chassis.database.columns import Key, UtcDateTime
from app.chassis.feature import MigrationRoom

__all__ = ["ROOM", "ImportedFile"]


class _Tables(DeclarativeBase):
    metadata = MetaData()


class ImportedFile(_Tables):
    """One file, known by its content: how far it was read, what became of its rows."""

    __tablename__ = "chassis_import_files"

    target: Mapped[str] = mapped_column(String(64), primary_key=True)
    sha256: Mapped[str] = mapped_column(String(64), primary_key=True)
    name: Mapped[str] = mapped_column(String(255))
    size: Mapped[int] = mapped_column(Key)
    done_bytes: Mapped[int] = mapped_column(Key, default=0)
    done_lines: Mapped[int] = mapped_column(Key, default=0)
    stored_rows: Mapped[int] = mapped_column(Key, default=0)
    rejected_rows: Mapped[int] = mapped_column(Key, default=0)
    reject_bytes: Mapped[int] = mapped_column(Key, default=0)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


ROOM = MigrationRoom("import", _Tables.metadata, Path(__file__).parent)
