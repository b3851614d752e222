"""Backups and restores: one moment, whole or not at all, on each engine; real files, servers and processes."""

import asyncio
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import asyncpg  # type: ignore[import-untyped]
import pytest

from app.chassis.about import project_root
from app.chassis.cli.show import setting_rows
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings
from app.chassis.testing.databases import execute
from app.chassis.testing.guarded import ServerMissingError
from app.chassis.testing.postgresql import programs

pytestmark = pytest.mark.engines("sqlite", "postgresql")

NAME = r"\d{8}T\d{6}Z-[^-]+-(sqlite\.db|postgresql\.dump)"


class Operator:
    """Somebody in a folder of a service, with a database of one engine."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url = folder, url
        self.backups = folder / "var/backups"
        shutil.copytree(project_root() / "ops", folder / "ops", ignore=shutil.ignore_patterns("__pycache__"))
        (folder / "migrations/versions").mkdir(parents=True)
        (folder / "migrations/versions/0001_first.py").write_text('revision = "0001"\n')
        self.environment = os.environ | {"ENV_FILE": "", "DATABASE_URL": url, "PYTHONDONTWRITEBYTECODE": "1"}
        if url.startswith("postgresql") and not os.environ.get("PG_BIN"):
            self.environment["PG_BIN"] = str(programs())

    def start(self, program: str, *arguments: str, **environment: str) -> subprocess.Popen[str]:
        """A program of ops/, running."""
        return subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, f"ops/{program}.py", *arguments],
            cwd=self.folder,
            env=self.environment | environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, program: str, *arguments: str, **environment: str) -> tuple[int, str, str]:
        """Exit code, standard output, standard error."""
        with self.start(program, *arguments, **environment) as process:
            out, err = process.communicate(timeout=120)
        assert "Traceback" not in err
        return process.returncode, out, err

    def backup(self, **environment: str) -> Path:
        """A backup that must be made."""
        code, out, err = self.run("backup", **environment)
        assert (code, err) == (0, "")
        return self.folder / out.split()[1]

    def restore(self, backup: Path | str, *options: str, **environment: str) -> tuple[int, str]:
        """Exit code and all that is said."""
        code, out, err = self.run("restore", *options, str(backup), **environment)
        return code, out + err

    def ask(self, statement: str, url: str = "") -> list[tuple[Any, ...]]:
        """Rows of a statement, past the programs."""
        url = url or self.url
        if url.startswith("postgresql"):
            return [tuple(row) for row in execute(url, statement)]
        path = Path(url.partition(":///")[2])
        path.parent.mkdir(parents=True, exist_ok=True)
        with closing(sqlite3.connect(path)) as connection, connection:
            return list(connection.execute(statement))

    def write(self, *statements: str) -> None:
        """Statements whose answers nobody needs."""
        for statement in statements:
            self.ask(statement)

    def numbers(self, url: str = "") -> list[int]:
        """What the one table holds."""
        return sorted(row[0] for row in self.ask("SELECT number FROM probe", url))


@pytest.fixture
def operator(tmp_path: Path, database_url: str) -> Operator:
    """A database with a table of three rows, at revision 0001."""
    try:
        made = Operator(tmp_path / "my service", database_url)
    except ServerMissingError as error:
        pytest.skip(str(error))
    made.write(
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('0001')",
        "CREATE TABLE probe (number INTEGER PRIMARY KEY, note TEXT)",
        "INSERT INTO probe VALUES (1, 'planted-value'), (2, NULL), (3, 'a\\b')",
    )
    return made


def files(folder: Path) -> list[str]:
    """Names in a folder but the lock's and the sums'."""
    return sorted(path.name for path in folder.glob("*") if path.suffix != ".sha256" and path.name != ".lock")


class Writer(threading.Thread):
    """Saves pairs of rows until it is told to stop; `saved` are those it knows to be safe."""

    def __init__(self, url: str, first: int, stop: threading.Event) -> None:
        super().__init__()
        self.saved: list[int] = []
        self._url, self._first, self._stop_it = url, first, stop

    def run(self) -> None:
        """Write."""
        for number in range(self._first, self._first + 1_000_000, 2):
            if self._stop_it.is_set():
                return
            if self._url.startswith("postgresql"):
                execute(self._url, f"INSERT INTO probe VALUES ({number}), ({number + 1})")  # noqa: S608  # numbers
            else:
                path = self._url.partition(":///")[2]
                with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
                    connection.execute(f"INSERT INTO probe (number) VALUES ({number}), ({number + 1})")  # noqa: S608  # numbers
            self.saved += [number, number + 1]


@pytest.mark.thorough
def test_backup_while_others_write_holds_all_that_was_saved_before(operator: Operator) -> None:
    """Four threads write; what they knew to be saved is in it, and no transaction is in it by half."""
    stop = threading.Event()
    if operator.url.startswith("sqlite"):  # who changes the mode while others write is refused at once
        operator.write("PRAGMA journal_mode=WAL")
    writers = [Writer(operator.url, 1_000_000 * (number + 1), stop) for number in range(4)]
    for writer in writers:
        writer.start()
    try:
        while not all(writer.saved for writer in writers):
            assert all(writer.is_alive() for writer in writers)
            time.sleep(0.01)
        saved = {number for writer in writers for number in list(writer.saved)}
        backup = operator.backup()
    finally:
        stop.set()
        for writer in writers:
            writer.join(60)
    assert operator.restore(backup, "--yes")[0] == 0
    held = set(operator.numbers())
    assert saved <= held
    assert all(number ^ 1 in held for number in held if number >= 1_000_000)


@pytest.mark.thorough
def test_backup_says_what_it_is_and_is_for_nobody_else(operator: Operator, engine: str) -> None:
    """Name, size, tables, rows; read by its owner only; what proves it later stands beside; nothing half is left."""
    code, out, _ = operator.run("backup")
    backup = operator.folder / out.split()[1]
    assert code == 0
    assert re.fullmatch(NAME, backup.name)
    assert f"({backup.stat().st_size} bytes, 2 tables, 4 rows, " in out
    assert f"\nproved: restored to a scratch {'file' if engine == 'sqlite' else 'database'} and compared\n" in out
    assert backup.stat().st_mode & 0o777 == 0o600
    assert files(operator.backups) == [backup.name]
    assert Path(f"{backup}.sha256").read_text().endswith(f"  {backup.name}\n")


@pytest.mark.thorough
def test_old_backups_go_and_nothing_else_does(operator: Operator) -> None:
    """The newest BACKUP_KEEP stay; what has another name is nobody's to delete."""
    operator.backups.mkdir(parents=True)
    foreign = ["notes.db", "20200101T000000Z-1-sqlite.db.bak", "20200101T000000Z-sqlite.db", "x.sha256"]
    for name in [*foreign, "20200101T000000Z-1.0-sqlite.db", "20200101T000000Z-1.0-postgresql.dump.partial"]:
        (operator.backups / name).write_text("old")
    made = [operator.backup(BACKUP_KEEP="2").name for _ in range(3)]
    assert set(files(operator.backups)) == {*made[1:], *foreign} - {"x.sha256"}
    assert (operator.backups / "x.sha256").exists()
    for wrong in ("0", "-1", "many", "1.5"):
        assert operator.run("backup", BACKUP_KEEP=wrong)[0] == 2
    assert set(made[1:]) <= set(files(operator.backups))


