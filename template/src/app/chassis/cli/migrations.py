"""`python -m app migrate-rehearse` and `migrate-check`: what a migration would do. May import every room."""

import asyncio
import fcntl
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

__all__ = ["migrate_check", "migrate_rehearse"]

_FOLDER = Path("var/rehearsals")


def migrate_rehearse(
    source: Annotated[Path | None, typer.Option("--from", help="A backup; default: a fresh one.")] = None,
) -> None:
    """Migrate a copy of the data up, down and up again, and say what became of it; the data itself is only read."""
    from app.chassis.data.rehearsal.note import markdown, write_note
    from app.chassis.data.rehearsal.scratch import RehearsalError

    if source is not None and not source.is_file():
        _not_done("FROM names no file; expected a backup, or nothing for a fresh one")
    source = source and source.resolve()
    path = _FOLDER / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}"
    try:
        done, about = asyncio.run(_rehearsed(source))
    except RehearsalError as error:
        _not_done(str(error))
    if not done.steps:
        what = source.name if source else "the database"
        print(f"nothing to rehearse: {what} is at the newest revision, {done.start or 'none'}")
        return
    write_note(done, path, **about)
    print(f"{markdown(done)}\n\nwritten: {path}.md, {path}.json")
    if done.findings:
        raise typer.Exit(1)


async def _rehearsed(source: Path | None) -> tuple[Any, dict[str, Any]]:
    from alembic.util import CommandError

    from app.chassis.about import about
    from app.chassis.data.rehearsal.rehearse import rehearse
    from app.chassis.data.rehearsal.scratch import RehearsalError, RehearsalSettings, scratch, taken
    from app.chassis.settings import load_settings

    settings = load_settings(RehearsalSettings)
    with _work_folder() as folder:
        backup = source or taken(folder / "backup")
        began = time.perf_counter()
        async with scratch(settings, folder, backup) as copy:
            restored = time.perf_counter() - began
            try:
                done = await rehearse(copy)
            except CommandError as error:
                raise RehearsalError(f"{error}; expected a backup of this release or an older one") from None
        facts = {
            "version": about().version,
            "backup": source.name if source else "a fresh copy, not kept",
            "bytes": backup.stat().st_size,
            "restored in, s": round(restored, 2),
        }
        return done, facts


def migrate_check(
    base: Annotated[str | None, typer.Option(help="Commit to compare with; default: the last release tag.")] = None,
) -> None:
    """Say whom the revisions since the last release would keep waiting on PostgreSQL, or break."""
    from app.chassis.about import project_root
    from app.chassis.data.locks.check import check, new_revisions
    from app.chassis.data.locks.sql import LocksError
    from app.chassis.database.revisions import rooms
    from app.chassis.http.recordings import ContractError

    try:
        names, told = new_revisions(project_root(), base or None)
        lines, bad = check(rooms()[-1], names)
    except (ContractError, LocksError, OSError) as error:
        _not_done(str(error), "not checked")
    print("\n".join([told, *lines, f"new revisions: {len(names)}, findings: {bad}"]))
    if bad:
        raise typer.Exit(1)


def _not_done(why: str, told: str = "not rehearsed") -> NoReturn:
    typer.echo(f"{told}: {why}", err=True)
    raise typer.Exit(2)


@contextmanager
def _work_folder() -> Iterator[Path]:
    """Beside the notes, where there is room for a copy of the data; one is held at a time."""
    _FOLDER.mkdir(parents=True, exist_ok=True)
    with (_FOLDER / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _not_done("another rehearsal is held; wait until it is done")
        for left in _FOLDER.glob(".work-*"):  # by one that was killed
            shutil.rmtree(left, ignore_errors=True)
        with tempfile.TemporaryDirectory(prefix=".work-", dir=_FOLDER) as folder:
            yield Path(folder).resolve()
