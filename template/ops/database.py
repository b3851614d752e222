"""Copies the SQLite file that DATABASE_URL names, and puts a copy back. Standard library only.

Usage: python3 ops/database.py copy TO | restore FROM
`copy` may be run while the service serves; stop the service before `restore`.
Exit codes: 0 done, 1 the file is missing, broken or in use, 2 wrong use, or no file that this program can copy.
"""

import argparse
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import unquote

from settings import setting

DEFAULT_URL = "sqlite+aiosqlite:///./var/app.db"
BUSY_SECONDS = 5.0


class UnknownDatabaseError(Exception):
    """DATABASE_URL names no file this program can copy; its value may hold a password and is not shown."""


def database_file() -> Path:
    """The file of the service's database, as the settings name it.

    Raises:
        UnknownDatabaseError: it is no SQLite file, or the name is put together by whoever reads `.env`.
    """
    scheme, _, rest = setting("DATABASE_URL", DEFAULT_URL).partition(":///")
    path = unquote(rest.partition("?")[0])
    if not scheme.startswith("sqlite") or not path or path == ":memory:" or path.startswith("file:") or "${" in path:
        raise UnknownDatabaseError("DATABASE_URL names no plain file; expected sqlite+aiosqlite:///PATH")
    return Path(path)


def transfer(source: Path, target: Path) -> None:
    """Writes the content of one database file over another, in one transaction; the source is only read.

    Raises:
        FileNotFoundError: there is no source; nothing is created in its place.
        sqlite3.Error: the source is broken, or the target is in use.
    """
    if not source.is_file():
        raise FileNotFoundError(f"{source} is not there")
    target.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True, timeout=BUSY_SECONDS)) as reading:
        found = reading.execute("PRAGMA integrity_check").fetchone()[0]
        if found != "ok":
            raise sqlite3.DatabaseError(f"{source} is broken: {found}")
        with closing(sqlite3.connect(target, timeout=BUSY_SECONDS)) as writing:
            reading.backup(writing)


def copy(target: Path) -> str:
    """Copies the database to a new file, which appears only when it is complete."""
    source = database_file()
    if target.exists():
        raise FileExistsError(f"{target} is there already; expected a new name")
    partial = target.with_name(f"{target.name}.partial")
    partial.unlink(missing_ok=True)
    try:
        transfer(source, partial)
        with closing(sqlite3.connect(partial)) as written:
            written.execute("PRAGMA journal_mode=DELETE")  # one file, which nobody writes to by reading it
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)
    return f"copied: {source} to {target}"


def restore(source: Path) -> str:
    """Puts the content of a copy into the database."""
    target = database_file()
    transfer(source, target)
    return f"restored: {target} from {source}"


def main(arguments: list[str] | None = None) -> int:
    """Copies or restores; prints one line."""
    parser = argparse.ArgumentParser(description="Copy the service's SQLite database, or put a copy back.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("copy", help="write a copy").add_argument("file", type=Path, metavar="TO")
    commands.add_parser("restore", help="put a copy back").add_argument("file", type=Path, metavar="FROM")
    options = parser.parse_args(arguments)
    try:
        print(copy(options.file) if options.command == "copy" else restore(options.file))
    except UnknownDatabaseError as error:
        print(f"cannot tell: {error}", file=sys.stderr)
        return 2
    except (OSError, sqlite3.Error) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
