"""The programs of a rendered service's ops/ folder find what the settings name, and leave alone what they do not."""

import fcntl
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from conftest import ROOT
from tools import user_environment

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
    assert (restored.returncode, restored.stderr) == (0, "")
    assert rows(tmp_path / path) == [1]


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
