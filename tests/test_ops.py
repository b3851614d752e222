"""The programs of a rendered service's ops/ folder find what the settings name, and leave alone what they do not."""

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
def test_copy_takes_the_file_the_settings_name(tmp_path: Path, line: str, path: str) -> None:
    """`.env` is read as the service reads it; the copy is one file, and putting it back brings back its rows."""
    (tmp_path / ".env").write_text(line + "\n")
    write(tmp_path / path, 1)
    copied = run(tmp_path, "database.py", "copy", "copies/before.db")
    assert (copied.returncode, copied.stderr) == (0, "")
    write(tmp_path / path, 2)
    restored = run(tmp_path, "database.py", "restore", "copies/before.db")
    assert (restored.returncode, restored.stderr) == (0, "")
    assert rows(tmp_path / path) == [1]
    assert [file.name for file in (tmp_path / "copies").iterdir()] == ["before.db"]


def test_environment_wins_over_the_file(tmp_path: Path) -> None:
    """As in the service."""
    (tmp_path / ".env").write_text("DATABASE_URL=sqlite+aiosqlite:///a.db\n")
    write(tmp_path / "b.db", 1)
    assert run(tmp_path, "database.py", "copy", "c.db", DATABASE_URL="sqlite+aiosqlite:///b.db").returncode == 0
    assert rows(tmp_path / "c.db") == [1]


@pytest.mark.parametrize("command", ["copy", "restore"])
def test_missing_database_file_is_refused_and_not_created(tmp_path: Path, command: str) -> None:
    """An empty file is no backup, and must not become one."""
    done = run(tmp_path, "database.py", command, "before.db")
    assert done.returncode == 1
    assert "is not there" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_broken_copy_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    """What is no whole database does not replace one; a copy never replaces an older copy."""
    write(tmp_path / "var/app.db", 1)
    (tmp_path / "before.db").write_bytes(b"no database at all, only some text\n" * 100)
    assert run(tmp_path, "database.py", "restore", "before.db").returncode == 1
    refused = run(tmp_path, "database.py", "copy", "before.db")
    assert refused.returncode == 1
    assert "is there already" in refused.stderr
    assert rows(tmp_path / "var/app.db") == [1]


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://orders:hunter2@db/orders",
        "sqlite+aiosqlite:///:memory:",
        "sqlite+aiosqlite:///file:hunter2?uri=true",
        "sqlite+aiosqlite:///${HOME}/hunter2.db",
        "hunter2",
    ],
)
def test_database_that_is_no_plain_file_is_refused_unseen(tmp_path: Path, url: str) -> None:
    """The program says that it cannot tell, and never shows the value: it may hold a password."""
    done = run(tmp_path, "database.py", "copy", "before.db", DATABASE_URL=url)
    assert done.returncode == 2
    assert "expected sqlite+aiosqlite:///PATH" in done.stderr
    assert "hunter2" not in done.stdout + done.stderr


def test_health_asks_where_the_file_says(tmp_path: Path) -> None:
    """An empty setting takes its default, not the next line; `--show` asks the same service."""
    (tmp_path / ".env").write_text("HOST=\nPORT='9' # nobody listens there\n")
    for arguments in ((), ("--show", "/health")):
        done = run(tmp_path, "health.py", *arguments)
        assert done.returncode == 1
        assert "http://127.0.0.1:9/" in done.stdout + done.stderr
