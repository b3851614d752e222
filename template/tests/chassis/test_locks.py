"""Locks of migrations: new revisions that would keep others waiting on PostgreSQL are told, others are not."""

import os
import re
import subprocess
import sys
import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from app.chassis.about import project_root
from app.chassis.data.locks import check as program
from app.chassis.data.locks.check import check, new_revisions
from app.chassis.data.locks.sql import LocksError
from app.chassis.data.locks.text import Name, is_made, parts
from app.chassis.database.idempotency import ROOM as IDEMPOTENCY
from app.chassis.database.revisions import rooms
from app.chassis.feature import MigrationRoom
from app.chassis.http.recordings import ContractError

HEAD = """
import sqlalchemy as sa
from alembic import context, op

revision = {number!r}
down_revision = {before!r}


def upgrade():
{body}
"""
TABLES = """
op.create_table(
    "probe_orders",
    sa.Column("id", sa.BigInteger(), primary_key=True),
    *(sa.Column(name, sa.String(80)) for name in ("state", "note", "place")),
)
op.create_table("probe_lines", *(sa.Column(name, sa.BigInteger()) for name in ("id", "order_id")))
op.create_index("ix_probe_orders_place", "probe_orders", ["place"])
"""
# What a revision does that it should not -> the rule that says so. "# here" is the line that must be named.
BAD = {
    "index": ("require-concurrent-index-creation", 'op.create_index("ix", "probe_orders", ["state"])  # here'),
    "index, as Alembic writes it": (
        "require-concurrent-index-creation",
        """
        with op.batch_alter_table("probe_orders") as batch_op:  # here
            batch_op.create_index("ix", ["state"])
        """,
    ),
    "index dropped": ("require-concurrent-index-deletion", 'op.drop_index("ix_probe_orders_place")  # here'),
    "index, concurrently in a transaction": (
        "ban-concurrent-index-creation-in-transaction",
        'op.create_index("ix", "probe_orders", ["state"], postgresql_concurrently=True)  # here',
    ),
    "required column": (
        "adding-required-field",
        """
        op.execute("SELECT 1")
        op.add_column(  # here
            "probe_orders",
            sa.Column("price", sa.BigInteger(), nullable=False),
        )
        """,
    ),
    "default of each row": (
        "adding-field-with-default",
        'op.add_column("probe_orders", sa.Column("u", sa.Uuid(), server_default=sa.text("gen_random_uuid()")))  # here',
    ),
    "foreign key": (
        "adding-foreign-key-constraint",
        'op.create_foreign_key("fk", "probe_lines", "probe_orders", ["order_id"], ["id"])  # here',
    ),
    "unique": (
        "disallowed-unique-constraint",
        """
        with op.batch_alter_table("probe_orders") as batch_op:  # here
            batch_op.create_unique_constraint("uq", ["state"])
        """,
    ),
    "primary key": (
        "adding-serial-primary-key-field",
        'op.create_primary_key("pk", "probe_lines", ["order_id"])  # here',
    ),
    "check": (
        "constraint-missing-not-valid",
        """op.create_check_constraint("ck", "probe_orders", "state <> ''")  # here""",
    ),
    "check, validated at once": (
        "constraint-missing-not-valid",
        """
        op.create_check_constraint(op.f("ck"), "probe_orders", "state <> ''", postgresql_not_valid=True)
        op.execute("ALTER TABLE probe_orders VALIDATE CONSTRAINT ck")  # here
        """,
    ),
    "not null": (
        "adding-not-nullable-field",
        'op.alter_column("probe_orders", "state", existing_type=sa.String(80), nullable=False)  # here',
    ),
    "type": (
        "changing-column-type",
        'op.alter_column("probe_orders", "state", existing_type=sa.String(80), type_=sa.BigInteger())  # here',
    ),
    "column renamed": ("renaming-column", 'op.alter_column("probe_orders", "state", new_column_name="s")  # here'),
    "table renamed": ("renaming-table", 'op.rename_table("probe_lines", "probe_parts")  # here'),
    "column dropped": ("ban-drop-column", 'op.drop_column("probe_orders", "note")  # here'),
    "table dropped": ("ban-drop-table", 'op.drop_table("probe_lines")  # here'),
    "two tables dropped, one of them new": (
        "ban-drop-table",
        """
        op.create_table("probe_new", sa.Column("id", sa.BigInteger()))
        op.execute('DROP TABLE probe_new, "probe_lines"')  # here
        """,
    ),
    "index of an old table, made and dropped": (
        "require-concurrent-index-deletion",
        """
        with op.get_context().autocommit_block():
            op.create_index("ix", "probe_orders", ["state"], postgresql_concurrently=True)
        op.drop_index("ix")  # here
        """,
    ),
    "rows of others": ("ban-truncate-cascade", 'op.execute("TRUNCATE probe_orders CASCADE")  # here'),
    "numbers of its own": (
        "adding-serial-field",
        'op.execute("ALTER TABLE probe_orders ADD places numeric(9, 2)[], ADD COLUMN n bigserial")  # here',
    ),
    "check of a new column": (
        "adding-field-with-check",
        'op.add_column("probe_orders", sa.Column("n", sa.Numeric(9, 2), sa.CheckConstraint("n > 0", "ck")))  # here',
    ),
    "generated in another way": (
        "changing-generated-expression",
        'op.execute("ALTER TABLE probe_orders ALTER note SET EXPRESSION AS (state)")  # here',
    ),
    "table that becomes a part of a new one": (
        "attaching-partition",
        """
        op.execute("CREATE TABLE probe_whole (id bigint) PARTITION BY RANGE (id)")
        op.execute("ALTER TABLE probe_whole ATTACH PARTITION probe_lines FOR VALUES FROM (1) TO (9)")  # here
        """,
    ),
    "other place": ("moving-table", 'op.execute("ALTER TABLE probe_orders SET TABLESPACE fast")  # here'),
    "other method": ("moving-table", 'op.execute("ALTER TABLE ONLY probe_orders SET ACCESS METHOD heap")  # here'),
    "all rows": ("truncating-table", 'op.execute("TRUNCATE TABLE probe_orders RESTART IDENTITY")  # here'),
    "all rows, of a new table too": (
        "truncating-table",
        """
        op.create_table("probe_emptied", sa.Column("id", sa.BigInteger()))
        op.execute("TRUNCATE probe_emptied *, probe_orders")  # here
        """,
    ),
    "index of a table that may be there": (
        "require-concurrent-index-creation",
        """
        op.create_table("probe_orders", sa.Column("state", sa.Text()), if_not_exists=True)
        op.create_index("ix", "probe_orders", ["state"])  # here
        """,
    ),
    "virtual column that is looked at": (
        "adding-field-with-default",
        'op.execute("ALTER TABLE probe_orders ADD n int GENERATED ALWAYS AS (1) VIRTUAL NOT NULL")  # here',
    ),
    "what stands behind other letters": (
        "ban-drop-table",
        """
        op.execute("CREATE TABLE probe_e (a int)")
        op.execute("CREATE TEMP TABLE ééééééééééééééééééé (a int); DROP TABLE probe_e; CREATE TABLE probe_e (a int)")
        op.execute("SELECT 'éééééééééééééééééééééééééé'; DROP TABLE probe_lines; DROP TABLE probe_e")  # here
        """,
    ),
    "transaction of its own": ("transaction-nesting", 'op.execute("BEGIN")  # here'),
    "SQL that hides it": (
        "ban-drop-column",
        """
        op.execute("/* squawk-ignore-file */ alter table probe_orders drop note -- squawk-ignore")  # here
        """,
    ),
}
# What makes no table `probe_orders`, whatever it names; what is done to that one afterwards is told.
MAKES_NOTHING = {
    "another schema": 'op.create_table("probe_orders", sa.Column("id", sa.Integer()), schema="archive")',
    "IF NOT EXISTS": 'op.create_table("probe_orders", sa.Column("id", sa.Integer()), if_not_exists=True)',
    "a comment": 'op.create_table("probe_c", sa.Column("id", sa.Integer()), comment="; create table probe_orders (")',
    "a schema": 'op.execute("CREATE SCHEMA probe_orders")',
    "a schema's table": 'op.execute("CREATE SCHEMA kept CREATE TABLE probe_orders (id int)")',
    "a function": 'op.execute("CREATE FUNCTION probe_orders() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$")',
    "a type": "op.execute(\"CREATE TYPE probe_orders AS ENUM ('a')\")",
    "a comment of SQL": 'op.execute("/* /* ; */ ;CREATE TABLE probe_orders (id int); */ SELECT 1 -- as said")',
    "another comment of SQL": 'op.execute("SELECT 1 -- ;CREATE TABLE probe_orders (id int)")',
    "a text": "op.execute(\"INSERT INTO probe_log VALUES ('it''s; create table probe_orders ()')\")",
    "capitals": "op.execute('CREATE TABLE \"Probe_Orders\" (id int)')",
    "a temporary table that is gone": 'op.execute("CREATE TEMP TABLE probe_orders (id int); DROP TABLE probe_orders")',
    "a temporary table of another revision": 'op.execute("CREATE TEMP TABLE probe_lines (id int)")',
    "an index": 'op.create_index("probe_orders", "probe_orders", ["id"], schema="archive")',
}
for _name, _body in MAKES_NOTHING.items():
    BAD[f"table, not made by {_name}"] = ("ban-drop-column", f'{_body}\nop.drop_column("probe_orders", "note")  # here')