@pytest.mark.thorough
def test_restore_asks_first(operator: Operator) -> None:
    """Without a word nothing is replaced: rows now and then, and exit code 2."""
    backup = operator.backup()
    operator.write("DELETE FROM probe WHERE number = 3")
    code, told = operator.restore(backup)
    assert code == 2
    assert re.search(r"probe +2 +3\n", told)
    assert told.endswith("not done: this would be replaced; to do it: YES=1 (--yes)\n")
    assert (operator.numbers(), files(operator.backups)) == ([1, 2], [backup.name])


def test_restore_keeps_what_was_there_and_says_how_to_go_back(operator: Operator) -> None:
    """Tables that a later revision made are gone with it, and the way back brings them back."""
    backup = operator.backup()
    operator.write("DELETE FROM probe WHERE number = 3", "CREATE TABLE later (number INTEGER)")
    code, told = operator.restore(backup, "--yes")
    assert code == 0
    assert operator.numbers() == [1, 2, 3]
    with pytest.raises((sqlite3.Error, asyncpg.PostgresError)):
        operator.ask("SELECT * FROM later")
    back = re.search(r"to go back: make restore FROM=(\S+-before-restore\.\w+) YES=1\nrestored: ", told)
    assert back is not None
    assert operator.restore(back[1], "--yes")[0] == 0
    assert (operator.numbers(), operator.ask("SELECT * FROM later")) == ([1, 2], [])


