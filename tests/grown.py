"""One service as a team grows it: twenty commits, each made at the release the service had by then."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

from tools import require, user_environment

Step = Callable[[Path], None]
PICTURE = bytes(range(256)) * 8

DOMAIN = {
    "src/app/domains/notes/__init__.py": '"""Short notes."""\n',
    "src/app/domains/notes/models.py": '''"""Tables of the notes domain."""

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from app.chassis.database import Base, Key


class Note(Base):
    """A short note."""

    __tablename__ = "notes"

    id: Mapped[int] = mapped_column(Key, primary_key=True)
    text: Mapped[str] = mapped_column(String(500))
''',
    "src/app/domains/notes/service.py": '''"""What can be done with notes."""

LONGEST = 500
''',
}
REVISION = '''"""Create notes."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table("notes", sa.Column("id", sa.BigInteger(), primary_key=True), sa.Column("text", sa.String(500)))


def downgrade() -> None:
    op.drop_table("notes")
'''


def wrote(path: str, text: str) -> Step:
    """Make a file of the team's own."""

    def step(service: Path) -> None:
        (service / path).parent.mkdir(parents=True, exist_ok=True)
        (service / path).write_text(text, encoding="utf-8")

    return step


def appended(path: str, text: str) -> Step:
    """Add to a file that there is."""

    def step(service: Path) -> None:
        with (service / path).open("a", encoding="utf-8") as file:
            file.write(text)

    return step


def replaced(path: str, old: str, new: str) -> Step:
    """Change a place of a file that there is."""

    def step(service: Path) -> None:
        text = (service / path).read_text(encoding="utf-8")
        assert old in text, f"{path} has no {old!r}"
        (service / path).write_text(text.replace(old, new, 1), encoding="utf-8")

    return step


def uv_added(*arguments: str) -> Step:
    """Run `uv add` as a team does; nothing is installed."""

    def step(service: Path) -> None:
        command = [require("uv"), "add", "--quiet", "--no-sync", *arguments]
        subprocess.run(command, cwd=service, env=user_environment(), check=True, capture_output=True)

    return step


def domain(service: Path) -> None:
    """Add a domain, by hand as in that release."""
    for path, text in DOMAIN.items():
        wrote(path, text)(service)


def sample_deleted(service: Path) -> None:
    """Delete the sample by hand."""
    for path in ("src/app/api/v1/items", "src/app/domains/items", "tests/items"):
        shutil.rmtree(service / path)


def reformatted(service: Path) -> None:
    """Indent a file anew."""
    path = service / "src/app/settings.py"
    path.write_text(re.sub(r"^( +)", r"\1\1", path.read_text(), flags=re.MULTILINE))


def pictured(service: Path) -> None:
    """Add a picture."""
    (service / "docs/logo.png").write_bytes(PICTURE)


# What a team did while its service had a release: the message of the commit, and the work.
GROWTH: dict[str, list[tuple[str, Step]]] = {
    "0.1.0": [
        ("docs: what this service is", wrote("README.md", "# Orders\n\nTakes orders, tells what became of them.\n")),
        ("build: an HTTP client", uv_added("aiofiles")),
        ("feat: notes", domain),
        ("feat: a table for notes", wrote("migrations/versions/0002_create_notes.py", REVISION)),
    ],
    "0.2.0": [
        ("feat: a setting", appended("src/app/settings.py", "\n    longest_note: int = 500\n")),
        ("docs: that setting", appended(".env.example", "#LONGEST_NOTE=500\n")),
        ("ci: our own job", wrote(".github/workflows/deploy.yml", "name: deploy\non: workflow_dispatch\njobs: {}\n")),
    ],
    "0.3.0": [
        ("build: our own targets", wrote("service.mk", "load:  ## Load\n\t@echo load\n")),
        ("docs: our own procedure", wrote("docs/runbook/notes.md", "# Notes\n\nHow notes are moved.\n")),
        ("test: a tool", uv_added("--dev", "zipp")),
    ],
    "0.4.0": [
        ("feat: something beside", appended("src/app/main.py", '\napp.title = "Orders"\n')),
        ("docs: a logo", pictured),
        ("style: our rules", appended("ruff.toml", "# line length stays\n")),
    ],
    "0.5.0": [
        ("feat: the sample is gone", sample_deleted),
        ("build: 1.4.2", replaced("pyproject.toml", 'version = "0.1.0"', 'version = "1.4.2"')),
        ("build: a newer cutoff", replaced("pyproject.toml", 'exclude-newer = "2026', 'exclude-newer = "2027')),
    ],
    "0.6.0": [
        ("build: a volume", wrote("compose.override.yaml", "services: {}\n")),
        ("feat: an alert", wrote("deploy/monitoring/orders.rules.yml", "groups: []\n")),
        ("style: another editor", reformatted),
    ],
    "0.7.0": [
        ("feat: probes wait longer", replaced("ops/health.py", "SECONDS = 3.0", "SECONDS = 9.0")),
    ],
}