BAD["temporary table before it"] = ("ban-drop-table", 'op.drop_table("probe_lines")  # here')
GOOD = {
    "new table": """
        op.create_table(
            "probe_new",
            sa.Column("id", sa.BigInteger(), primary_key=True),
            sa.Column("order_id", sa.BigInteger(), sa.ForeignKey("probe_orders.id"), nullable=False),
            sa.Column("name", sa.String(80), unique=True),
        )
        op.create_index("ix_probe_new_name", "probe_new", ["name"])
        """,
    "table that an earlier new revision made": """
        op.add_column("probe_new", sa.Column("price", sa.BigInteger(), nullable=False))
        op.drop_index("ix_probe_new_name")
        op.alter_column("probe_new", "name", existing_type=sa.String(80), type_=sa.Text(), nullable=False)
        op.alter_column("probe_new", "name", new_column_name="title")
        op.create_foreign_key("fk", "probe_new", "probe_orders", ["price"], ["id"])
        op.drop_column("probe_new", "price")
        op.execute("ALTER TABLE public.probe_new ADD n serial CHECK (n > 0); TRUNCATE ONLY probe_new")
        op.execute('DROP TABLE IF EXISTS public."probe_new"')
        """,
    "index": """
        with op.get_context().autocommit_block():
            op.create_index("ix", "probe_orders", ["state"], unique=True, postgresql_concurrently=True)
            op.drop_index("ix_probe_orders_place", "probe_orders", postgresql_concurrently=True, if_exists=True)
        """,
    "table of a schema, and a type": """
        op.create_table("probe_orders", sa.Column("a", sa.Enum("x", "y", name="kind")), schema="archive")
        op.create_index("ix", "probe_orders", ["a"], schema="archive")
        op.drop_index("ix", schema="archive")
        op.alter_column("probe_orders", "a", type_=sa.String(), schema="archive")
        op.execute("DROP TYPE kind")
        """,
    "temporary table": """
        op.execute("CREATE TEMPORARY TABLE probe_lines AS SELECT 1 AS id; CREATE INDEX ON probe_lines (id)")
        op.execute("DROP TABLE probe_lines")
        """,
    "part that is new": """
        op.execute("CREATE TABLE probe_part (id bigint)")
        op.execute("ALTER TABLE probe_lines ATTACH PARTITION probe_part FOR VALUES FROM (1) TO (9)")
        """,
    "column, and a check of it that is not looked at": """
        op.execute("ALTER TABLE probe_orders ADD COLUMN m int, ADD CONSTRAINT ck_m CHECK (m > 0) NOT VALID")
        """,
    "values that write no row": """
        op.add_column("probe_orders", sa.Column("m", sa.Integer(), server_default=sa.text("-1"), nullable=False))
        op.execute("ALTER TABLE probe_orders ADD é int DEFAULT (1 + 1), ADD o int GENERATED ALWAYS AS (m * 2) VIRTUAL")
        """,
    "unique by an index": 'op.execute("ALTER TABLE probe_orders ADD CONSTRAINT uq UNIQUE USING INDEX ix")',
    "columns": """
        with op.batch_alter_table("probe_orders") as batch_op:
            batch_op.add_column(sa.Column("price", sa.BigInteger()))
            batch_op.add_column(sa.Column("is_open", sa.Boolean(), server_default=sa.true(), nullable=False))
            batch_op.add_column(sa.Column("at", sa.DateTime(), server_default=sa.func.now(), nullable=False))
            batch_op.alter_column("note", server_default="none")
        """,
    "check": """
        op.create_check_constraint(op.f("ck"), "probe_orders", "state IS NOT NULL", postgresql_not_valid=True)
        op.create_foreign_key("fk", "probe_lines", "probe_orders", ["order_id"], ["id"], postgresql_not_valid=True)
        """,
    "check, validated later": """
        op.execute("ALTER TABLE probe_lines VALIDATE CONSTRAINT fk")
        op.execute("ALTER TABLE probe_orders VALIDATE CONSTRAINT ck")
        op.alter_column("probe_orders", "state", existing_type=sa.String(80), nullable=False)
        op.drop_constraint(op.f("ck"), "probe_orders")
        """,
    "rows": """
        orders = sa.table("probe_orders", sa.column("id", sa.BigInteger), sa.column("note", sa.String))
        op.bulk_insert(orders, [{"id": 1, "note": "it's; new"}])
        op.execute(orders.update().where(orders.c.id == 1).values(note="drop table probe_lines"))
        """,
    "what asks a database, online": """
        if not context.is_offline_mode():
            op.get_bind().execute(sa.text("SELECT 1")).scalar_one()
        op.execute("COMMENT ON TABLE probe_orders IS 'what was ordered'")
        """,
    "accepted above": """
        # squawk-ignore ban-drop-column -- release 1.4.0 no longer reads it,
        # and nobody else ever did
        op.drop_column("probe_orders", "note")
        """,
    "accepted inside": """
        with op.batch_alter_table("probe_orders") as batch_op:
            # squawk-ignore changing-column-type -- a longer varchar writes no row anew
            batch_op.alter_column("place", existing_type=sa.String(80), type_=sa.String(200))
        """,
    "accepted, a rule of its own": """
        op.execute("TRUNCATE probe_lines")  # squawk-ignore truncating-table -- no release reads it
        """,
    "nothing": "pass",
}
thorough = pytest.mark.thorough


