"""The runbook of a rendered service does what it says: every procedure is run, and taken back to the state before."""

import hashlib
import os
import re
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import grammar
import pytest
from conftest import ROOT, commit_all, git, share
from deployed import free_ports
from tools import require, user_environment

PAGES = sorted((ROOT / "template/docs/chassis/runbook").glob("*.md.jinja"))
NAMES = [one.name for page in PAGES for one in grammar.read(page)]
NAMED = ("PORT", "DATABASE_URL", "BACKUP_FOLDER", "DEPLOY_PORTS")
ROWS = "SELECT name FROM items ORDER BY name"
# What a procedure leaves on purpose: copies, notes, logs; and the database, whose rows are compared in its place.
LEFT = {".git", "var", ".venv", ".tools", ".mypy_cache", ".hypothesis", "uv.lock", "__pycache__"}
Service = tuple[Path, dict[str, str]]


@pytest.fixture(
    scope="module",
    params=[pytest.param("environment", marks=pytest.mark.soak), ".env"],
)
def service(request: pytest.FixtureRequest, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Service:
    """Return a migrated service and its operator's environment; nothing runs yet.

    Port and database are named by the environment, or by `.env` and nowhere else.
    """
    folder = share(installed, tmp_path_factory.mktemp("runbook") / "a service")
    require("nginx")
    port, *others = free_ports(3)
    named = {"PORT": str(port), "DEPLOY_PORTS": ",".join(map(str, others)), "SERVER_DRAIN_SECONDS": "0.2"}
    if request.param == ".env":
        named["DATABASE_URL"] = "'sqlite+aiosqlite:///./var/other place/orders.db'"
        named["BACKUP_FOLDER"] = "'var/other copies'"
        (folder / ".env").write_text("".join(f"{name}={value}  # set here\n" for name, value in named.items()))
        (folder / ".env").chmod(0o600)
        named = {}
    environment = {name: value for name, value in user_environment().items() if name not in NAMED} | named
    for target in ("migrate", "contract"):
        subprocess.run(["make", target], cwd=folder, env=environment, check=True, capture_output=True)
    commit_all(folder, "release")
    git(folder, "tag", "v1.0.0")
    return folder, environment


@pytest.fixture(autouse=True)
def nothing_runs_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    """Leave no process behind."""
    yield
    if "service" in request.fixturenames:
        pid = request.getfixturevalue("service")[0] / "var/service.pid"
        if pid.exists():
            subprocess.run(["kill", "-KILL", pid.read_text().strip()], check=False)
            pid.unlink()


def runbook(service: Service, *arguments: str, **inputs: str) -> subprocess.CompletedProcess[str]:
    """Run the program as an operator does."""
    folder, environment = service
    command = ["python3", "ops/runbook.py", *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment | inputs, capture_output=True, text=True, check=False, timeout=300
    )


def database(folder: Path) -> Path:
    """Return the file that the service uses."""
    return next(path for path in (folder / "var/other place/orders.db", folder / "var/app.db") if path.exists())


def ask(folder: Path, *statements: str) -> list[str]:
    """Run statements on the service's database; return what the last one finds."""
    with closing(sqlite3.connect(database(folder))) as connection, connection:
        return [row[0] for statement in statements for row in connection.execute(statement)]


def state(service: Service) -> dict[str, str]:
    """Return what a rollback has to bring back: rows, files, keys, and whether the service answers."""
    folder, environment = service
    with closing(sqlite3.connect(database(folder))) as connection:
        found = {"rows": "\n".join(connection.iterdump())}
    files = [path for path in folder.rglob("*") if not LEFT & set(path.relative_to(folder).parts) and path.is_file()]
    for path in [*files, *folder.glob("var/keys*.json"), *folder.glob("var/*.pid")]:
        found[str(path.relative_to(folder))] = hashlib.sha256(path.read_bytes()).hexdigest()
    command = ["python3", "ops/health.py"]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return found | {"health": f"{done.returncode} {done.stdout}"}


def lost(service: Service) -> str:
    """Save three items, make a backup, lose two, make another backup, of the damage; return the first one's path."""
    folder, environment = service
    save = (
        "INSERT OR IGNORE INTO items (name, contact_email, quantity, version, created_at, updated_at) "
        "SELECT column1, 'ada@example.com', 1, 1, '2026-01-01 00:00:00', '2026-01-01 00:00:00' "
        "FROM (VALUES ('one'), ('two'), ('three'))"
    )
    made = []
    for statement in (save, "DELETE FROM items WHERE name <> 'one'"):
        ask(folder, statement)
        done = subprocess.run(
            ["make", "backup"], cwd=folder, env=environment, capture_output=True, text=True, check=True
        )
        made.append(done.stdout.removeprefix("written: ").partition(" (")[0])
    return made[0]


@pytest.mark.parametrize("name", NAMES)
def test_procedure_does_what_its_page_says_and_its_rollback_brings_the_state_back(name: str, service: Service) -> None:
    """Every command prints what the page shows; then nothing is as it was not before."""
    copies = service[0] / ("var/other copies" if (service[0] / ".env").exists() else "var/backups")
    inputs = {
        "BACKUP": lost(service),
        "BACKUPS": str(copies),
        "ELSEWHERE": str(service[0].parent / "another disk"),
        "HOLDER": "0",
        "RELEASE": "v1.0.0",
        "LIMIT": "1200/minute",
    }
    before, kept = state(service), set(copies.glob("*"))
    done = runbook(service, "rehearse", name, **inputs)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.endswith(f"ok: {name}\n\n1 of 1 rehearsed, 0 FAIL\n")
    assert state(service) == before
    assert name != "The disk is full" or set(copies.glob("*")) == kept
    if (service[0] / ".env").exists():
        assert not (service[0] / "var/app.db").exists(), "a command took the default for the database in use"


def test_restore_brings_back_what_was_lost(service: Service) -> None:
    """A backup of the damage is there too, the newest: it is not what comes back; and the rollback takes it back."""
    folder, _ = service
    backup = lost(service)
    done = runbook(service, "run", "restore", "--yes", BACKUP=backup)
    assert (done.returncode, ask(folder, ROWS)) == (0, ["one", "three", "two"]), done.stdout + done.stderr
    assert done.stdout.endswith("\ndone: Restore; it is taken back by: python3 ops/runbook.py back restore\n")
    back = runbook(service, "back", "restore", "--yes", BACKUP=backup)
    assert (back.returncode, ask(folder, ROWS)) == (0, ["one"]), back.stdout + back.stderr
    assert not (folder / "var/service.pid").exists()


def test_service_that_was_killed_is_started_by_its_procedure(service: Service) -> None:
    """From the alert's name alone: the log is shown, the service is ready, and the rollback ends it."""
    folder, environment = service
    assert runbook(service, "run", "start", "--yes").returncode == 0
    os.kill(int((folder / "var/service.pid").read_text()), signal.SIGKILL)
    done = runbook(service, "run", "ServiceDown", "--yes")
    assert done.returncode == 0, done.stdout + done.stderr
    command = ["python3", "ops/health.py"]
    assert subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode == 0
    assert runbook(service, "back", "ServiceDown", "--yes").returncode == 0


def test_number_of_another_process_is_left_alone_and_a_held_service_is_stopped(service: Service) -> None:
    """A number that a crash left is nobody's; what runs is not started twice; SIGSTOP keeps no service from its end."""
    folder, environment = service

    def process(verb: str) -> tuple[int, str]:
        command = ["python3", "ops/process.py", verb]
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        return done.returncode, done.stdout + done.stderr

    with subprocess.Popen(["sleep", "600"]) as other:
        (folder / "var/service.pid").write_text(f"{other.pid}\n")
        assert process("stop") == (0, "not running\n")
        assert other.poll() is None
        other.kill()
    assert process("start")[0] == 0
    command = ["python3", "ops/health.py", "--wait", "120"]
    assert subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode == 0
    number = (folder / "var/service.pid").read_text()
    assert process("start") == (1, f"it runs already: process {number}")
    assert runbook(service, "run", "start", "--yes").returncode == 1
    assert (folder / "var/service.pid").read_text() == number
    os.kill(int(number), signal.SIGSTOP)
    assert process("stop") == (0, f"stopped: process {number}")


def test_who_holds_the_database_is_named_and_ended_by_its_procedure(service: Service) -> None:
    """A program that wrote and went to lunch: its number is shown, and changes are taken again without it."""
    folder, _ = service
    program = (
        "import sqlite3, sys, time; c = sqlite3.connect(sys.argv[1]); c.execute('BEGIN IMMEDIATE'); time.sleep(600)"
    )
    assert runbook(service, "run", "start", "--yes").returncode == 0
    with subprocess.Popen([sys.executable, "-c", program, str(database(folder))]) as holder:
        try:
            looked = runbook(service, "run", "database is locked", "--yes", HOLDER="0")
            assert looked.returncode == 1
            assert f"holds it: process {holder.pid}: " in looked.stdout
            done = runbook(service, "run", "database is locked", "--yes", HOLDER=str(holder.pid))
            assert done.returncode == 0, done.stdout + done.stderr
            assert holder.wait(10) == -signal.SIGTERM
        finally:
            holder.kill()
    assert runbook(service, "back", "start", "--yes").returncode == 0


def test_settings_are_lost_by_no_rollback_done_twice(service: Service) -> None:
    """Of a procedure that adds a line to them."""
    file = service[0] / ".env"
    before = file.read_text() if file.exists() else None
    assert runbook(service, "run", "Raise a limit", "--yes", LIMIT="1200/minute").returncode == 0
    for _ in range(2):
        runbook(service, "back", "Raise a limit", "--yes")
        assert (file.read_text() if file.exists() else None) == before
    assert runbook(service, "back", "start", "--yes").returncode == 0


def test_bytecode_that_a_full_disk_cut_short_is_written_anew(service: Service) -> None:
    """By the command of the page; the words it is found by are Python's."""
    folder, environment = service
    page = (folder / "docs/chassis/runbook/data.md").read_text()
    words, command = re.findall(r"`(EOFError: .+?)`.*?^`(find .+?)`", page, re.DOTALL | re.MULTILINE)[0]
    module = folder / "src/app/chassis/cli/main.py"
    compiled = "import py_compile, sys; print(py_compile.compile(sys.argv[1]))"
    compiling = [folder / ".venv/bin/python", "-c", compiled, module]
    cut = Path(subprocess.run(compiling, capture_output=True, text=True, check=True).stdout.strip())
    os.truncate(cut, cut.stat().st_size // 2)

    def asked() -> subprocess.CompletedProcess[str]:
        return subprocess.run(["make", "migrate"], cwd=folder, env=environment, capture_output=True, text=True)

    assert asked().stderr.splitlines().count(words) == 1
    subprocess.run(["sh", "-c", command], cwd=folder, env=environment, check=True)
    assert not cut.exists()
    assert asked().returncode == 0


def test_failing_routes_are_counted(service: Service) -> None:
    """By the command of the page, as the log has them."""
    folder, environment = service
    assert runbook(service, "run", "start", "--yes").returncode == 0
    command = ["python3", "ops/health.py", "--show", "/v1/items/1"]
    subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False)
    assert runbook(service, "run", "Read the logs").returncode == 0
    log = folder / "var/service.log"
    lines = [line for line in log.read_text().splitlines() if '"path":"/v1/items/1"' in line]
    assert lines
    with log.open("a") as file:
        file.write(re.sub(r'"status":\d+', '"status":500', f"{lines[-1]}\n") * 3)
    done = runbook(service, "run", "AnswersFailFast")
    assert re.search(r'^ +3 500 "/v1/items/\{item_id\}"$', done.stdout, re.MULTILINE), done.stdout
    assert runbook(service, "back", "start", "--yes").returncode == 0


def test_migration_that_fails_leaves_service_and_rows(service: Service) -> None:
    """What clients saved meanwhile stays, and whoever looks for the release that was left finds it."""
    folder, environment = service
    assert runbook(service, "run", "start", "--yes").returncode == 0
    number, rows = (folder / "var/service.pid").read_text(), ask(folder, ROWS)
    revision = folder / "migrations/versions/0099_fails.py"
    revision.write_text(
        'revision = "0099"\ndown_revision = "0001"\n\n\ndef upgrade():\n    raise RuntimeError("planted")\n'
    )
    done = runbook(service, "run", "DatabaseNotMigrated", "--yes")
    revision.unlink()
    assert (done.returncode, "\nnot done; taken back\n" in done.stdout) == (1, True), done.stdout + done.stderr
    assert ((folder / "var/service.pid").read_text(), ask(folder, ROWS)) == (number, rows)
    command = ["python3", "ops/health.py"]
    assert subprocess.run(command, cwd=folder, env=environment, capture_output=True, check=False).returncode == 0
    assert runbook(service, "back", "start", "--yes").returncode == 0


def test_restore_is_looked_at_before_it_is_done(service: Service) -> None:
    """The operator names the file, and sees what would be replaced before anything is asked or done."""
    page = grammar.read(service[0] / "docs/chassis/runbook/data.md")
    (restore,) = [one for one in page if one.name == "Restore"]
    first = next(place for place, command in enumerate(restore.commands) if command.changes)
    looks, does = restore.commands[:first], restore.commands[first:]
    assert [one.name for one in restore.inputs] == ["BACKUP"]
    assert any('FROM="$BACKUP"' in command.text for command in looks)
    assert not any("YES=1" in command.text for command in looks)
    assert "YES=1" in does[0].text


def test_pages_as_rendered_have_no_fault(service: Service) -> None:
    """`make runbook ARGS=lint` says how many procedures there are."""
    done = subprocess.run(
        ["make", "-s", "runbook", "ARGS=lint"], cwd=service[0], env=service[1], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(NAMES)} procedures, no fault\n", "")
