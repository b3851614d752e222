"""A rehearsal migrates a copy of real data, and says what became of it; the data itself is only read."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sqlalchemy import MetaData

from app.chassis.about import project_root
from app.chassis.data.rehearsal import rehearse as rehearsal
from app.chassis.data.rehearsal.note import markdown
from app.chassis.database import migrations
from app.chassis.database.engine import Database
from app.chassis.database.revisions import revisions
from app.chassis.database.settings import DatabaseSettings
from app.chassis.feature import MigrationRoom
from app.chassis.testing.guarded import ServerMissingError
from app.chassis.testing.postgresql import programs
from tests.chassis.test_backup import Operator

pytestmark = pytest.mark.engines("sqlite", "postgresql")

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = "{name}"
down_revision = {before}


def upgrade():
    {up}


def downgrade():
    {down}
"""
FIRST = (
    "op.create_table('things', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(40)))",
    "op.drop_table('things')",
)
ADD = (
    "with op.batch_alter_table('things') as table: table.add_column(sa.Column('size', sa.Integer, server_default='7'))",
    "with op.batch_alter_table('things') as table: table.drop_column('size')",
)


class Project:
    """A service's folder with revisions of its own, and a database."""

    def __init__(self, folder: Path, url: str) -> None:
        self.operator = Operator(folder, url)
        shutil.copy(project_root() / "alembic.ini", folder)
        for name in ("env.py", "script.py.mako"):
            shutil.copy(project_root() / "migrations" / name, folder / "migrations")
        self._versions = folder / "migrations/versions"
        (self._versions / "0001_first.py").unlink()

    def begin(self, *later: tuple[str, str]) -> None:
        """Migrate to the first revision, fill its table, write those that are pending."""
        self.revise("0001", FIRST)
        assert self.run("migrate")[0] == 0
        self.fill()
        for number, revision in enumerate(later, 2):
            self.revise(f"{number:04d}", revision)

    def fill(self) -> None:
        """Three rows."""
        self.operator.write("INSERT INTO things VALUES (1, 'planted-value'), (2, 'planted-value'), (3, NULL)")

    def revise(self, name: str, revision: tuple[str, str]) -> None:
        """Write a revision: what goes up and what goes down."""
        before = f'"{int(name) - 1:04d}"' if name != "0001" else None
        text = REVISION.format(name=name, before=before, up=revision[0], down=revision[1])
        (self._versions / f"{name}_.py").write_text(text)

    def run(self, *arguments: str) -> tuple[int, str]:
        """Exit code and all that `python -m app …` says."""
        done = subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "app", *arguments],
            cwd=self.operator.folder,
            env=self.operator.environment | {"PYTHONPATH": str(project_root() / "src")},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "Traceback" not in done.stderr
        return done.returncode, done.stdout + done.stderr

    def state(self) -> list[object]:
        """What the database holds."""
        tables = ("things", "alembic_version")
        return [self.operator.ask(f"SELECT * FROM {table} ORDER BY 1") for table in tables]  # noqa: S608  # constants


@pytest.fixture
def folder(tmp_path: Path, engine: str) -> Path:
    """Where the service is; without PostgreSQL's programs there is nothing to test on it."""
    if engine == "postgresql" and not os.environ.get("PG_BIN"):
        try:
            programs()
        except ServerMissingError as error:
            pytest.skip(str(error))
    return tmp_path / "service"


@pytest.mark.thorough
@pytest.mark.engines("sqlite", "postgresql")
def test_good_migration_is_rehearsed_and_noted(folder: Path, database_url: str) -> None:
    """Seconds and rows, as JSON and as a table; the database and its revision are what they were."""
    more = ("op.create_table('more', sa.Column('id', sa.Integer))", "op.drop_table('more')")
    project = Project(folder, database_url)
    project.begin(ADD, more)
    before = project.state()
    code, told = project.run("migrate-rehearse")
    assert (code, project.state()) == (0, before), told
    (note,) = (folder / "var/rehearsals").glob("*.json")
    facts = json.loads(note.read_text())
    assert [(step["revision"], step["direction"]) for step in facts["steps"]] == [
        ("0002", "up"),
        ("0003", "up"),
        ("0003", "down"),
        ("0002", "down"),
        ("0002", "up again"),
        ("0003", "up again"),
    ]
    of_the_team = {
        when: {name: rows for name, rows in tables.items() if not name.startswith("chassis_")}
        for when, tables in facts["rows"].items()
    }
    assert of_the_team == {
        "before": {"things": 3},
        "up": {"more": 0, "things": 3},
        "down": {"things": 3},
        "up again": {"more": 0, "things": 3},
    }
    assert (facts["start"], facts["findings"]) == ("0001", [])
    page = note.with_suffix(".md").read_text()
    assert "| things | 3 | 3 | 3 | 3 |\n" in page
    assert "- backup: a fresh copy, not kept\n" in page
    assert "Nothing was lost, and everything came back." in told
    left = {path.name for path in (folder / "var/rehearsals").iterdir()}
    assert left == {".lock", note.name, note.with_suffix(".md").name}