class Service:
    """A folder with revisions of its own, in a git repository, run by the real command."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.versions = folder, folder / "migrations/versions"
        self.versions.mkdir(parents=True)
        for name in ("alembic.ini", "migrations/env.py"):
            (folder / name).write_bytes((project_root() / name).read_bytes())
        self.git("init", "--quiet", "--initial-branch=main")
        self.number = 0
        self.revision(TABLES)

    def revision(self, body: str, **named: str) -> Path:
        """Write the next revision."""
        self.number += 1
        numbers = {"number": f"{self.number:04d}", "before": f"{self.number - 1:04d}" if self.number > 1 else None}
        indented = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        file = self.versions / f"{self.number:04d}_probe.py"
        file.write_text(HEAD.format(**numbers | named, body=indented), encoding="utf-8")
        return file

    def commit(self, tag: str = "") -> None:
        """Commit all, and tag it."""
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message", "a change")
        if tag:
            self.git("tag", tag)

    def git(self, *arguments: str) -> None:
        """Run git, whatever its user has set up."""
        who = ["-c", "user.name=Probe", "-c", "user.email=probe@example.invalid", "-c", "commit.gpgsign=false"]
        command = ["git", *who, *arguments]
        subprocess.run(command, cwd=self.folder, check=True, capture_output=True)  # noqa: S603  # our own words

    def checked(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """What `python -m app migrate-check` says."""
        return self.run("migrate-check", *arguments, cwd=cwd, **environment)

    def run(self, *arguments: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the service on these revisions."""
        paths = {"PYTHONPATH": str(project_root() / "src"), "ENV_FILE": ""}
        command = [sys.executable, "-m", "app", *arguments]
        return subprocess.run(  # noqa: S603  # our own program
            command,
            cwd=cwd or self.folder,
            env={**os.environ, **paths, **environment},
            capture_output=True,
            text=True,
            check=False,
        )


