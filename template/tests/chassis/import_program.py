"""Brings rows into a table of its own: `python -m tests.chassis.import_program URL FILE`, to be killed and run again.

Prints how much memory it grew by, in MiB, and what was stored and rejected.
"""

import asyncio
import resource
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated

from pydantic import Field
from sqlalchemy import CheckConstraint, MetaData, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.chassis.data.imports import ImportRow
from app.chassis.data.imports.check import Target
from app.chassis.data.imports.reader import Reader, facts_of
from app.chassis.data.imports.run import Import
from app.chassis.database import Key, WriteWork, insert_or_update
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.settings import DatabaseSettings

__all__ = ["ImportedThing", "Row", "bring_in", "prepare", "target"]


class _Tables(DeclarativeBase):
    metadata = MetaData()


class ImportedThing(_Tables):
    """A thing with a key of its own, and a rule that only the database knows."""

    __tablename__ = "probe_things"
    __table_args__ = (CheckConstraint("size <> 13", name="ck_probe_things_size"),)

    code: Mapped[str] = mapped_column(String(40), primary_key=True)
    size: Mapped[int] = mapped_column(Key)
    version: Mapped[int] = mapped_column()

    __mapper_args__ = {"version_id_col": version}  # noqa: RUF012  # SQLAlchemy's way


class Row(ImportRow):
    """A thing."""

    code: Annotated[str, Field(min_length=1, max_length=40)]
    size: int = 0


async def _store(work: WriteWork, rows: Sequence[Row]) -> None:
    await insert_or_update(work, ImportedThing, [row.model_dump() for row in rows], key=["code"])


target = Target("things", Row, _store)


async def prepare(url: str) -> None:
    """The chassis' tables and ours."""
    settings = DatabaseSettings(database_url=url)
    await migrate(Database(settings))
    database = Database(settings)
    async with database.writer.begin() as connection:
        await connection.run_sync(_Tables.metadata.create_all)
    await database.close()


def bring_in(
    url: str,
    path: Path,
    *,
    chunk_rows: int = 1_000,
    is_dry: bool = False,
    is_again: bool = False,
    to: Target | None = None,
    rejects: Path | None = None,
    on_progress: Callable[[int], None] = lambda _done: None,
) -> Import:
    """One run, from where the one before was stopped."""
    to = to or target
    database = Database(DatabaseSettings(database_url=url))
    with path.open("rb") as file:
        facts = facts_of(file)
        reader = Reader(file, path.name, set(to.columns), {"code"})
        run = Import(database, to, path, file, facts, chunk_rows=chunk_rows, is_dry=is_dry)

        async def whole() -> None:
            try:
                await run.begin(rejects or path.with_suffix(".rejects.csv"), is_again=is_again)
                if run.state.finished_at is None:
                    await run.run(reader, on_progress)
            finally:
                await database.close()

        asyncio.run(whole())
    return run


def _memory_mib() -> int:
    """Most memory this process ever had."""
    status = Path("/proc/self/status")
    if not status.exists():  # not Linux
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1_048_576
    # Linux counts what its parent had before exec into ru_maxrss.
    return int(status.read_text(encoding="ascii").partition("VmHWM:")[2].split()[0]) // 1024


def _tell(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    given = Path(sys.argv[2])
    small = given.with_name("small.csv")
    small.write_text("code,size\nsmall,1\n", encoding="utf-8")
    bring_in(sys.argv[1], small)
    before = _memory_mib()
    state = bring_in(sys.argv[1], given, on_progress=_tell).state
    _tell("grown", _memory_mib() - before, "stored", state.stored_rows, "rejected", state.rejected_rows)