@pytest.mark.thorough
@pytest.mark.parametrize(
    ("revision", "finding"),
    [
        (("op.execute('DELETE FROM things WHERE id = 2')", "pass"), "revision 0002 (up): things has 2 rows of 3"),
        (("op.drop_table('things')", FIRST[0]), "revision 0002 (up) takes things away, with 3 rows"),
        (
            ("op.execute(\"UPDATE things SET name = 'x'\")", "pass"),
            "things: other values in name after up and down",
        ),
        (
            # The same values, each in another row.
            ('op.execute("UPDATE things SET id = -id"); op.execute("UPDATE things SET id = 4 + id")', "pass"),
            "things: other values in its rows after up and down",
        ),
        ((ADD[0], "pass"), "things: other columns after up and down"),
        (("op.create_table('kept', sa.Column('id', sa.Integer))", "pass"), "kept: left behind by down"),
        (("op.execute('SELECT nothing')", "pass"), "revision 0002 failed (up): "),
        (("raise KeyError('planted-value')", "pass"), "revision 0002 failed (up): KeyError in 0002_.py:10"),
        ((ADD[0], "raise NotImplementedError"), "revision 0002 failed (down): NotImplementedError in 0002_.py:14"),
        (
            ("op.create_index('u', 'things', ['name'], unique=True)", "op.drop_index('u', 'things')"),
            "revision 0002 failed (up): ",
        ),
    ],
)
def test_what_a_migration_does_to_rows_is_told(
    folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch, revision: tuple[str, str], finding: str
) -> None:
    """Rows that are lost or changed, what does not come back, and the database's own words, without a value."""
    project = Project(folder, database_url)
    room = [MigrationRoom("team", MetaData(), folder / "migrations")]
    for module in (migrations, rehearsal):
        monkeypatch.setattr(module, "rooms", lambda: room)
    settings = DatabaseSettings(database_url=database_url)
    project.revise("0001", FIRST)
    asyncio.run(migrations.migrate(Database(settings)))
    project.fill()
    revisions.cache_clear()
    project.revise("0002", revision)
    done = asyncio.run(rehearsal.rehearse(settings))
    assert any(found.startswith(finding) for found in done.findings), done.findings
    assert "planted-value" not in markdown(done)
    assert f"\n- {finding}" in markdown(done)


@pytest.mark.thorough
@pytest.mark.engines("postgresql")
def test_type_that_does_not_come_back_is_told(folder: Path, database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows are the same until one is larger; on SQLite a type restricts nothing."""
    narrower = "op.alter_column('things', 'id', type_=sa.SmallInteger)"
    test_what_a_migration_does_to_rows_is_told(
        folder,
        database_url,
        monkeypatch,
        (narrower, "pass"),
        "things: id SMALLINT in place of INTEGER after up and down",
    )


def test_place_of_an_error_is_below_the_revisions() -> None:
    """A library's file is none, though a folder above it is called `versions`: pyenv keeps Python in such."""
    code = compile("raise KeyError('contextlib')", "/opt/pyenv/versions/3.11/lib/contextlib.py", "exec")
    with pytest.raises(KeyError, match="contextlib") as caught:
        exec(code)  # noqa: S102  # our own text
    assert rehearsal._words(caught.value) == "KeyError"


@pytest.mark.thorough
def test_migration_that_loses_rows_fails_the_command(folder: Path, database_url: str) -> None:
    """Exit code 1, a note, and the data is what it was."""
    project = Project(folder, database_url)
    project.begin(("op.execute('DELETE FROM things WHERE id = 2')", "pass"))
    before = project.state()
    code, told = project.run("migrate-rehearse")
    assert (code, project.state()) == (1, before)
    assert "\n- revision 0002 (up): things has 2 rows of 3\n" in told
    assert len(list((folder / "var/rehearsals").glob("*.md"))) == 1


@pytest.mark.thorough
def test_backup_is_rehearsed_in_place_of_the_database(folder: Path, database_url: str) -> None:
    """Its rows count, not those of today; it is not written to."""
    project = Project(folder, database_url)
    project.begin(ADD)
    backup = project.operator.backup()
    held = backup.read_bytes()
    project.operator.write("DELETE FROM things")
    code, told = project.run("migrate-rehearse", "--from", str(backup))
    assert (code, "| things | 3 | 3 | 3 | 3 |" in told) == (0, True), told
    (note,) = (folder / "var/rehearsals").glob("*.md")
    assert f"- backup: {backup.name}\n" in note.read_text()
    assert backup.read_bytes() == held


@pytest.mark.thorough
def test_nothing_to_rehearse_is_told(folder: Path, database_url: str) -> None:
    """And what cannot be rehearsed: a revision of a newer release, a backup that is damaged or not there."""
    project = Project(folder, database_url)
    project.begin()
    assert project.run("migrate-rehearse")[0] == 0
    backup = project.operator.backup()
    project.operator.write("UPDATE alembic_version SET version_num = '0009'")
    code, told = project.run("migrate-rehearse")
    assert (code, "0009" in told, told.count("\n")) == (2, True, 1)
    backup.write_bytes(backup.read_bytes()[:500])
    for name in (str(backup), "nothing.db"):
        code, told = project.run("migrate-rehearse", "--from", name)
        assert (code, told.startswith("not rehearsed: "), told.count("\n")) == (2, True, 1)
