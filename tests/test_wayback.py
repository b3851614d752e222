"""Whether a rollback is safe, as the text of the revisions tells: it may be unknown, but is never wrongly safe."""

from pathlib import Path

import pytest
import wayback
from conftest import commit_all, git

HEAD = "import sqlalchemy as sa\nfrom alembic import op\n\n"
MODELS = "class Item:\n    __tablename__ = 'items'\n    note = 1\n\nSQL = 'SELECT LOUD FROM items'\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a repository whose older release has a table and a revision."""
    folder = tmp_path_factory.mktemp("wayback")
    (folder / "migrations/versions").mkdir(parents=True)
    (folder / "src").mkdir()
    (folder / "src/models.py").write_text(MODELS)
    (folder / "migrations/versions/0001_items.py").write_text(f"{HEAD}def upgrade():\n    op.create_table('items')\n")
    commit_all(folder, "older")
    return folder


def verdict(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str = "0002_new.py") -> bool | None:
    """Commit a revision, ask, and take it back."""
    monkeypatch.chdir(folder)
    (folder / "migrations/versions" / name).write_text(text)
    commit_all(folder, "newer")
    try:
        is_safe, lines = wayback.verdict("HEAD~1", "HEAD", "1.0.0")
    finally:
        git(folder, "reset", "--quiet", "--hard", "HEAD~1")
    assert len(lines) == 1 or is_safe is not True
    return is_safe