@pytest.fixture
def service(tmp_path: Path) -> Service:
    """A service whose first revision is released."""
    made = Service(tmp_path / "my service")
    made.commit("v1.0.0")
    return made


@pytest.fixture(scope="module")
def told_of_bad(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, tuple[str, int, list[str]]]:
    """Of each bad revision its file, the line that should be named, and what is said."""
    service = Service(tmp_path_factory.mktemp("bad") / "service")
    service.commit("v1.0.0")
    files = {name: service.revision(body) for name, (_, body) in BAD.items()}
    done = service.checked()
    assert (done.returncode, done.stderr) == (1, "")
    blocks = re.findall(r"^BAD .*\n(?:    .*\n)+", done.stdout, re.MULTILINE)
    found = {}
    for name, file in files.items():
        lines = file.read_text(encoding="utf-8").splitlines()
        line = next(number for number, text in enumerate(lines, 1) if "# here" in text)
        found[name] = (file.name, line, [block for block in blocks if f"/{file.name}:" in block])
    return found


@thorough
@pytest.mark.parametrize("name", BAD)
def test_bad_revision_is_told_once_by_line_lock_and_way_out(
    told_of_bad: Mapping[str, tuple[str, int, list[str]]], name: str
) -> None:
    """Where it stands, what PostgreSQL gets, who waits, what to do instead; one finding for one mistake."""
    file, line, blocks = told_of_bad[name]
    first = [block.splitlines()[0] for block in blocks if f"{file}:{line}: " in block]
    assert first == [f"BAD migrations/versions/{file}:{line}: {BAD[name][0]}"]
    for block in blocks:
        assert re.search(r"\n    \S.*\n    lock: \S.*\n    instead: \S.*\n", block)


