"""The runbook of a rendered service does what it says: every command is executed, then every rollback."""

import shutil
import socket
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import runbook
from conftest import ROOT, share
from tools import user_environment

PAGES = sorted((ROOT / "template/docs/chassis/runbook").glob("*.md.jinja"))
NAMED = ("PORT", "DATABASE_URL", "BACKUP_FOLDER")
NAMES = "SELECT name FROM items ORDER BY name"
PROCEDURES = [one.name for page in PAGES for one in runbook.read(page.read_text(encoding="utf-8"))]


@pytest.fixture(scope="module")
def ours(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service that is set up."""
    return share(installed, tmp_path_factory.mktemp("runbook") / "a service")


@pytest.fixture(scope="module", params=["environment", ".env"])
def service(request: pytest.FixtureRequest, ours: Path) -> tuple[Path, dict[str, str]]:
    """Return a migrated service and its operator's environment; nothing runs yet.

    Port and database are named by the environment, then by `.env` and nowhere else.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        named = {"PORT": str(free.getsockname()[1]), "SERVER_DRAIN_SECONDS": "0.2"}
    if request.param == ".env":
        shutil.rmtree(ours / "var")
        named["DATABASE_URL"] = "'sqlite+aiosqlite:///./var/other place/orders.db'"
        named["BACKUP_FOLDER"] = "'var/other copies'"
        (ours / ".env").write_text("".join(f"{name}={value}  # set here\n" for name, value in named.items()))
        (ours / ".env").chmod(0o600)
        named = {}
    environment = {name: value for name, value in user_environment().items() if name not in NAMED}
    environment |= named
    subprocess.run(["make", "migrate"], cwd=ours, env=environment, check=True, capture_output=True)
    return ours, environment


@pytest.fixture
def procedures(service: tuple[Path, dict[str, str]]) -> Iterator[dict[str, runbook.Procedure]]:
    """Return the procedures of the rendered pages by name; leave no process behind."""
    folder, _ = service
    pages = [path.read_text(encoding="utf-8") for path in sorted((folder / "docs/chassis/runbook").glob("*.md"))]
    yield {procedure.name: procedure for page in pages for procedure in runbook.read(page)}
    pid = folder / "var/service.pid"
    if pid.exists():
        subprocess.run(["kill", "-KILL", pid.read_text().strip()], check=False)
        pid.unlink()


def execute(commands: list[runbook.Command], service: tuple[Path, dict[str, str]]) -> list[str]:
    """Run commands to the first that differs from its page; return what differs."""
    for command in commands:
        if problem := runbook.run(command, *service):
            return [problem]
    return []


def ask(folder: Path, *statements: str) -> list[str]:
    """Run statements on the service's database; return what the last one finds."""
    path = next(path for path in (folder / "var/other place/orders.db", folder / "var/app.db") if path.exists())
    with closing(sqlite3.connect(path)) as database, database:
        return [row[0] for statement in statements for row in database.execute(statement)]


def lost(service: tuple[Path, dict[str, str]]) -> str:
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


@pytest.mark.parametrize("name", PROCEDURES)
def test_procedure_does_what_its_page_says(
    name: str, service: tuple[Path, dict[str, str]], procedures: dict[str, runbook.Procedure]
) -> None:
    """Each command prints what the page shows; the rollback runs even when the procedure failed half way."""
    procedure, problems = procedures[name], []
    if procedure.inputs:
        assert procedure.inputs == ["BACKUP"], "who rehearses knows a value for no other"
        service = service[0], service[1] | {"BACKUP": lost(service)}
    needed = procedures.get(procedure.fields.get("Needs", ""))
    if needed:
        problems += execute(needed.commands, service)
    problems += execute(procedure.commands, service)
    problems += execute(procedure.rollback, service)
    if needed:
        problems += execute(needed.rollback, service)
    assert not problems, "\n\n".join(problems)
    if (service[0] / ".env").exists():
        assert not (service[0] / "var/app.db").exists(), "a command took the default for the database in use"


def test_restore_brings_back_what_was_lost(
    service: tuple[Path, dict[str, str]], procedures: dict[str, runbook.Procedure]
) -> None:
    """A backup of the damage is there too, the newest: it is not what comes back; and the rollback takes it back."""
    folder, environment = service
    (name,) = procedures["Restore"].inputs
    named = folder, environment | {name: lost(service)}
    try:
        assert execute(procedures["Restore"].commands, named) == []
        assert ask(folder, NAMES) == ["one", "three", "two"]
    finally:
        problems = execute(procedures["Restore"].rollback, named)
    assert (problems, ask(folder, NAMES), (folder / "var/service.pid").exists()) == ([], ["one"], False)


def test_restore_is_looked_at_before_it_is_done(service: tuple[Path, dict[str, str]]) -> None:
    """No pasted block both shows what would be replaced and replaces it, and none chooses a file by itself."""
    page = (service[0] / "docs/chassis/runbook/data.md").read_text(encoding="utf-8")
    blocks = page.partition("## Restore")[2].partition("\n## ")[0].split("```console")[1:]
    looks = [number for number, block in enumerate(blocks) if 'FROM="$BACKUP" 2>' in block]
    does = [number for number, block in enumerate(blocks) if "YES=1 >" in block]
    assert len(looks) == len(does) == 1
    assert looks < does
    assert not [block for block in blocks if "BACKUP=$" in block or "ls var" in block]


def test_procedure_has_every_field(procedures: dict[str, runbook.Procedure]) -> None:
    """An operator finds owner, occasion, risk, expected result and way back in each procedure."""
    for procedure in procedures.values():
        assert all(procedure.fields.get(name) for name in runbook.FIELDS), procedure.name


def test_procedure_that_changes_state_has_rollback_commands(procedures: dict[str, runbook.Procedure]) -> None:
    """What is not `reads only` is taken back by commands, not by prose."""
    for procedure in procedures.values():
        assert procedure.commands, procedure.name
        assert procedure.rollback or procedure.fields["Risk"].startswith("reads only"), procedure.name


@pytest.mark.parametrize(
    ("expected", "output", "is_good"),
    [
        (["ready: ..."], "ready: here\n", True),
        (["ready: ..."], "not ready: here\n", False),
        (["ready: ..."], "ready: here\nand more\n", False),
        (["..."], "", True),
        (["...", "last"], "one\ntwo\nlast\n", True),
        (["...", "last"], "last\nmore\n", False),
        ([], "surprise\n", False),
        (["a.b"], "axb\n", False),
    ],
)
def test_expected_output_matches_as_the_grammar_says(expected: list[str], output: str, is_good: bool) -> None:
    """`...` stands for any text in a line and, alone, for any lines; everything else is literal."""
    assert runbook.fits(expected, output) is is_good


def test_wrong_exit_status_is_reported(tmp_path: Path) -> None:
    """A command that prints the right thing and fails is a failure, shown with its line."""
    page = runbook.read("## Fail\n```console\n$ echo good; exit 3\ngood\n```\n")
    problem = runbook.run(page[0].commands[0], tmp_path, user_environment())
    assert problem is not None
    assert "line 3:" in problem
    assert "[3]" in problem
