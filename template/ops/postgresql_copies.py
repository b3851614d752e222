"""Backups of a PostgreSQL database by pg_dump: one moment of it, and back in one transaction. Standard library only.

The database is the service's own: all of it is copied, and all of it is replaced.
"""

import re
import secrets
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO

from copies import Content, NotDoneError, Tables, difference, sum_of, tell
from postgresql import Session, environment_of
from postgresql_programs import MAGIC, dumped_by, major, program, require_new_enough, running, too_old
from postgresql_queries import EMPTY, EXTENSIONS, MAJOR, MAY_CREATE, SCRATCH, SHAPE, TABLES, USERS

HEADER = re.compile(rb'COPY ((?:"(?:[^"]|"")*"|[^".])+)\.((?:"(?:[^"]|"")*"|[^" (])+) (?:\(.*\))? ?FROM stdin;\n')


class Postgresql:
    """The database that a URL names."""

    name, suffix = "postgresql", ".dump"
    with_grants = True
    """Whether who may do what comes back too; on another server the roles may be missing."""

    def __init__(self, url: str, scratch_url: str = "") -> None:
        self._ours = f"backup-{secrets.token_hex(6)}"
        self._environment = environment_of(url, self._ours)
        self._scratch = environment_of(scratch_url, self._ours) if scratch_url else self._environment

    def now(self) -> Content | None:
        """What the database holds; None if there is no table."""
        with self._session() as session:
            tables = _tables(session)
            names = [row[0] for row in session.rows("SELECT to_regclass('public.alembic_version')")]
            found = session.rows(f"SELECT version_num FROM {names[0]}") if names != [""] else []  # noqa: S608  # a constant's name
        return Content(tables, {row[0] for row in found}) if tables else None

    def write(self, target: Path) -> Tables:
        """Dump the database as it is at one moment, while others write; returns what it held then."""
        with self._session() as session:
            session.run("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            snapshot = session.rows("SELECT pg_export_snapshot()")[0][0]
            command = ["--format=custom", "--no-password", f"--snapshot={snapshot}", f"--file={target}"]
            with running("pg_dump", *command, environment=self._environment):
                return _tables(session)

    def check(self, backup: Path, tables: Tables, *, by_restoring: bool) -> str:
        """Read the backup back and compare; restore it to a scratch database if wanted and where that is allowed."""
        _compare("read back", tables, self.read(backup).tables)
        if not by_restoring:
            return "read back and compared"
        with self._session(self._scratch) as session:
            is_allowed = session.rows(MAY_CREATE)
        if is_allowed != [["t"]]:
            return "read back and compared, NOT restored: this role may not create a database (SCRATCH_DATABASE_URL)"
        with self._scratch_database() as environment, self._session(environment) as scratch:
            _load(scratch, backup, with_grants=False)
            _compare("restored to a scratch database", tables, _tables(scratch))
        return "restored to a scratch database and compared"

    def read(self, backup: Path) -> Content:
        """What a backup holds, all of it read.

        Raises:
            NotDoneError: it is damaged, or no backup of PostgreSQL.
        """
        with backup.open("rb") as file:
            head = file.read(15)
        if head[:5] != MAGIC:
            other = "; it is a SQLite file, and DATABASE_URL names PostgreSQL" if head == b"SQLite format 3" else ""
            raise NotDoneError(f"{backup} is no dump of pg_dump{other}; expected a file that `make backup` wrote")
        content = Content({}, set())
        try:
            with running("pg_restore", "--data-only", "--file=-", str(backup)) as archive:
                for line in archive:
                    if found := HEADER.fullmatch(line):
                        name = _shown(*(_plain(part.decode()) for part in found.groups()))
                        content.tables[name] = sum_of(_until_end(archive, content, name))
        except NotDoneError as error:
            path = program("pg_restore")
            have, wrote = major(path), dumped_by(backup)
            if "unsupported version" in str(error) and have < wrote:
                raise too_old(path, have, f"the pg_dump that wrote {backup}, which was {wrote}", wrote) from None
            raise NotDoneError(f"{backup} is damaged: {error}; expected a whole dump", error.code) from None
        return content

    def users(self) -> list[str]:
        """Other connections to the database."""
        with self._session() as session:
            return [f"{row[0]} (user {row[1]}, from {row[2]}, pid {row[3]})" for row in session.rows(USERS)]

    def replace(self, backup: Path, expected: Tables, keep: Callable[[], Tables]) -> None:
        """Put a backup in the database's place, in one transaction; `keep` saves what is there and says what that is.

        Killed at any moment it is as it was or as it shall be: nothing is committed before it is compared.
        """
        if users := self.users():
            raise NotDoneError(f"the database is in use by {'; '.join(users)}; stop the service first")
        kept = keep()
        with self._session() as session:
            tell("looking that nothing has changed meanwhile")
            session.run("BEGIN")
            for row in session.rows(TABLES):
                session.run(f"LOCK TABLE {row[3]} IN ACCESS EXCLUSIVE MODE")
            _compare("looked at again, after what is there was kept", kept, _tables(session))
            tell("loading the backup")
            session.run(EMPTY)
            _load(session, backup, with_grants=self.with_grants)
            tell("comparing")
            brought = {_shown(*row) for row in session.rows(EXTENSIONS)}  # by extensions: in the dump, and not ours
            _compare("restored", {name: one for name, one in expected.items() if name not in brought}, _tables(session))
            session.run("COMMIT")
            with suppress(
                NotDoneError, KeyboardInterrupt
            ):  # it is done; the server looks at the tables by itself, later
                session.run("ANALYZE")

    @contextmanager
    def _session(self, environment: dict[str, str] | None = None) -> Iterator[Session]:
        with Session(environment or self._environment) as session:
            require_new_enough(int(session.rows(MAJOR)[0][0]))
            yield session

    @contextmanager
    def _scratch_database(self) -> Iterator[dict[str, str]]:
        """An empty database with the service's encoding and collation; those that a killed run left go after a day."""
        with self._session() as session:
            encoding, collate, ctype = (_literal(value) for value in session.rows(SHAPE)[0])
        now = datetime.now(UTC)
        name = f"scratch_{now:%Y%m%d}_{secrets.token_hex(6)}"
        options = f"TEMPLATE template0 ENCODING {encoding} LC_COLLATE {collate} LC_CTYPE {ctype}"
        with self._session(self._scratch) as session:
            for (old,) in session.rows(SCRATCH):
                if old[8:16] < f"{now - timedelta(days=1):%Y%m%d}":
                    session.run(f"DROP DATABASE IF EXISTS {old}")
            session.run(f"CREATE DATABASE {name} {options}")
        try:
            yield self._scratch | {"PGDATABASE": name}
        finally:
            with self._session(self._scratch) as session:
                session.run(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")


def _load(session: Session, backup: Path, *, with_grants: bool) -> None:
    """Feed a dump to a session; everything is owned by whoever restores."""
    here = {row[0] for row in session.rows("SELECT nspname FROM pg_namespace")}
    with tempfile.NamedTemporaryFile("w", encoding="utf-8", prefix="restore-") as chosen:
        with running("pg_restore", "--list", str(backup)) as listed:
            for raw in listed:
                line = raw.decode()
                is_there = any(f" SCHEMA - {name} " in line for name in here)
                if not is_there and " COMMENT - EXTENSION " not in line:
                    chosen.write(line)
        chosen.flush()
        options = ["--no-owner", "--no-subscriptions", f"--use-list={chosen.name}", "--file=-"]
        options += [] if with_grants else ["--no-privileges"]
        session.run("\\o /dev/null")
        with running("pg_restore", *options, str(backup)) as script:
            session.feed(script)
        session.run("\\o")


def _tables(session: Session) -> Tables:
    found = Tables()
    for schema, table, columns, quoted in session.rows(TABLES):
        found[_shown(schema, table)] = sum_of(
            session.ask(f"COPY {quoted} {f'({columns})' if columns else ''} TO STDOUT")
        )
    return found


def _compare(when: str, expected: Tables, found: Tables) -> None:
    """Tables that an extension brings are in a dump, and nobody's here."""
    if problem := difference(expected, {name: one for name, one in found.items() if name in expected}):
        raise NotDoneError(f"{when}, the tables differ: {problem}; nothing was changed, try again")


def _until_end(archive: IO[bytes], content: Content, name: str) -> Iterator[bytes]:
    for line in iter(archive.readline, b"\\.\n"):
        if not line.endswith(b"\n"):
            raise NotDoneError("it ends in the middle of a table")
        if name == "alembic_version":
            content.revisions.add(line.decode().strip())
        yield line


def _shown(schema: str, table: str) -> str:
    return table if schema == "public" else f"{schema}.{table}"


def _plain(identifier: str) -> str:
    return identifier[1:-1].replace('""', '"') if identifier.startswith('"') else identifier


def _literal(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"
