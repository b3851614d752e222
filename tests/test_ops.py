"""The programs of a rendered service's ops/ folder find what the settings name, and leave alone what they do not."""

import fcntl
import json
import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT, git
from programs import is_free
from tools import require, user_environment
from words import reason

OPS = ROOT / "template/ops"


def run(folder: Path, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run an ops program in a service's folder, with nothing of the machine's own settings."""
    kept = {name: value for name, value in user_environment().items() if name not in ("PORT", "HOST", "DATABASE_URL")}
    command = [sys.executable, str(OPS / program), *arguments]
    return subprocess.run(command, cwd=folder, env={**kept, **environment}, capture_output=True, text=True, check=False)


def rows(path: Path) -> list[int]:
    """Return what `items` holds."""
    with closing(sqlite3.connect(path)) as database:
        return [row[0] for row in database.execute("SELECT id FROM items ORDER BY id")]


def write(path: Path, number: int) -> None:
    """Put a row in, as a service does: in write-ahead mode."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE IF NOT EXISTS items (id INTEGER PRIMARY KEY)")
        database.execute("INSERT INTO items VALUES (?)", [number])


@pytest.mark.parametrize(
    ("line", "path"),
    [
        ("", "var/app.db"),
        ("DATABASE_URL=", "var/app.db"),
        ("DATABASE_URL=\nHOST=here", "var/app.db"),
        ("DATABASE_URL=sqlite+aiosqlite:///./var/o.db", "var/o.db"),
        ("export database_url = sqlite+aiosqlite:///var/o.db # ours", "var/o.db"),
        ("DATABASE_URL='sqlite+aiosqlite:///./var/my orders #1.db' # ours", "var/my orders #1.db"),
        ('DATABASE_URL="sqlite+aiosqlite:///o%20p.db?timeout=3"', "o p.db"),
        ("DATABASE_URL=sqlite+aiosqlite:///a.db\nDATABASE_URL=sqlite+aiosqlite:///b.db", "b.db"),
    ],
)
def test_backup_takes_the_file_the_settings_name(tmp_path: Path, line: str, path: str) -> None:
    """`.env` is read as the service reads it; the backup is one file, and putting it back brings back its rows."""
    (tmp_path / ".env").write_text(f"{line}\nBACKUP_FOLDER='my copies'\n")
    write(tmp_path / path, 1)
    made = run(tmp_path, "backup.py")
    assert (made.returncode, made.stderr) == (0, "")
    (backup,) = (tmp_path / "my copies").glob("*-sqlite.db")
    assert "-wal" not in {file.name[-4:] for file in (tmp_path / "my copies").iterdir()}
    write(tmp_path / path, 2)
    restored = run(tmp_path, "restore.py", "--yes", str(backup))
    assert restored.returncode == 0, restored.stderr
    assert rows(tmp_path / path) == [1]


def test_restore_lists_the_backups_of_the_folder_that_is_named(tmp_path: Path) -> None:
    """The newest is last; what is no backup is not there; none is one line and exit code 1."""
    (tmp_path / ".env").write_text("BACKUP_FOLDER='my copies'\n")
    none = run(tmp_path, "restore.py", "--list")
    assert (none.returncode, none.stdout, none.stderr.count("\n")) == (1, "", 1)
    assert "no backup in my copies" in none.stderr
    write(tmp_path / "var/app.db", 1)
    made = [run(tmp_path, "backup.py").stdout.removeprefix("written: ").partition(" (")[0] for _ in range(2)]
    (tmp_path / "my copies/notes.db").write_text("mine")
    assert run(tmp_path, "restore.py", "--yes", made[0]).returncode == 0
    listed = run(tmp_path, "restore.py", "--list")
    lines = listed.stdout.splitlines()
    assert (listed.returncode, listed.stderr, len(lines)) == (0, "", 3)
    assert [line.partition(" (")[0] for line in lines[:2]] == made
    assert "-before-restore.db (" in lines[2]
    for arguments in ((), ("--list", made[0])):
        assert run(tmp_path, "restore.py", *arguments).returncode == 2


def test_restore_says_what_it_does_and_what_comes_next(tmp_path: Path) -> None:
    """A line a step on standard error; a backup of an older revision is to be migrated; the way back can be pasted."""
    (tmp_path / "migrations/versions").mkdir(parents=True)
    for number, before in ((1, "None"), (2, '"0001"'), (3, '("0002",)')):
        text = f'revision: str = "000{number}"\ndown_revision = {before}\n'
        (tmp_path / f"migrations/versions/000{number}_.py").write_text(text)
    write(tmp_path / "var/app.db", 1)
    with closing(sqlite3.connect(tmp_path / "var/app.db")) as database, database:
        database.execute("CREATE TABLE alembic_version (version_num TEXT)")
        database.execute("INSERT INTO alembic_version VALUES ('0003')")
    for revision, words in (("0003", ""), ("0001", " (the backup is of revision 0001, this release is at 0003)")):
        with closing(sqlite3.connect(tmp_path / "var/app.db")) as database, database:
            database.execute("UPDATE alembic_version SET version_num = ?", [revision])
        backup = (
            run(tmp_path, "backup.py", BACKUP_FOLDER="my copies").stdout.removeprefix("written: ").partition(" (")[0]
        )
        done = run(tmp_path, "restore.py", "--yes", backup, BACKUP_FOLDER="my copies")
        assert f"\nnext: make migrate{words}, then start the service\n" in done.stdout
        back = re.search(r"\nto go back: make restore FROM='(my copies/.*-before-restore\.db)' YES=1\nres", done.stdout)
        assert back is not None
        assert (tmp_path / back[1]).exists()
        steps = ["reading the database", "copying aside what is there", "loading the backup", "comparing"]
        assert done.stderr.splitlines() == [f"reading {backup}", *steps]


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """As in the service."""
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite+aiosqlite:///a.db\n")
    write(tmp_path / "b.db", 1)
    assert run(tmp_path, "backup.py", "--to", "c", DATABASE_URL="sqlite+aiosqlite:///b.db").returncode == 0
    (backup,) = (tmp_path / "c").glob("*.db")
    assert rows(backup) == [1]


