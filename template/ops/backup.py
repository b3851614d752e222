"""Writes a backup of the service's database and proves it. Standard library, and for PostgreSQL its own programs.

Usage: python3 ops/backup.py [--to FOLDER] [--quick]
The service may go on writing. Settings, from the environment or `.env`: DATABASE_URL, BACKUP_FOLDER (var/backups),
BACKUP_KEEP (14), PG_BIN (folder of pg_dump, if it is not on PATH), SCRATCH_DATABASE_URL (where a backup of PostgreSQL
is restored to prove it, if not beside the database).
Exit codes: 0 done, 1 not done, 2 wrong use, or a database that this program cannot copy.
"""

import argparse
import os
import sys
import time
from pathlib import Path
from urllib.parse import unquote

import copies
from copies import NotDoneError, Tables
from postgresql_copies import Postgresql
from settings import setting
from sqlite_copies import Sqlite

DEFAULT_URL = "sqlite+aiosqlite:///./var/app.db"


def database() -> Sqlite | Postgresql:
    """The database that the settings name.

    Raises:
        NotDoneError: it is none that can be copied; the value may hold a password and is not shown.
    """
    url = setting("DATABASE_URL", DEFAULT_URL)
    if url.startswith("postgresql+asyncpg://"):
        return Postgresql(url, setting("SCRATCH_DATABASE_URL", ""))
    scheme, _, rest = url.partition(":///")
    path = unquote(rest.partition("?")[0])
    if not scheme.startswith("sqlite") or not path or path == ":memory:" or path.startswith("file:") or "${" in path:
        expected = "expected sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST:5432/NAME"
        raise NotDoneError(f"DATABASE_URL names no database that can be copied; {expected}", 2)
    return Sqlite(Path(path))


def write(source: Sqlite | Postgresql, folder: Path, note: str, *, is_restored: bool) -> tuple[Path, Tables, str]:
    """A new backup in a folder that is locked: its path, what it holds, how it was proved. Whole or not at all."""
    target = copies.new_name(folder, source.name, source.suffix, note)
    partial = target.with_name(f"{target.name}.partial")
    mask = os.umask(0o077)  # for nobody else to read
    try:
        tables = source.write(partial)
        proof = source.check(partial, tables, by_restoring=is_restored)
        copies.publish(partial, target)
    finally:
        partial.unlink(missing_ok=True)
        os.umask(mask)
    return target, tables, proof


def backup(folder: Path, *, is_restored: bool) -> None:
    """Write a backup, prove it, delete those that are too many; prints what was done."""
    source, keep, began = database(), copies.how_many(), time.monotonic()
    with copies.locked(folder):
        target, tables, proof = write(source, folder, "", is_restored=is_restored)
        rows, seconds = sum(one[0] for one in tables.values()), time.monotonic() - began
        print(f"written: {target} ({target.stat().st_size} bytes, {len(tables)} tables, {rows} rows, {seconds:.1f} s)")
        print(f"proved: {proof}")
        for name in copies.retire(folder, keep, target):
            print(f"deleted: {name} (BACKUP_KEEP={keep})")


def finish(error: BaseException) -> int:
    """Tell why nothing was done; returns the exit code."""
    if isinstance(error, KeyboardInterrupt):
        error = NotDoneError("interrupted")
    print(f"not done: {error}", file=sys.stderr)
    return error.code if isinstance(error, NotDoneError) else 1


def main(arguments: list[str] | None = None) -> int:
    """Write a backup."""
    parser = argparse.ArgumentParser(description="Write a backup of the service's database and prove it.")
    parser.add_argument("--to", type=Path, metavar="FOLDER", help="another folder than BACKUP_FOLDER")
    parser.add_argument("--quick", action="store_true", help="prove it by reading it back, without restoring it")
    options = parser.parse_args(arguments)
    try:
        backup(options.to or copies.backup_folder(), is_restored=not options.quick)
    except (NotDoneError, OSError, KeyboardInterrupt) as error:
        return finish(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