@thorough
def test_good_revisions_are_not_told(service: Service) -> None:
    """Tables that are new may be changed at will, those that are there in ways that keep nobody waiting."""
    for body in GOOD.values():
        service.revision(body)
    done = service.checked()
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == "base: v1.0.0, the last release tag"
    assert lines[-1] == f"new revisions: {len(GOOD)}, findings: 0"
    assert [line.split(": ")[1:] for line in lines[1:-1]] == [
        ["ban-drop-column accepted", "release 1.4.0 no longer reads it,"],
        ["changing-column-type accepted", "a longer varchar writes no row anew"],
        ["truncating-table accepted", "no release reads it"],
    ]


@thorough
def test_only_what_no_release_holds_is_looked_at(service: Service) -> None:
    """A released revision has run: nobody may change it, so nothing is said about it."""
    service.revision('op.drop_column("probe_orders", "note")')
    service.commit("v1.1.0")
    service.git("commit", "--quiet", "--allow-empty", "--message", "after it")
    service.revision('op.drop_column("probe_orders", "state")')
    done = service.checked()
    assert (done.returncode, done.stdout.count("BAD ")) == (1, 1)
    assert "BAD migrations/versions/0003_probe.py:10: ban-drop-column" in done.stdout
    assert service.checked("--base", "v1.0.0").stdout.count("BAD ") == 2
    service.commit()
    service.git("tag", "--delete", "v1.0.0", "v1.1.0")
    done = service.checked()
    assert (done.returncode, done.stdout.splitlines()[1:]) == (0, ["new revisions: 0, findings: 0"])
    assert "where this branch left the default branch" in done.stdout