def test_missing_database_file_is_refused_and_not_created(tmp_path: Path) -> None:
    """An empty file is no backup, and must not become one."""
    done = run(tmp_path, "backup.py")
    assert done.returncode == 1
    assert "is not there" in done.stderr
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == [".lock"]


@pytest.mark.parametrize(
    "url",
    [
        "mysql://orders:hunter2@db/orders",
        "postgresql+asyncpg://orders:hunter2@db",
        "postgresql+asyncpg://orders:${hunter2}@db/orders",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///file:hunter2?uri=true",
        "sqlite+aiosqlite:///${HOME}/hunter2.db",
        "hunter2",
    ],
)
def test_database_that_cannot_be_copied_is_refused_unseen(tmp_path: Path, url: str) -> None:
    """The program says that it cannot tell, and never shows the value: it may hold a password."""
    done = run(tmp_path, "backup.py", DATABASE_URL=url)
    assert done.returncode == 2
    assert "expected " in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_only_one_backup_is_made_at_a_time(tmp_path: Path) -> None:
    """Whoever comes second is told, and touches nothing of the first."""
    write(tmp_path / "var/app.db", 1)
    folder = tmp_path / "var/backups"
    folder.mkdir()
    with (folder / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        partial = folder / "20261121T190000Z-0.1.0-sqlite.db.partial"
        partial.write_text("of the first")
        done = run(tmp_path, "backup.py")
        assert (done.returncode, partial.exists()) == (1, True)
    assert "another backup or restore works in" in done.stderr
    assert run(tmp_path, "backup.py").returncode == 0
    assert not partial.exists()


def test_health_asks_where_the_file_says(tmp_path: Path) -> None:
    """An empty setting takes its default, not the next line; `--show` asks the same service."""
    (tmp_path / ".env").write_text("HOST=\nPORT='9' # nobody listens there\n")
    for arguments in ((), ("--show", "/health")):
        done = run(tmp_path, "health.py", *arguments)
        assert done.returncode == 1
        assert "http://127.0.0.1:9/" in done.stdout + done.stderr


TRACE = """Traceback (most recent call last):
  File "/srv/var/deploy/releases/1/.venv/lib/python3.11/site-packages/starlette/routing.py", line 661, in lifespan
    async with self.lifespan_context(app) as maybe_state:
  File "/srv/var/deploy/releases/1/src/app/main.py", line 16, in _lifespan
    raise RuntimeError("no queue")
RuntimeError: no queue
"""


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("one\nanother  \n\n", "another"),
        (TRACE, "RuntimeError: no queue (src/app/main.py:16)"),
        (
            "\n".join(json.dumps({"event": one}) for one in (TRACE, "request", "Application startup failed. Exiting.")),
            "RuntimeError: no queue (src/app/main.py:16)",
        ),
        (json.dumps({"event": "unhandled error", "trace": TRACE}), "RuntimeError: no queue (src/app/main.py:16)"),
        (
            '  File "/srv/src/app/main.py", line 3\n    def oops(:\n             ^\nSyntaxError: invalid syntax\n',
            "SyntaxError: invalid syntax (src/app/main.py:3)",
        ),
        (
            "settings cannot be used:\nA: is missing; expected a value\nB: is 7; expected less\n",
            "settings cannot be used: A: is missing; expected a value; B: is 7; expected less",
        ),
        (
            "nginx: [emerg] host not found\nnginx: configuration file /srv/proxy.conf test failed\n",
            "nginx: [emerg] host not found",
        ),
        ("error: no such wheel\nhint: try another\n", "error: no such wheel"),
    ],
)
def test_reason_of_an_end_is_one_line_with_its_place(text: str, expected: str) -> None:
    """What a program printed last but echoes, and of an error of the service's own files which line; no request."""
    assert reason(text) == expected


@pytest.mark.parametrize(("has_git", "why"), [(False, "fatal: not a git repository"), (True, "there is none yet")])
def test_service_in_no_commit_is_told_what_to_do(tmp_path: Path, has_git: bool, why: str) -> None:
    """As it was just rendered: a commit is deployed, so one must be made."""
    require("nginx"), require("uv")
    if has_git:
        git(tmp_path, "init", "--quiet")
    done = run(tmp_path, "deploy.py", "deploy", GIT_CEILING_DIRECTORIES=str(tmp_path.parent), LC_ALL="C")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"not done: git names no commit ({why}")
    assert done.stderr.endswith("); expected one: git init, git add --all, git commit\n")


def test_address_of_another_machine_is_not_called_taken() -> None:
    """Nobody listens there (RFC 5737): the proxy that tries it says why it cannot."""
    assert is_free("192.0.2.1", 8000)
