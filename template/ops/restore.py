"""Puts a backup in the place of the service's database. Standard library, and for PostgreSQL its own programs.

Usage: python3 ops/restore.py [--yes] [--newer] [--no-grants] BACKUP
       python3 ops/restore.py --list   names the backups in BACKUP_FOLDER, the newest last
Without --yes it only says what would be replaced. Stop the service first. What is there is kept in BACKUP_FOLDER.
Killed at any moment, the database is as it was or as it shall be. Settings: as for ops/backup.py.
Exit codes: 0 done, 1 not done, 2 asks for --yes, wrong use, or a database that this program cannot restore.
"""

import argparse
import shlex
import sys
import time
from pathlib import Path

import copies
from backup import database, finish, write
from copies import Content, NotDoneError, Tables, tell
from postgresql_copies import Postgresql
from revisions import next_step, revisions
from sqlite_copies import BrokenError, Sqlite


def restore(target: Sqlite | Postgresql, backup: Path, *, is_sure: bool, may_be_newer: bool) -> None:
    """Replace the database by a backup; prints what was done, and how to take it back."""
    folder, began = copies.backup_folder(), time.monotonic()
    if not backup.is_file():
        raise NotDoneError(f"{backup} is not there; expected one of the backups in {folder}", 2)
    tell(f"reading {backup}")
    if not copies.require_unchanged(backup):
        print(f"note: no {backup.name}.sha256 is beside it, so only its structure was checked", file=sys.stderr)
    then = target.read(backup)
    if (newer := then.revisions - revisions().keys()) and not may_be_newer:
        raise NotDoneError(
            f"{backup} is of revision {', '.join(sorted(newer))}, which this release does not have; restore it "
            "with the release that wrote it, or with NEWER=1 (--newer) if this one shall serve it all the same"
        )
    tell("reading the database")
    try:
        now = target.now()
    except BrokenError as error:
        now = None
        if isinstance(target, Sqlite):
            _replace_broken(target, backup, folder, str(error), is_sure=is_sure)
            print(f"next: {next_step(then.revisions)}")
            return
    if now and not is_sure:
        print(_compared(now, then), flush=True)
        raise NotDoneError("this would be replaced; to do it: YES=1 (--yes)", 2)
    _replace(target, backup, folder, now, then)
    rows = sum(one[0] for one in then.tables.values())
    print(f"restored: {backup} ({len(then.tables)} tables, {rows} rows, {time.monotonic() - began:.1f} s), compared")
    print(f"next: {next_step(then.revisions)}")


def _replace(target: Sqlite | Postgresql, backup: Path, folder: Path, now: Content | None, then: Content) -> None:
    def keep() -> Tables:
        if now is None:
            return {}
        tell("copying aside what is there")
        path, tables, _ = write(target, folder, "-before-restore", is_restored=False)
        is_newer = now.revisions - revisions().keys()
        # Said before anything is replaced: whoever is interrupted after it can go back.
        back = f"make restore FROM={shlex.quote(str(path))} YES=1{' NEWER=1' * bool(is_newer)}"
        print(f"kept: {path}\nto go back: {back}", flush=True)
        return tables

    with copies.locked(folder):
        target.replace(backup, then.tables, keep)


def _replace_broken(target: Sqlite, backup: Path, folder: Path, why: str, *, is_sure: bool) -> None:
    if not is_sure:
        raise NotDoneError(f"{why}; it would be copied aside and replaced: YES=1 (--yes)", 2)
    with copies.locked(folder):
        aside = copies.new_name(folder, target.name, ".db", "-broken")
        target.replace_broken(backup, aside)
    print(f"kept: {aside}, which is damaged")
    print(f"restored: {backup}")


def show(folder: Path) -> None:
    """Print the backups in a folder, the newest last."""
    names = sorted(name for kept in (None, "-before-restore") for name in copies.names(folder, kept))
    if not names:
        raise NotDoneError(f"no backup in {folder}; expected a file that `make backup` wrote")
    for name in names:
        print(f"{folder / name} ({(folder / name).stat().st_size} bytes)")


def _compared(now: Content, then: Content) -> str:
    """Rows of each table now and in the backup, as a table."""
    lines: list[tuple[str, ...]] = [("table", "rows now", "rows then")]
    for name in sorted(now.tables.keys() | then.tables.keys()):
        counts = (side.tables.get(name) for side in (now, then))
        lines.append((name, *("none" if one is None else str(one[0]) for one in counts)))
    width = max(len(line[0]) for line in lines)
    return "\n".join(f"{name:<{width}}  {here:>10}  {there:>10}" for name, here, there in lines)


def main(arguments: list[str] | None = None) -> int:
    """Put a backup back."""
    parser = argparse.ArgumentParser(description="Put a backup in the place of the service's database.")
    parser.add_argument("backup", type=Path, metavar="BACKUP", nargs="?")
    parser.add_argument("--list", action="store_true", help="name the backups in BACKUP_FOLDER, the newest last")
    parser.add_argument("--yes", action="store_true", help="replace what is there")
    parser.add_argument("--no-grants", action="store_true", help="PostgreSQL: leave out who may do what")
    parser.add_argument("--newer", action="store_true", help="even if a newer release migrated the backup")
    options = parser.parse_args(arguments)
    if options.list == (options.backup is not None):
        parser.error("expected BACKUP, the path of one, or --list")
    try:
        if options.list:
            show(copies.backup_folder())
            return 0
        target = database()
        target.with_grants = not options.no_grants
        restore(target, options.backup, is_sure=options.yes, may_be_newer=options.newer)
    except (NotDoneError, OSError, KeyboardInterrupt) as error:
        return finish(error)
    return 0


if __name__ == "__main__":
    sys.exit(main())
