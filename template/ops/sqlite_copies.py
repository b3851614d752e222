"""Backups of a SQLite file: one moment of it, whole, and back in one transaction. Standard library only."""

import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext, suppress
from pathlib import Path

from copies import Content, NotDoneError, Tables, difference, sum_of, tell

BUSY_SECONDS = 5.0
HEAD = b"SQLite format 3\0"


class BrokenError(NotDoneError):
    """The file is no whole database."""


class Sqlite:
    """The database in a file."""

    name, suffix = "sqlite", ".db"
    with_grants = True  # it knows none

    def __init__(self, path: Path) -> None:
        self.path = path
        self._held: sqlite3.Connection | None = None

    def now(self) -> Content | None:
        """What the database holds; None if there is nothing.

        Raises:
            BrokenError: nobody can tell.
        """
        if not self.path.exists():
            return None
        return self.read(self.path) if self.path.stat().st_size else None

    def write(self, target: Path) -> Tables:
        """Copy the database as it is at one moment, while others write; returns what it held then."""
        if not self.path.is_file():
            raise NotDoneError(f"{self.path} is not there; expected the file that DATABASE_URL names", 1)
        with _explained(self.path), nullcontext(self._held) if self._held else closing(_reading(self.path)) as source:
            source.execute("BEGIN")  # sums and copy are of the same moment
            tables = _tables(source)
            _copy(source, target)
            source.execute("COMMIT")
        return tables

    def check(self, backup: Path, tables: Tables, *, by_restoring: bool) -> str:
        """Read the backup back, or restore it to a scratch file, and compare; says what was done."""
        if not by_restoring:
            if problem := difference(tables, self.read(backup).tables):
                raise NotDoneError(f"not kept: read back it differs: {problem}; try again")
            return "read back and compared"
        scratch = backup.with_suffix(".scratch")
        try:
            with closing(_reading(backup)) as source:
                _copy(source, scratch)
            if problem := difference(tables, self.read(scratch).tables):
                raise NotDoneError(f"not kept: restored to a scratch file it differs: {problem}; try again")
        finally:
            scratch.unlink(missing_ok=True)
        return "restored to a scratch file and compared"

    def read(self, backup: Path) -> Content:
        """What a backup holds.

        Raises:
            BrokenError: it is damaged, or no SQLite file.
        """
        with backup.open("rb") as file:
            head = file.read(len(HEAD))
        if head != HEAD:
            other = "; it is a backup of PostgreSQL, and DATABASE_URL names SQLite" if head[:5] == b"PGDMP" else ""
            raise BrokenError(f"{backup} is no SQLite database{other}; expected a file that `make backup` wrote")
        with _explained(backup), closing(_reading(backup)) as source:
            found = source.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if found != "ok":
                raise BrokenError(f"{backup} is damaged: {found}; expected a whole database")
            tables, revisions = _tables(source), set[str]()
            if "alembic_version" in tables:
                source.text_factory = str
                revisions = {str(row[0]) for row in source.execute("SELECT version_num FROM alembic_version")}
        return Content(tables, revisions)

    def users(self) -> list[str]:
        """Other processes that have the file open, where the system tells."""
        found = []
        for fd in Path("/proc").glob("[0-9]*/fd/*"):
            with suppress(OSError):
                if fd.readlink() == self.path.resolve() and (pid := fd.parts[2]) != str(os.getpid()):
                    command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
                    found.append(f"process {pid}: {command.strip()[:100]}")
        return sorted(set(found))

    def replace(self, backup: Path, expected: Tables, keep: Callable[[], Tables]) -> None:
        """Put a backup in the database's place, in one transaction, with nobody else in it; `keep` saves what is there.

        Killed at any moment it is as it was or as it shall be: SQLite takes back what was not committed.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _explained(self.path), closing(sqlite3.connect(self.path, timeout=1.0, isolation_level=None)) as target:
            try:
                target.execute("PRAGMA journal_mode=DELETE")  # is refused while another connection is open
                target.execute("PRAGMA locking_mode=EXCLUSIVE")
                target.execute("BEGIN EXCLUSIVE")
                target.execute("COMMIT")  # the lock stays
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                    raise
                users = self.users() or ["a program that the system does not tell"]
                raise NotDoneError(f"{self.path} is in use by {'; '.join(users)}; stop the service first") from None
            self._held = target
            keep()
            tell("loading the backup")
            with closing(_reading(backup)) as source:
                source.backup(target)
            tell("comparing")
            if problem := difference(expected, _tables(target)):
                raise NotDoneError(f"the database differs from {backup}: {problem}; restore another backup")

    def replace_broken(self, backup: Path, aside: Path) -> None:
        """Put a backup in the place of a file that is no whole database; the file is copied aside first."""
        if users := self.users():
            raise NotDoneError(f"{self.path} is in use by {'; '.join(users)}; stop the service first")
        tell("copying aside what is there")
        shutil.copy2(self.path, aside)
        tell("loading the backup")
        new = self.path.with_name(f"{self.path.name}.restoring")
        new.unlink(missing_ok=True)
        with _explained(backup), closing(_reading(backup)) as source:
            _copy(source, new)
        shutil.copymode(self.path, new)
        if os.geteuid() == 0:
            owner = self.path.stat()
            os.chown(new, owner.st_uid, owner.st_gid)
        for rest in ("-wal", "-shm", "-journal"):  # of the broken file: they would be read into the new one
            beside = Path(f"{self.path}{rest}")
            if beside.exists():
                shutil.move(beside, f"{aside}{rest}")
        new.replace(self.path)


def _reading(path: Path) -> sqlite3.Connection:
    address = f"{path.resolve().as_uri()}?mode=ro"
    return sqlite3.connect(address, uri=True, timeout=BUSY_SECONDS, isolation_level=None)


def _copy(source: sqlite3.Connection, target: Path) -> None:
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target, timeout=BUSY_SECONDS)) as writing:
        source.backup(writing)
        writing.execute("PRAGMA journal_mode=DELETE")  # one file, which nobody writes to by reading it


def _tables(connection: sqlite3.Connection) -> Tables:
    """Rows and checksums of what the connection sees; what SQLite keeps for itself is left out."""
    connection.text_factory = str
    query = (
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite~_%' ESCAPE '~' "
        "AND sql NOT LIKE 'CREATE VIRTUAL%'"
    )
    names = [row[0] for row in connection.execute(query)]
    connection.text_factory = bytes  # a text that is no UTF-8 is a row like any other
    quoted = {name: name.replace('"', '""') for name in names}
    return {
        name: sum_of(repr(row).encode() for row in connection.execute(f'SELECT * FROM "{quoted[name]}"'))  # noqa: S608  # quoted
        for name in names
    }


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        broken = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in broken:
            raise BrokenError(f"{path} is damaged: {error}; expected a whole database") from None
        raise NotDoneError(
            f"{path}: {error}; expected room on the disk and the right to read and write there"
        ) from None
