"""Revisions as they are applied: what they refer to stays, what fails is named, replicas do not stand in their way."""

import asyncio
import contextlib
import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import asyncpg  # type: ignore[import-untyped]
import pytest
from sqlalchemy import MetaData, text

from app.chassis.database import WriteWork, migrations
from app.chassis.database.applying import RevisionError
from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.database.settings import DatabaseSettings
from app.chassis.feature import MigrationRoom
from app.chassis.testing.databases import execute
from tests.chassis.test_postgresql import all_wait, wait_until

REVISION = """
import sqlalchemy as sa
from alembic import op

revision = {number!r}
down_revision = {before!r}


def upgrade():
    {body}


def downgrade():
    pass
"""
PARENTS = """op.create_table("parents", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(9)))
    op.create_table(
        "children",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("parent_id", sa.Integer, sa.ForeignKey("parents.id", ondelete="CASCADE")),
    )
    op.execute("INSERT INTO parents VALUES (1, 'planted'), (2, 'planted')")
    op.execute("INSERT INTO children VALUES (1, 1), (2, 1), (3, 2)")"""
Revise = Callable[[str], None]


@pytest.fixture
def revise(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Revise:
    """Writes the next revision of a room of the test's own."""
    versions = tmp_path / "versions"
    versions.mkdir()
    (tmp_path / "env.py").write_text("from app.chassis.database.migrations import run_env\n\nrun_env()\n")
    monkeypatch.setattr(migrations, "rooms", lambda: [MigrationRoom("team", MetaData(), tmp_path)])

    def write(body: str) -> None:
        number = len(list(versions.glob("*.py"))) + 1
        before = f"{number - 1:04d}" if number > 1 else None
        (versions / f"{number:04d}_.py").write_text(REVISION.format(number=f"{number:04d}", before=before, body=body))
        migrations.revisions.cache_clear()  # a program reads them once

    return write


def counts(url: str) -> list[int]:
    """Rows of both tables."""

    async def ask() -> list[int]:
        database = Database(DatabaseSettings(database_url=url))
        try:
            async with WriteWork.on(database) as work:
                both = "SELECT (SELECT count(*) FROM parents), (SELECT count(*) FROM children)"
                return list((await work.session.execute(text(both))).one())
        finally:
            await database.close()

    return asyncio.run(ask())


def write(url: str, *statements: str) -> None:
    """Past the service: SQLite holds a connection of its own to no references."""
    with contextlib.closing(sqlite3.connect(url.partition("///")[2])) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


def apply(url: str) -> list[str]:
    """Migrate to the newest revision."""
    return asyncio.run(migrate(Database(DatabaseSettings(database_url=url))))


@pytest.mark.engines("sqlite", "postgresql")
def test_table_that_is_changed_keeps_what_refers_to_it(database_url: str, revise: Revise) -> None:
    """SQLite copies it and drops the old one; what refers to it with CASCADE would go with that."""
    revise(PARENTS)
    apply(database_url)
    change = 'batch.alter_column("name", existing_type=sa.String(9), type_=sa.String(99), nullable=False)'
    revise(f'with op.batch_alter_table("parents", recreate="auto") as batch:\n        {change}')
    assert apply(database_url) == ["team: 0001 -> 0002"]
    assert counts(database_url) == [2, 3]


@pytest.mark.engines("sqlite")
def test_revision_that_leaves_references_to_nothing_is_taken_back(database_url: str, revise: Revise) -> None:
    """Nothing cascades while SQLite migrates, so what is left over is told; what was broken before is let be."""
    revise(PARENTS)
    revise('op.execute("INSERT INTO children VALUES (4, 4)")')
    with pytest.raises(RevisionError, match="revision 0002 leaves 1 rows of children that refer to no row of parents;"):
        apply(database_url)
    assert counts(database_url) == [2, 3]


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize(
    ("body", "told"),
    [
        ('op.rename_table("children", "kids")', None),
        ('op.rename_table("parents", "elders")', None),
        ('op.execute("UPDATE children SET parent_id = 8 WHERE id = 3")', None),
        ('op.execute("UPDATE children SET parent_id = 8 WHERE id = 1")', "0003 leaves 3 rows of children"),
    ],
)
def test_what_was_broken_before_is_let_be(database_url: str, revise: Revise, body: str, told: str | None) -> None:
    """Also in a table of another name; one more than there were is told."""
    revise(PARENTS)
    revise("pass")
    apply(database_url)
    write(database_url, "INSERT INTO children VALUES (4, 9)", "UPDATE children SET parent_id = 9 WHERE id = 3")
    revise(body)
    if told is None:
        assert apply(database_url) == ["team: 0002 -> 0003"]
        return
    with pytest.raises(RevisionError, match=told):
        apply(database_url)


@pytest.mark.engines("sqlite", "postgresql")
@pytest.mark.parametrize(
    "out",
    [
        "with op.get_context().autocommit_block():\n        op.execute('CREATE TABLE kept (id int)')",
        "op.execute('CREATE TABLE kept (id int)')\n    op.get_bind().commit()",
        "op.execute('CREATE TABLE kept (id int)')\n    op.execute('COMMIT')",
    ],
)
def test_what_a_revision_committed_itself_is_not_called_taken_back(database_url: str, revise: Revise, out: str) -> None:
    """What it did stays, and whoever runs it again ought to know."""
    revise(f"{out}\n    op.execute('SELECT nothing')")
    with pytest.raises(RevisionError, match=r"0001_.py:\d+: .*nothing.*; it was taken back, but for what it committed"):
        apply(database_url)
    with pytest.raises(RevisionError, match=r"0001_.py:\d+: .*kept.* already exists; "):
        apply(database_url)


@pytest.mark.engines("sqlite")
def test_revision_that_leaves_a_reference_to_what_is_not_unique_is_named(database_url: str, revise: Revise) -> None:
    """SQLite can follow none such, and says so of whatever it is asked."""
    revise(PARENTS)
    revise('op.drop_table("parents")\n    op.create_table("parents", sa.Column("id", sa.Integer))')
    with pytest.raises(RevisionError, match=r"revision 0002: foreign key mismatch .*; expected references"):
        apply(database_url)
    write(database_url, "PRAGMA foreign_keys = OFF", "DROP TABLE parents", "CREATE TABLE parents (id int)")
    with pytest.raises(RevisionError, match=r"before any revision: foreign key mismatch .*; expected references"):
        apply(database_url)


@pytest.mark.engines("postgresql")
def test_revision_that_waits_for_a_lock_in_vain_is_told(database_url: str, revise: Revise) -> None:
    """Nothing is wrong with it: somebody else has the table."""
    revise(PARENTS)
    apply(database_url)
    revise('op.add_column("parents", sa.Column("more", sa.Integer))')

    async def scenario() -> None:
        first = await asyncpg.connect(database_url.replace("+asyncpg", "", 1))
        transaction = first.transaction()
        await transaction.start()
        await first.execute("SELECT * FROM parents")
        try:
            await migrate(Database(DatabaseSettings(database_url=database_url, database_busy_timeout_seconds=0.2)))
        finally:
            await transaction.rollback()
            await first.close()

    with pytest.raises(
        RevisionError, match=r"0002_.py:10: .*; it was taken back.*; expected that nobody else holds a lock"
    ):
        asyncio.run(scenario())
    assert apply(database_url) == ["team: 0001 -> 0002"]


@pytest.mark.engines("sqlite", "postgresql")
def test_revision_that_fails_is_named(database_url: str, revise: Revise) -> None:
    """File, line and what the database says; those before it stay, itself is taken back."""
    revise(PARENTS)
    revise('op.execute("DELETE FROM children")\n    op.execute("UPDATE nothing SET x = 1")')
    with pytest.raises(RevisionError, match=r"0002_.py:11: .*nothing.*; it was taken back.*; expected a revision that"):
        apply(database_url)
    assert counts(database_url) == [2, 3]


@pytest.mark.engines("sqlite")
def test_revision_may_step_out_of_its_transaction_on_sqlite(database_url: str, revise: Revise) -> None:
    """`VACUUM` and some PRAGMAs work nowhere else."""
    revise(f'{PARENTS}\n    with op.get_context().autocommit_block():\n        op.execute("VACUUM")')
    assert apply(database_url) == ["team: nothing -> 0001"]


@pytest.mark.thorough
@pytest.mark.engines("postgresql")
def test_replica_that_waits_for_its_turn_holds_up_no_index(database_url: str) -> None:
    """`CREATE INDEX CONCURRENTLY` of one replica waits for every snapshot, so the others wait without one."""
    apply(database_url)
    execute(database_url, "CREATE TABLE big (id integer)")

    async def scenario() -> None:
        first = await asyncpg.connect(database_url.replace("+asyncpg", "", 1))
        await first.execute(f"SELECT pg_advisory_lock({migrations._TURN})")
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "DATABASE_URL": database_url}
        command = [sys.executable, "-m", "app", "migrate"]
        second = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL)  # noqa: ASYNC220, S603
        try:
            await asyncio.to_thread(wait_until, all_wait(database_url, 1))
            await first.execute("SET statement_timeout = '20s'")
            await first.execute("CREATE INDEX CONCURRENTLY ix_big ON big (id)")
        finally:
            await first.close()
            assert await asyncio.to_thread(second.wait, 60) == 0

    asyncio.run(scenario())