@thorough
def test_release_that_is_being_made_is_held_against_the_one_before(service: Service) -> None:
    """The pipeline of a tag checks what that tag brings."""
    service.revision('op.drop_column("probe_orders", "note")')
    service.commit("v1.1.0")
    done = service.checked()
    assert (done.returncode, done.stdout.splitlines()[0]) == (1, "base: v1.0.0, the last release tag")


@thorough
def test_nothing_released_makes_every_revision_new(service: Service, tmp_path: Path) -> None:
    """Without git, without a commit, without a release and a default branch: told, and checked from the first one."""
    service.revision('op.add_column("probe_orders", sa.Column("price", sa.BigInteger(), nullable=False))')
    done = service.checked(GIT_DIR=str(tmp_path / "nowhere"))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("nothing released, every revision is new: ")
    assert done.stdout.endswith("new revisions: 2, findings: 0\n")
    service.git("tag", "--delete", "v1.0.0")
    service.git("branch", "--move", "trunk")
    assert service.checked().stdout.startswith("nothing released, every revision is new: no release tag v[0-9]*")


@thorough
def test_base_that_cannot_be_told_is_no_answer(service: Service, tmp_path: Path) -> None:
    """A shallow clone may hide a release, a commit may be misspelt: exit status 2."""
    service.revision("pass")
    service.commit()
    service.git("clone", "--quiet", "--depth=1", "--no-tags", f"file://{service.folder}", str(tmp_path / "clone"))
    for done, told in (
        (service.checked(cwd=tmp_path / "clone"), "a shallow clone shows no release; expected the whole history"),
        (service.checked("--base", "v9"), "BASE=v9: git knows no such commit; expected a tag"),
    ):
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
        assert done.stderr.startswith(f"not checked: {told}")


@thorough
def test_comment_that_lets_nothing_pass_is_named(service: Service) -> None:
    """It is for one rule and one statement; it does not fail."""
    service.revision(
        """
        # squawk-ignore ban-drop-column -- was planned, and is done later
        op.add_column("probe_orders", sa.Column("price", sa.BigInteger()))
        op.execute("SELECT '# squawk-ignore ban-drop-table'")
        """
    )
    done = service.checked()
    assert (done.returncode, done.stdout.splitlines()[1:-1]) == (
        0,
        ["migrations/versions/0002_probe.py:10: ban-drop-column lets nothing pass"],
    )
    service.revision(
        """
        op.drop_column("probe_orders", "place")
        # squawk-ignore ban-drop-table -- another rule than the one that is broken
        op.drop_column("probe_orders", "note")
        """
    )
    assert service.checked().stdout.count("BAD ") == 2