@pytest.mark.thorough
def test_restore_into_nothing_needs_no_word(
    operator: Operator, tmp_path: Path, new_database: Callable[[Path], str]
) -> None:
    """A new machine: there is nothing to lose."""
    backup = operator.backup()
    url = new_database(tmp_path / "new")
    assert operator.restore(backup, DATABASE_URL=url)[0] == 0
    assert operator.numbers(url) == [1, 2, 3]


@pytest.mark.thorough
@pytest.mark.parametrize("damage", ["flipped", "cut", "cut, no sum", "empty", "text", "missing"])
def test_damaged_backup_is_refused_and_nothing_is_touched(operator: Operator, damage: str) -> None:
    """One line that says so, whether or not its sum lies beside it."""
    backup = operator.backup()
    data = bytearray(backup.read_bytes())
    if damage == "flipped":
        data[len(data) // 2] ^= 1
    elif damage.startswith("cut"):
        del data[len(data) * 2 // 3 :]
    backup.write_bytes({"empty": b"", "text": b"no backup at all\n" * 500}.get(damage, data))
    if damage != "flipped":
        Path(f"{backup}.sha256").unlink()
    if damage == "missing":
        backup.unlink()
    operator.write("DELETE FROM probe WHERE number = 3")
    code, told = operator.restore(backup, "--yes")
    assert code == (2 if damage == "missing" else 1)
    assert re.search(r"not done: .*(is damaged|is no SQLite database|is no dump of pg_dump|is not there)", told)
    assert operator.numbers() == [1, 2]
    assert not list(operator.backups.glob("*-before-restore*"))


@pytest.mark.thorough
def test_backup_of_the_other_engine_is_refused(operator: Operator, tmp_path: Path, engine: str) -> None:
    """It says which one it is of."""
    other = tmp_path / "other"
    if engine == "sqlite":
        other.write_bytes(b"PGDMP\x01\x10\x00" * 100)
    else:
        with closing(sqlite3.connect(other)) as connection, connection:
            connection.execute("CREATE TABLE probe (number INTEGER)")
    code, told = operator.restore(other, "--yes")
    assert code == 1
    assert f"DATABASE_URL names {'SQLite' if engine == 'sqlite' else 'PostgreSQL'}" in told
    assert operator.numbers() == [1, 2, 3]


@pytest.mark.thorough
def test_backup_of_a_newer_release_is_refused_until_it_is_wanted(operator: Operator) -> None:
    """This release does not have its revision; whoever knows that it serves it all the same says so."""
    operator.write("UPDATE alembic_version SET version_num = '0002'")
    backup = operator.backup()
    operator.write("UPDATE alembic_version SET version_num = '0001'", "DELETE FROM probe WHERE number = 3")
    code, told = operator.restore(backup, "--yes")
    assert code == 1
    assert "is of revision 0002, which this release does not have" in told
    assert operator.numbers() == [1, 2]
    assert operator.restore(backup, "--yes", "--newer")[0] == 0
    assert operator.numbers() == [1, 2, 3]


@contextmanager
def connected(operator: Operator) -> Iterator[None]:
    """Somebody has the database open, and does nothing."""
    if operator.url.startswith("postgresql"):
        loop = asyncio.new_event_loop()
        url = operator.url.replace("+asyncpg", "")
        connection = loop.run_until_complete(asyncpg.connect(url, server_settings={"application_name": "somebody"}))
        try:
            yield
        finally:
            loop.run_until_complete(connection.close())
            loop.close()
    else:
        with closing(sqlite3.connect(operator.url.partition(":///")[2])) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("SELECT * FROM probe").fetchall()
            yield


@pytest.mark.thorough
def test_restore_under_a_running_service_is_refused(operator: Operator, engine: str) -> None:
    """Whoever has the database open is named."""
    backup = operator.backup()
    operator.write("DELETE FROM probe WHERE number = 3")
    with connected(operator):
        code, told = operator.restore(backup, "--yes")
    assert code == 1
    assert "in use by" in told
    assert (f"process {os.getpid()}" if engine == "sqlite" and sys.platform == "linux" else "") in told
    assert ("somebody" if engine == "postgresql" else "") in told
    assert operator.numbers() == [1, 2]
    assert operator.restore(backup, "--yes")[0] == 0


@pytest.mark.engines("sqlite")
@pytest.mark.thorough
def test_service_that_has_not_opened_its_file_serves_what_was_restored(operator: Operator) -> None:
    """A restore does not see it; what it opens then is the backup, and it writes there."""
    backup = operator.backup()
    operator.write("DELETE FROM probe WHERE number = 3")
    database = Database(DatabaseSettings(database_url=operator.url))
    assert operator.restore(backup, "--yes")[0] == 0

    async def use() -> list[int]:
        async with database.writer.begin() as connection:
            await connection.exec_driver_sql("INSERT INTO probe VALUES (4, NULL)")
        async with database.reader.connect() as connection:
            found = await connection.exec_driver_sql("SELECT number FROM probe ORDER BY number")
            numbers = [row[0] for row in found]
            await connection.rollback()
        await database.close()
        return numbers

    assert asyncio.run(use()) == operator.numbers() == [1, 2, 3, 4]


def test_settings_of_the_programs_are_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ops/ reads is among what `app settings` lists, with its default; a password in it is hidden."""
    monkeypatch.setenv("ENV_FILE", "")
    monkeypatch.setenv("SCRATCH_DATABASE_URL", "postgresql+asyncpg://orders:hunter2@db/orders")
    texts = [path.read_text(encoding="utf-8") for path in (project_root() / "ops").glob("*.py")]
    read = dict(found for text in texts for found in re.findall(r'setting\("([A-Z_]+)", "(.*?)"\)', text))
    rows = setting_rows()
    assert {"BACKUP_FOLDER", "BACKUP_KEEP", "PG_BIN", "SCRATCH_DATABASE_URL"} <= read.keys()
    assert read.items() <= {row["variable"]: row["default"] for row in rows}.items()
    assert "hunter2" not in str(rows)


@pytest.mark.thorough
def test_restore_that_is_killed_leaves_the_old_or_the_new(operator: Operator) -> None:
    """At whatever moment: all rows of one of them, and the next restore works."""
    operator.write(
        "INSERT INTO probe WITH RECURSIVE many(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM many WHERE n < 30000) "
        "SELECT n, 'a text of some length' FROM many"
    )
    backup, whole = operator.backup(), len(operator.numbers())
    began = time.monotonic()
    assert operator.restore(backup, "--yes")[0] == 0
    seconds = time.monotonic() - began
    for part in range(6):
        operator.write("DELETE FROM probe WHERE number > 3")
        with operator.start("restore", "--yes", str(backup)) as process:
            try:
                process.wait(seconds * part / 6)
            except subprocess.TimeoutExpired:
                process.kill()
        assert len(operator.numbers()) in (3, whole), part
    deadline = time.monotonic() + 60  # what the last one had started needs a moment to notice
    while (done := operator.restore(backup, "--yes"))[0]:
        assert time.monotonic() < deadline, done
        time.sleep(0.1)
    assert len(operator.numbers()) == whole


@contextmanager
def recorded(operator: Operator, folder: Path, version: str = "") -> Iterator[Path]:
    """PostgreSQL's programs, each of which notes how it was called; a `version` is told in place of its own."""
    folder.mkdir()
    notes = folder / "notes"
    real = shutil.which("pg_dump", path=operator.environment["PG_BIN"])
    assert real is not None
    for name in ("pg_dump", "pg_restore", "psql"):
        says = f'[ "$1" = --version ] && echo "{name} (PostgreSQL) {version}" && exit\n' if version else ""
        text = f'#!/bin/sh\necho "$0 $*" >>"{notes}"\n{says}exec "{Path(real).parent}/{name}" "$@"\n'
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    operator.environment["PG_BIN"] = str(folder)
    yield notes


@pytest.mark.engines("postgresql")
@pytest.mark.thorough
def test_password_is_on_no_command_line_and_in_no_output(operator: Operator, tmp_path: Path) -> None:
    """Whatever characters it has; and a role that may not create a database is told what that leaves out."""
    password, role = "p@ss:w/o?r#d%41'\" \\$x", f"role_{os.getpid()}_{time.monotonic_ns()}"
    database = operator.url.rpartition("/")[2].partition("?")[0]
    quoted = password.replace("'", "''")
    operator.write(f"CREATE ROLE {role} LOGIN PASSWORD '{quoted}'", f"ALTER DATABASE {database} OWNER TO {role}")
    operator.write(*(f"ALTER TABLE {table} OWNER TO {role}" for table in ("probe", "alembic_version")))
    try:
        host = operator.url.rpartition("@")[2]
        url = f"postgresql+asyncpg://{role}:{quote(password, safe='')}@{host}"
        with recorded(operator, tmp_path / "bin") as notes:
            code, out, err = operator.run("backup", DATABASE_URL=url)
            assert (code, err) == (0, "")
            assert "NOT restored: this role may not create a database" in out
            backup = operator.folder / out.split()[1]
            code, told = operator.restore(backup, "--yes", DATABASE_URL=url)
            assert code == 0
            wrong = operator.run("backup", DATABASE_URL=url.replace(role, "nobody_here"))
        assert wrong[0] == 1
        assert "password authentication failed" in wrong[2]
        for text in (out, told, *wrong[1:], notes.read_text()):
            assert password not in text
            assert quote(password, safe="") not in text
        with recorded(operator, tmp_path / "again") as notes:
            proved = operator.run("backup", DATABASE_URL=url, SCRATCH_DATABASE_URL=operator.url)
        assert "proved: restored to a scratch database and compared" in proved[1]
    finally:
        operator.write(f"REASSIGN OWNED BY {role} TO CURRENT_USER", f"DROP OWNED BY {role}", f"DROP ROLE {role}")


@pytest.mark.engines("postgresql")
@pytest.mark.thorough
def test_programs_older_than_the_server_are_refused(operator: Operator, tmp_path: Path) -> None:
    """They would not know all that it holds; the line says where to name others."""
    with recorded(operator, tmp_path / "bin", version="9.6.24"):
        code, _, err = operator.run("backup")
    assert code == 2
    assert "is 9, older than the server" in err
    assert "PG_BIN names the folder" in err
    code, _, err = operator.run("backup", PG_BIN=str(tmp_path))
    assert (code, "psql is not in the folder that PG_BIN names" in err) == (2, True)


@pytest.mark.engines("postgresql")
@pytest.mark.thorough
def test_programs_older_than_the_dump_are_told(operator: Operator, tmp_path: Path) -> None:
    """The backup is good, and is not called damaged: the line names the program, both versions and PG_BIN."""
    backup, folder = operator.backup(), tmp_path / "old"
    shown = subprocess.run([f"{operator.environment['PG_BIN']}/pg_dump", "--version"], capture_output=True, check=True)  # noqa: S603
    wrote = re.search(rb"\) (\d+)", shown.stdout)
    assert wrote is not None
    with recorded(operator, folder, version="12.1"):
        says = 'echo "pg_restore: error: unsupported version (1.16) in file header" >&2; exit 1'
        (folder / "pg_restore").write_text(
            f'#!/bin/sh\n[ "$1" = --version ] && echo "x (PostgreSQL) 12.1" && exit\n{says}\n'
        )
        code, told = operator.restore(backup)
        assert code == 2
        assert f"{folder}/pg_restore is 12, older than the pg_dump that wrote {backup}, which was" in told
        assert f"expected {wrote[1].decode()} or newer: PG_BIN names the folder of another one" in told
        assert "damaged" not in told
        backup.write_bytes(b"PGDMP" + bytes(200))
        Path(f"{backup}.sha256").unlink()
        code, told = operator.restore(backup)
        assert (code, "is damaged" in told) == (1, True)


@pytest.mark.engines("postgresql")
@pytest.mark.thorough
def test_whatever_a_team_may_have_made_comes_back(operator: Operator) -> None:
    """Odd names, schemas, partitions, types, collations, operators, words: backed up, dropped and made again."""
    odd = 'odd."o""d d. (t) FROM stdin;"'
    operator.write(
        "CREATE SCHEMA odd",
        f'CREATE TABLE {odd} (a int, "b c" text, g int GENERATED ALWAYS AS (a * 2) STORED)',
        f"INSERT INTO {odd} VALUES (1, E'x\\ty\\nCOPY public.probe (number) FROM stdin;\\n\\\\.\\n')",  # noqa: S608  # constants
        "CREATE TYPE mood AS ENUM ('good')",
        "CREATE TABLE parts (a int, m mood) PARTITION BY RANGE (a)",
        "CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10)",
        "INSERT INTO parts VALUES (1, 'good')",
        "CREATE TABLE counted (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, n serial)",
        "INSERT INTO counted DEFAULT VALUES",
        "CREATE VIEW seen AS SELECT * FROM probe",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE TABLE columnless ()",
        "CREATE COLLATION odd.plain (locale = 'C')",
        "CREATE COLLATION plain (locale = 'C')",
        "CREATE TYPE spans AS RANGE (subtype = float8)",
        "CREATE TEXT SEARCH TEMPLATE looser (init = dsimple_init, lexize = dsimple_lexize)",
        "CREATE TEXT SEARCH DICTIONARY words (template = looser)",
        "CREATE TEXT SEARCH PARSER letters (start = prsd_start, gettoken = prsd_nexttoken, end = prsd_end, "
        "lextypes = prsd_lextype)",
        "CREATE TEXT SEARCH CONFIGURATION tongue (parser = letters)",
        "CREATE OPERATOR === (leftarg = int, rightarg = int, function = int4eq)",
        "CREATE OPERATOR FAMILY kin USING btree",
        "CREATE OPERATOR CLASS rank FOR TYPE int USING btree FAMILY kin AS FUNCTION 1 btint4cmp(int, int)",
        "CREATE CONVERSION turned FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
        "CREATE STATISTICS shares ON a, m FROM parts",
        "CREATE TABLE spanned (s spans, w text COLLATE odd.plain)",
    )
    backup = operator.backup()
    operator.write("CREATE TABLE newer (id int REFERENCES counted (id))", "CREATE SCHEMA fresh", "DELETE FROM parts")
    assert operator.restore(backup, "--yes")[0] == 0
    assert operator.ask("SELECT a FROM parts") == [(1,)]
    found = operator.ask(f'SELECT "b c", g FROM {odd}')  # noqa: S608  # constants
    assert found == [("x\ty\nCOPY public.probe (number) FROM stdin;\n\\.\n", 2)]
    assert operator.ask("SELECT count(*) FROM seen") == [(3,)]
    assert operator.ask("INSERT INTO counted DEFAULT VALUES RETURNING id, n") == [(2, 2)]
    assert operator.ask("SELECT count(*) FROM pg_namespace WHERE nspname = 'fresh'") == [(0,)]


@pytest.mark.engines("sqlite")
@pytest.mark.thorough
def test_broken_database_is_replaced_and_its_file_kept(operator: Operator) -> None:
    """What a restore is for: there is nothing to back up any more, but the bytes may be worth something."""
    backup = operator.backup()
    path = Path(operator.url.partition(":///")[2])
    path.write_bytes(b"not a database at all" * 1000)
    code, told = operator.restore(backup)
    assert (code, "YES=1" in told) == (2, True)
    code, told = operator.restore(backup, "--yes")
    assert code == 0
    assert operator.numbers() == [1, 2, 3]
    (aside,) = operator.backups.glob("*-broken.db")
    assert aside.read_bytes() == b"not a database at all" * 1000


@pytest.mark.thorough
def test_backup_that_does_not_fit_leaves_nothing(operator: Operator) -> None:
    """A full disk is one line, exit code 1, no half file; older backups stay."""
    kept = operator.backup(BACKUP_KEEP="1")
    operator.write(
        "INSERT INTO probe WITH RECURSIVE many(n) AS (SELECT 10 UNION ALL SELECT n + 1 FROM many WHERE n < 60000) "
        "SELECT n * 79, 'text ' || n * 104729.5 FROM many"
    )
    done = subprocess.run(  # noqa: S603  # our own program
        ["sh", "-c", f'ulimit -f 64; exec "{sys.executable}" ops/backup.py'],  # noqa: S607  # of the system
        cwd=operator.folder,
        env=operator.environment | {"BACKUP_KEEP": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert re.fullmatch(r"not done: [^\n]+\n", done.stderr)
    assert files(operator.backups) == [kept.name]