@pytest.mark.parametrize(
    "line",
    [
        "op.create_table('other', sa.Column('id', sa.Integer(), primary_key=True))",
        "op.create_table('other', sa.Column('id', sa.Integer()));op.create_index('ix', 'other', ['id'], unique=True)",
        "op.create_table('other', sa.Column('of', sa.ForeignKey('items.id', ondelete='CASCADE')))",
        "op.add_column('items', sa.Column('more', sa.Integer(), nullable=True))",
        "op.add_column('items', sa.Column('more', sa.Integer(), nullable=False, server_default=sa.text('0')))",
        "op.create_index(op.f('ix_items_note'), 'items', ['note'], unique=False)",
        "op.drop_column('items', 'unused')",
        "op.drop_index('ix_items_note', 'items')",
        "with op.get_context().autocommit_block():\n        op.create_index('ix', 'items', ['note'])",
        "if op.get_bind().dialect.name == 'postgresql':\n        op.create_index('ix', 'items', ['note'])",
        "for name in ('a', 'b'):\n        op.add_column('items', sa.Column(name, sa.Integer()))",
        "_more()\n\n\ndef _more():\n    op.add_column('items', sa.Column('more', sa.Integer()))",
    ],
)
def test_revision_that_only_adds_is_safe(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """What an older release neither knows nor needs is no reason to refuse the way back."""
    assert verdict(folder, monkeypatch, f"{HEAD}def upgrade():\n    {line}\n") is True


@pytest.mark.parametrize(
    "line",
    [
        "op.drop_column('items', 'note')",
        "op.drop_column('items', 'loud')",
        "op.drop_column(TABLE, NAME)",
        "op.drop_table('items');op.create_table('items')",
        "with op.batch_alter_table('items') as batch:\n        batch.drop_column('note')",
        "if True:\n        with op.batch_alter_table('items') as one:\n            one.drop_column('note')",
        "op.alter_column('items', 'note', new_column_name='words')",
        "op.add_column('items', sa.Column('more', sa.Integer(), nullable=False))",
        "op.add_column('items', sa.Column('more', sa.Integer(), nullable=False, server_default=None))",
        "op.add_column('items', Column('more', sa.Integer(), nullable=False))",
        "_take()\n\n\ndef _take():\n    op.drop_table('items')",
        "_one()\n\n\ndef _one():\n    _two()\n\n\ndef _two():\n    op.drop_table('items')",
        "_Taker().take()\n\n\nclass _Taker:\n    def take(self):\n        op.drop_table('items')",
    ],
)
def test_revision_that_takes_away_is_unsafe(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """What an older release names, in whatever letters, it cannot do without; wherever in the file it is taken."""
    assert verdict(folder, monkeypatch, f"{HEAD}def upgrade():\n    {line}\n") is False


@pytest.mark.parametrize(
    "line",
    [
        "op.execute('DROP TABLE items')",
        "op.get_bind().execute(sa.text('DROP TABLE items'))",
        "connection = op.get_bind()\n    connection.execute(sa.text('DROP TABLE items'))",
        "op.get_context().bind.execute(sa.text('DROP TABLE items'))",
        "drop = op.drop_table\n    drop('items')",
        "getattr(op, 'drop_' + 'table')('items')",
        "take(op)",
        "(lambda o: o.drop_table('items'))(op)",
        "exec('op.drop_table(1)')",
        "from app.helpers import take\n    take()",
        "import app.helpers\n    app.helpers.take()",
        "from alembic.op import drop_table\n    drop_table('items')",
        "from alembic import context\n    context.get_bind().execute('DROP TABLE items')",
        "batch = op.batch_alter_table('items').__enter__()\n    batch.drop_column('note')",
        "with op.batch_alter_table('items', copy_from=sa.Table('items', sa.MetaData())):\n        pass",
        "op.create_index('uq', 'items', ['note'], unique=True)",
        "op.create_index(*everything)",
        "op.create_unique_constraint('uq', 'items', ['note'])",
        "op.create_table('other', sa.Column('of', sa.ForeignKey('items.id')))",
        "op.add_column('items', column)",
        "op.add_column('items', sa.Column('more', sa.Integer(), **more))",
        "op.add_column('items', sa.Column('more', sa.Integer(), nullable=MAYBE))",
        "op.alter_column('items', 'note', nullable=True)",
        "op.alter_column('items', 'note', server_default=None)",
        "op.alter_column('items', 'note', **more)",
    ],
)
def test_what_the_text_does_not_tell_is_never_safe(folder: Path, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """SQL of its own, a connection, a function from elsewhere, a value that is not there: said to be unknown."""
    assert verdict(folder, monkeypatch, f"{HEAD}def upgrade():\n    {line}\n") is None


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("from alembic import op as o\n\ndef upgrade():\n    o.drop_table('items')\n", "0002_new.py"),
        ("from alembic import op\n\ndef upgrade():\n    op.drop_table('items')\n", "0002_größer als.py"),
        ("from alembic import op\n\ndef upgrade():\n    op.drop_table('items')\n", "sub/0002_new.py"),
    ],
)
def test_no_name_hides_a_revision(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str, name: str) -> None:
    """Another name for alembic's `op`, other letters, blanks or a folder in a file's name: it is read all the same."""
    (folder / "migrations/versions/sub").mkdir(exist_ok=True)
    assert verdict(folder, monkeypatch, text, name) is False


def test_release_that_was_taken_back_may_have_migrated(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its revisions stand in no release that runs, and in the database all the same: unknown, until git forgets it."""
    monkeypatch.chdir(folder)
    (folder / "var/deploy").mkdir(parents=True)
    (folder / ".gitignore").write_text("/var\n")
    commit_all(folder, "ignore")
    old = git(folder, "rev-parse", "HEAD").strip()
    (folder / "migrations/versions/0002_takes.py").write_text(f"{HEAD}def upgrade():\n    op.drop_table('items')\n")
    commit_all(folder, "taken back")
    wayback.note(git(folder, "rev-parse", "HEAD").strip())
    git(folder, "reset", "--quiet", "--hard", old)
    wayback.note(old)
    is_safe, lines = wayback.verdict(old, old, "1.0.0", wayback.noted())
    assert (is_safe, lines[1:]) == (
        None,
        ["migrations/versions/0002_takes.py:5: removes items, in a release that was taken back"],
    )
    wayback.MIGRATED.write_text("0" * 40)
    assert wayback.verdict(old, old, "1.0.0", wayback.noted())[0] is None
    wayback.MIGRATED.unlink()
    wayback.note(old)
    wayback.note(git(folder, "rev-parse", "HEAD~1").strip())
    assert wayback.noted() == [git(folder, "rev-parse", "HEAD~1").strip()]


def test_name_that_stands_for_nothing_is_unknown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A revision that forgot to import what it calls does something else than its text tells."""
    assert verdict(folder, monkeypatch, "def upgrade():\n    op.drop_column('items', 'note')\n") is None