UNUSABLE = {
    "asks the database": (
        'op.get_bind().execute(sa.text("SELECT 1")).scalar_one()',
        ":10: AttributeError: ",
        "expected a revision that asks no database; what must ask one stands below `if not context.is_offline_mode():`",
    ),
    "values that are no SQL": (
        'op.bulk_insert(sa.table("probe_orders", sa.column("note", sa.JSON)), [{"note": {"a": 1}}])',
        ":10: CompileError: ",
        "expected values that can be written into SQL; rows with others, as JSON, are sent below `if not context.",
    ),
    "copies the table": (
        'with op.batch_alter_table("probe_orders", recreate="always") as batch_op: batch_op.drop_column("note")',
        ":10: CommandError: ",
        "expected a revision that asks no database",
    ),
    "is no Python": ("op.(", ":10: SyntaxError: ", "expected revisions that Python can load"),
    "cannot be loaded": ("pass\n_X = no_such_name", ": NameError: ", "expected revisions that Python can load"),
    "is no SQL": ('op.execute("DORP TABLE x")', ":10: syntax-error: DORP TABLE x", "expected SQL of PostgreSQL, or #"),
    "gives no reason": (
        'op.drop_column("probe_orders", "note")  # squawk-ignore ban-drop-column',
        ":10: # squawk-ignore ban-drop-column; ",
        "expected # squawk-ignore RULE -- REASON",
    ),
}


@thorough
@pytest.mark.parametrize("name", UNUSABLE)
def test_revision_that_cannot_be_judged_is_one_message(service: Service, name: str) -> None:
    """Which file and line, what was found, what is expected; no trace, exit status 2."""
    body, found, expected = UNUSABLE[name]
    file = service.revision(body)
    if name == "cannot be loaded":
        file.write_text(file.read_text(encoding="utf-8").replace("    _X =", "_X ="), encoding="utf-8")
    done = service.checked()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1), done.stdout + done.stderr
    assert done.stderr.startswith("not checked: migrations/versions/0002_probe.py:")
    assert found in done.stderr
    assert expected in done.stderr


@thorough
@pytest.mark.parametrize("number", ["0002", "0003"])
def test_two_revisions_in_one_place_are_one_message(service: Service, number: str) -> None:
    """Two people wrote one at the same time: with one number Alembic would leave one out, with two it has two heads."""
    service.revision("pass")
    service.revision("pass", number=number, before="0001")
    done = service.checked()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "Multiple head" in done.stderr or "0002 is present more than once" in done.stderr
    assert "expected revisions that Python can load, in one line: of two with one number" in done.stderr


@thorough
def test_statement_that_squawk_cannot_read_may_be_left_out(service: Service) -> None:
    """What stands around it is judged all the same."""
    service.revision(
        """
        op.execute("DORP TABLE x")  # squawk-ignore syntax-error -- our server has a dialect of its own
        op.drop_column("probe_orders", "note")
        """
    )
    done = service.checked()
    assert (done.returncode, done.stdout.count("BAD ")) == (1, 1)
    assert "0002_probe.py:11: ban-drop-column" in done.stdout
    assert "0002_probe.py:10: syntax-error accepted: our server has a dialect of its own" in done.stdout


@thorough
@pytest.mark.engines("sqlite", "postgresql")
def test_advice_can_be_carried_out(service: Service, database_url: str, engine: str) -> None:
    """The index of the page is built, again after it was broken off; and no lock is waited for without end."""
    service.revision(
        """
        with op.get_context().autocommit_block():
            op.drop_index("ix", "probe_orders", postgresql_concurrently=True, if_exists=True)
            op.create_index("ix", "probe_orders", ["state"], postgresql_concurrently=True)
        """
    )
    service.revision(
        """
        if not context.is_offline_mode() and op.get_bind().dialect.name == "postgresql":
            names = ("lock_timeout", "statement_timeout")
            found = [op.get_bind().exec_driver_sql(f"SHOW {name}").scalar_one() for name in names]
            assert found == ["5s", "0"], found
        """
    )
    assert service.checked().returncode == 0
    first = service.run("migrate", "--to", "0001", DATABASE_URL=database_url)
    assert first.returncode == 0, f"{engine}: {first.stderr}"
    done = service.run("migrate", DATABASE_URL=database_url)
    assert done.stdout == "team: 0001 -> 0003\n", done.stderr


