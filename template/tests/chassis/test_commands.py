"""The command line: what cannot be done is one line and an exit code, never a trace."""

import sys
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace

import pytest

from app.chassis.about import project_root
from app.chassis.database import migrations
from app.chassis.database.columns import Base
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings
from app.chassis.feature import MigrationRoom

program = import_module("app.chassis.cli.main")


def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    """Exit code and standard error of `python -m app …`, run here."""
    monkeypatch.setattr(sys, "argv", ["app", *arguments])
    with pytest.raises(SystemExit) as stop:
        program.main()
    return int(stop.value.code or 0), capsys.readouterr().err


@pytest.mark.parametrize("name", ["", " ", "-", "x" * 81, "a\nb", 'a"""; import os', "a\\", "a\0b", "a\u2028b"])
def test_name_that_makes_no_revision_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    """It stands in a file name and in the revision's text. Nothing is written."""
    before = sorted((project_root() / "migrations/versions").iterdir())
    code, message = told(monkeypatch, capsys, "migration", "--", name)
    assert (code, message.count("\n")) == (2, 1)
    assert message.startswith("NAME: cannot be used; expected 1 to 80 characters")
    assert sorted((project_root() / "migrations/versions").iterdir()) == before


def test_migrate_to_nothing_is_told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """A variable that is empty in a script must not decide where a database goes."""
    code, message = told(monkeypatch, capsys, "migrate", "--to", "")
    assert (code, message.partition(";")[0]) == (2, "not migrated: --to names nothing")


def test_unknown_revision_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A wrong number is one message that says which there are."""
    database = Database(DatabaseSettings(database_url=f"sqlite+aiosqlite:///{tmp_path}/test.db"))
    monkeypatch.setattr(program, "load_service", lambda: SimpleNamespace(state=SimpleNamespace(database=database)))
    code, message = told(monkeypatch, capsys, "migrate", "--to", "9999")
    assert (code, message.count("\n")) == (2, 1)
    assert "migrations/versions/" in message


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        (("0001a", "0001b"), "Multiple head revisions are present"),
        (("0001", "0001"), "Revision 0001 is present more than once: give the later one the next number;"),
    ],
)
def test_revisions_of_two_people_are_told(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    numbers: tuple[str, str],
    words: str,
) -> None:
    """They wrote one at the same time: one message, nothing is migrated, and no third revision is written."""
    versions = tmp_path / "versions"
    versions.mkdir()
    for file, number in zip("ab", numbers, strict=True):
        (versions / f"{file}.py").write_text(f"revision = {number!r}\ndown_revision = None\n", encoding="utf-8")
    for name in ("env.py", "script.py.mako"):
        (tmp_path / name).write_bytes((project_root() / "migrations" / name).read_bytes())
    monkeypatch.setattr(migrations, "rooms", lambda: [MigrationRoom("team", Base.metadata, tmp_path)])
    for command, not_done in (("migration", "not written"), ("migrate", "not migrated")):
        database = Database(DatabaseSettings(database_url=f"sqlite+aiosqlite:///{tmp_path}/test.db"))
        state = SimpleNamespace(database=database)
        monkeypatch.setattr(program, "load_service", lambda state=state: SimpleNamespace(state=state))
        code, message = told(monkeypatch, capsys, command, *(["third"] if command == "migration" else []))
        assert (code, message.count("\n")) == (2, 1)
        assert message.startswith(f"{not_done}: {words}")
    assert len(list(versions.glob("*.py"))) == 2


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("arguments", [["settings"], ["settings", "--json"]])
def test_output_that_cannot_be_written_is_told(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    """A full disk is one line; nothing is left for the interpreter to write again when it ends."""
    monkeypatch.setenv("ENV_FILE", "")
    with Path("/dev/full").open("w", encoding="utf-8") as full:  # closing it fails where something is left
        monkeypatch.setattr(sys, "stdout", full)
        code, message = told(monkeypatch, capsys, *arguments)
    assert (code, message) == (1, "not finished: [Errno 28] No space left on device\n")


@pytest.mark.parametrize(("option", "value"), [("--host", "a b"), ("--host", "ü" * 70)])
def test_options_of_serve_are_held_to_the_rules_of_the_settings(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str, value: str
) -> None:
    """They win over the variables, so they are read in the same way."""
    monkeypatch.setenv("ENV_FILE", "")
    monkeypatch.setenv("HOST", "127.0.0.1")  # set, so that it is put back
    monkeypatch.setattr(program, "load_service", import_module("app.chassis.cli.loading").loaded_settings)
    code, message = told(monkeypatch, capsys, "serve", option, value)
    assert (code, value in message) == (2, False)
    assert "\nHOST: is not a host; expected" in message
