"""Brings the rows of a file into a domain's tables, a chunk a transaction, and goes on where it was stopped.

May import check, database, errors, reader, rejects.
"""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from sqlalchemy import select, update

from app.chassis.data.imports.check import REFUSALS, Rows, Target, checked, rejects_of, words_of
from app.chassis.data.imports.reader import FileFacts, ImportStoppedError, Reader, Record, expect_unchanged
from app.chassis.data.imports.rejects import Reject, Rejects
from app.chassis.database import WriteWork, utc_now
from app.chassis.database.engine import Database
from app.chassis.database.failures import DATABASE_ERRORS, told
from app.chassis.database.imported import ImportedFile
from app.chassis.database.revisions import pending_rooms
from app.chassis.database.work import is_cancelled
from app.chassis.errors import ServiceError

__all__ = ["Import", "Target"]

_CHUNK_BYTES = 8 * 1_048_576


@dataclass(slots=True)
class Import:
    """One run over one file. Rows and the place in the file are saved together, so neither is ever ahead.

    `begin`, then `run`; `state` says how far it is.
    """

    database: Database
    target: Target
    path: Path
    file: BinaryIO
    facts: FileFacts
    chunk_rows: int = 1_000
    is_dry: bool = False
    state: ImportedFile = field(init=False)
    before: ImportedFile | None = None
    """An import of a file of that name with other content."""
    _rejects: Rejects = field(init=False)

    async def begin(self, rejects: Path, *, is_again: bool = False) -> None:
        """Find out how far an earlier run came; `is_again` begins at the first row whatever was done.

        Raises:
            ImportStoppedError: the database lacks tables, or the file of rejects cannot be used.
            OSError: the file of rejects cannot be written.
        """
        try:
            if pending := await pending_rooms(self.database):
                raise ImportStoppedError(f"{', '.join(pending)} not migrated; run `make migrate`")
            self.state = await self._known_state(rejects, is_again=is_again)
        except (*DATABASE_ERRORS, ServiceError) as error:
            raise ImportStoppedError(words_of(error)) from None

    async def _known_state(self, rejects: Path, *, is_again: bool) -> ImportedFile:
        key = {"target": self.target.name, "sha256": self.facts.sha256}
        fresh = dict.fromkeys(("done_bytes", "done_lines", "stored_rows", "rejected_rows", "reject_bytes"), 0)
        name = self.path.name.encode(errors="replace").decode()[-255:]  # a name need not be UTF-8
        state = ImportedFile(**key, **fresh, name=name, size=self.facts.size, updated_at=utc_now(), finished_at=None)
        async with WriteWork.on(self.database) as work:
            found = await work.session.get(ImportedFile, (key["target"], key["sha256"]), with_for_update=True)
            same_name = select(ImportedFile).where(
                ImportedFile.target == key["target"], ImportedFile.name == name, ImportedFile.sha256 != key["sha256"]
            )
            self.before = await work.session.scalar(same_name.order_by(ImportedFile.updated_at.desc()).limit(1))
            if found is None or is_again or self.is_dry:
                self._rejects = Rejects(rejects, 0)
                return state if self.is_dry else await work.session.merge(state)
            if found.finished_at is None:
                self._rejects = Rejects(rejects, found.reject_bytes)  # the row is locked: nobody is ahead of it
            return found

    async def run(self, reader: Reader, on_progress: Callable[[int], None]) -> None:
        """Bring in what is left; `on_progress` gets the bytes of the file that are done.

        Raises:
            ImportStoppedError: the file or the database does not allow to go on.
        """
        reader.skip_to(self.state.done_bytes, self.state.done_lines)
        try:
            for chunk in _chunks(reader, self.chunk_rows, self.state.done_bytes):
                await self._save(chunk)
                on_progress(self.state.done_bytes)
                if is_cancelled():
                    raise asyncio.CancelledError  # Ctrl-C, which the commit did not hear
            await self._save([], is_last=True)
        finally:
            self._rejects.close()

    async def _save(self, records: list[Record], *, is_last: bool = False) -> None:
        expect_unchanged(self.file, self.facts)
        work = WriteWork(self.database)
        try:
            rows, rejects = checked(self.target, records)
            rejects += await self._stored(work, rows)
            lines = self._rejects.lines_of(sorted(rejects, key=lambda one: one.line))
            after = self._after(records, len({one.line for one in rejects}), len(lines), is_last=is_last)
            if not self.is_dry:
                await self._note(work, after)
            self._rejects.write(lines)  # who is noted alone writes, and before the commit: none is ever missing
            await work.finish(is_good=not self.is_dry)
        except ImportStoppedError:
            raise
        except (Exception, SystemExit) as error:  # noqa: BLE001  # the team's code may raise anything; where it did is what helps
            raise ImportStoppedError(words_of(error)) from None
        finally:
            await work.finish(is_good=False)  # a second time is nothing
        for name, value in after.items():
            setattr(self.state, name, value)

    def _after(self, records: list[Record], bad: int, told_bytes: int, *, is_last: bool) -> dict[str, Any]:
        after: dict[str, Any] = {
            "stored_rows": self.state.stored_rows + len(records) - bad,
            "rejected_rows": self.state.rejected_rows + bad,
            "reject_bytes": self._rejects.size + told_bytes,
            "updated_at": utc_now(),
        }
        if records:
            after |= {"done_bytes": records[-1].end_bytes, "done_lines": records[-1].end_line}
        return after | ({"finished_at": utc_now()} if is_last else {})

    async def _note(self, work: WriteWork, after: dict[str, Any]) -> None:
        state = self.state
        mine = update(ImportedFile).where(
            ImportedFile.target == state.target,
            ImportedFile.sha256 == state.sha256,
            ImportedFile.done_bytes == state.done_bytes,
            ImportedFile.finished_at.is_(None),
        )
        done: Any = await work.session.execute(mine.values(after), execution_options={"synchronize_session": False})
        if done.rowcount != 1:
            raise ImportStoppedError("another run brings in the same file; expected one at a time")

    async def _stored(self, work: WriteWork, rows: Rows) -> list[Reject]:
        """Store the rows; where the database or the domain refuses some, all the others."""
        if not rows:
            return []
        try:
            async with work.session.begin_nested():
                await self.target.store(work, [row for _, row in rows])
        except (*DATABASE_ERRORS, ServiceError) as error:
            refusal = error if isinstance(error, ServiceError) else told(error)
            if refusal is None or refusal.kind not in REFUSALS:
                raise
            if len(rows) == 1:
                return rejects_of(rows[0], refusal)
        else:
            return []
        half = len(rows) // 2
        return await self._stored(work, rows[:half]) + await self._stored(work, rows[half:])


def _chunks(reader: Reader, size: int, begin_bytes: int) -> Iterator[list[Record]]:
    chunk: list[Record] = []
    try:
        for record in reader:
            chunk.append(record)
            if len(chunk) == size or record.end_bytes - begin_bytes >= _CHUNK_BYTES:
                yield chunk
                chunk, begin_bytes = [], record.end_bytes
    except ImportStoppedError:
        if chunk:
            yield chunk  # what stands before the break is good
        raise
    if chunk:
        yield chunk