@pytest.mark.parametrize(
    "sql",
    [
        "/* a /* b */ ; CREATE TABLE x (a int); */ SELECT 1",
        "-- ; CREATE TABLE x (a int)\n",
        "SELECT 'it''s; CREATE TABLE x (a int);'",
        r"SELECT E'it\'s; CREATE TABLE x (a int);'",
        "DO $do$ BEGIN; EXECUTE $$ ; CREATE TABLE x (a int); $$; CREATE TABLE x (a int); END $do$",
        'CREATE TABLE "; CREATE TABLE x (" (a int)',
        "CREATE TABLE IF NOT EXISTS x (a int)",
        "CREATE OR REPLACE VIEW x AS SELECT 1",
        "CREATE TABLE y.x (a int)",
        'CREATE TABLE "X" (a int)',
    ],
)
def test_text_that_makes_no_table_is_read_so(sql: str) -> None:
    """Texts in quotes and comments hold no statements; positions stay."""
    found = list(parts(sql))
    assert "".join(one.sql for one in found).count("\n") == sql.count("\n")
    assert sum(len(one.sql) for one in found) == len(sql)
    assert not any(is_made(Name("", "x"), one.made(())) for one in found)


def test_squawk_that_is_missing_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One message that says how it is had."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocksError, match=r"squawk does not run: .*; expected the one that `make setup` installs"):
        check(IDEMPOTENCY, {"0001_keys.py"})


def test_new_revisions_of_the_team_keep_nobody_waiting() -> None:
    """What `make migrate-check` says, while it is written; where git does not tell what is new, only CI says it."""
    try:
        names, told = new_revisions(project_root(), None)
    except ContractError as error:
        pytest.skip(str(error))
    if not told.startswith("base: "):
        pytest.skip(told)
    lines, bad = check(rooms()[-1], names)
    assert bad == 0, "\n".join(lines)


def own_revisions() -> Iterator[tuple[MigrationRoom, str]]:
    """Every revision of the chassis' rooms."""
    for room in rooms()[:-1]:
        yield from ((room, path.name) for path in sorted((room.folder / "versions").glob("*.py")))


@pytest.mark.parametrize(("room", "name"), [pytest.param(*one, id=one[1]) for one in own_revisions()])
def test_revision_of_the_chassis_keeps_nobody_waiting(room: MigrationRoom, name: str) -> None:
    """Each by itself, for the ones before it are released in some service."""
    lines, bad = check(room, {name})
    assert bad == 0, "\n".join(lines)


def test_rules_are_those_of_squawk_and_of_the_page() -> None:
    """Each is on or off for a reason; docs/chassis/migrations.md tells them as they are."""
    file = Path(program.__file__).with_name("rules.toml")
    table = tomllib.loads(file.read_text(encoding="utf-8"))
    names = [name for state in ("on", "off") for group in table[state] for name in group["rules"]]
    assert len(names) == len(set(names))
    own = [name for group in table["own"] for name in group["rules"]]
    assert set(own).isdisjoint(names)
    known = [f"--exclude={name}" for name in names if name != "unused-ignore"]
    squawk = Path(sys.executable).with_name("squawk")
    done = subprocess.run([squawk, *known], input=b"SELECT 1;", capture_output=True, check=False)  # noqa: S603  # our words
    assert (done.returncode, done.stderr) == (0, b"")
    page = (project_root() / "docs/chassis/migrations.md").read_text(encoding="utf-8")
    for group in table["on"] + table["own"]:
        assert (
            f"| {'<br>'.join(f'`{name}`' for name in group['rules'])} | {group['lock']} | {group['instead']} |" in page
        )
    for group in table["off"]:
        assert f"| {', '.join(f'`{name}`' for name in group['rules'])} | {group['why']} |" in page
