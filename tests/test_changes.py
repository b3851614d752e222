"""Notes of changes: asked for, checked, filled with what was deployed, built into CHANGELOG.md."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, commit_all
from tools import user_environment

DEPLOY = {
    "time": "2026-11-22T10:00:00+00:00", "who": "ada@box", "version": "1.2.0", "commit": None, "result": "ok",
    "command": "make deploy VERSION=1.2.0", "reason": None, "seconds": 1.5,
    "before": {"requests": 900, "failed": 9, "p50": 0.01, "p95": 0.2, "p99": 0.3},
    "after": {"requests": 900, "failed": 0, "p50": 0.01, "p95": 0.02, "p99": 0.03},
}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a repository with a version and a changelog."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "orders"\nversion = "1.2.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\nWhat users notice.\n\n## Unreleased\n\n- Ours.\n\n## 1.0.0\n\n- Old.\n"
    )
    (tmp_path / ".gitignore").write_text("/var/\n")
    (tmp_path / "code.py").write_text("old\n")
    commit_all(tmp_path, "first")
    return tmp_path


def changes(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the program."""
    command = [sys.executable, str(ROOT / "template/ops/changes.py"), *arguments]
    return subprocess.run(command, cwd=folder, env=user_environment(), capture_output=True, text=True, check=False)


def begun(folder: Path, name: str = "Faster list") -> Path:
    """Begin a note and say all that a person says; return it."""
    path = Path(changes(folder, "new", name).stdout.removeprefix("written: ").partition(";")[0])
    text = (folder / path).read_text()
    (folder / path).write_text(re.sub(r"\*\*(\w+):\*\* <!-- .* -->", r"**\1:** a \1\n  of two lines", text))
    return path


def deployed(folder: Path, **changed: object) -> None:
    """Record a deployment."""
    (folder / "var").mkdir(exist_ok=True)
    (folder / "var/deploys.jsonl").write_text(json.dumps(DEPLOY | changed) + "\n")


def test_new_note_asks_and_its_gaps_are_told(folder: Path) -> None:
    """Each thing that a person must say, by name; a hint is no answer."""
    made = changes(folder, "new", "Faster  list: of orders!")
    (path,) = (folder / "changes").glob("*.md")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d-faster-list-of-orders\.md", path.name)
    assert made.stdout == f"written: changes/{path.name}; say what it asks, and commit it with the change\n"
    assert path.read_text().startswith("# Faster list: of orders!\n\n- **Reason:** <!-- why it is made -->\n")
    checked = changes(folder, "check")
    assert checked.returncode == 1
    asked = ["Reason", "Noticed", "Symptom", "Assumptions", "Risk", "Rollback"]
    assert re.findall(r"has no (\w+); expected", checked.stdout) == asked
    again = changes(folder, "new", "faster list of orders")
    assert (again.returncode, again.stderr) == (1, f"changes/{path.name} is there; expected another name\n")
    nameless = changes(folder, "new", "!!!")
    assert (nameless.returncode, "'!!!' has no letters for a file's name" in nameless.stderr) == (2, True)


def test_check_names_every_gap(folder: Path) -> None:
    """A name of another kind, a title that is missing, a machine's part that somebody cut."""
    assert changes(folder, "check").stdout == "0 notes, no gap\n"
    path = begun(folder)
    assert changes(folder, "check").stdout == "1 notes, no gap\n"
    text = (folder / path).read_text()
    (folder / "changes/Notes.md").write_text(text.replace("# Faster list", "Faster list") + "\n- **Result:** ok\n")
    (folder / "changes/README.md").write_text("no note\n")
    told = changes(folder, "check")
    assert told.returncode == 1
    assert told.stdout.splitlines()[:2] == [
        "changes/Notes.md: is named otherwise than its kind; expected changes/2026-11-22-what-changes.md",
        "changes/Notes.md: has no title; expected a first line # What changes",
    ]
    assert re.findall(r"has no (\w+); expected what `make shipped` writes", told.stdout) == [
        "Version", "Commit", "Files", "Command", "Metric",
    ]  # fmt: skip


def test_shipped_fills_the_note_and_builds_the_changelog(folder: Path) -> None:
    """Files by git, command, result and measures by the record; what stands beside the two marks stays."""
    path = begun(folder)
    (folder / "code.py").write_text("new\n")
    (folder / "more.py").write_text("new\n")
    commit_all(folder, "faster")
    deployed(folder)
    done = changes(folder, "shipped")
    assert (done.returncode, done.stdout) == (0, f"written: {path}, CHANGELOG.md; commit both\n"), done.stderr
    note = (folder / path).read_text()
    assert f"- **Files:** `{path}`, `code.py`, `more.py`\n- **Command:** `make deploy VERSION=1.2.0`\n" in note
    assert "- **Result:** ok, 2026-11-22T10:00:00+00:00, by ada@box\n" in note
    assert note.endswith("- **Metric:** p95 200 ms, 1% failed of 900 -> p95 20 ms, 0% failed of 900\n")
    log = (folder / "CHANGELOG.md").read_text()
    assert log.startswith("# Changelog\n\nWhat users notice.\n\n## Unreleased\n\n- Ours.\n\n<!-- changes: written by")
    assert f"## 1.2.0\n\n- Faster list: a Noticed of two lines ([note]({path}))\n" in log
    assert log.endswith("<!-- end of changes -->\n\n## 1.0.0\n\n- Old.\n")
    assert changes(folder, "check").returncode == 0

    other = begun(folder, "Another")
    commit_all(folder, "another")
    assert changes(folder, "shipped", "another").returncode == 0
    log = (folder / "CHANGELOG.md").read_text()
    assert (log.count("## 1.2.0"), log.count(str(other)), log.count(str(path)), log.count("<!--")) == (1, 1, 1, 2)
    assert log.endswith("<!-- end of changes -->\n\n## 1.0.0\n\n- Old.\n")


def test_shipped_names_the_service_s_own_files(folder: Path) -> None:
    """In a part of a larger repository, with letters of every kind; a clone that has not all commits cannot tell."""
    service = folder / "services/orders"
    service.mkdir(parents=True)
    for name in ("pyproject.toml", ".gitignore"):
        (service / name).write_text((folder / name).read_text())
    (service / "CHANGELOG.md").write_bytes(b"# Changelog\r\n\r\n## [Unreleased]\r\n\r\n- Ours.\r\n\r\n## [1.0.0]\r\n")
    commit_all(folder, "a part")
    path = begun(service)
    for name in ("code.py", "services/orders/größe.py"):
        (folder / name).write_text("new\n")
    commit_all(folder, "bigger")
    shallow = folder.parent / "shallow"
    subprocess.run(["git", "clone", "-q", "--depth", "1", folder.as_uri(), shallow], check=True)
    for here in (service, shallow / "services/orders"):
        deployed(here)
    refused = changes(shallow / "services/orders", "shipped")
    assert refused.returncode == 2
    assert "expected them, to tell the files: git fetch --unshallow" in refused.stderr
    assert changes(service, "shipped").returncode == 0
    assert f"- **Files:** `{path}`, `größe.py`\n" in (service / path).read_text()
    log = (service / "CHANGELOG.md").read_bytes()
    assert log.count(b"\n") == log.count(b"\r\n")
    assert log.startswith(b"# Changelog\r\n\r\n## [Unreleased]\r\n\r\n- Ours.\r\n\r\n<!-- changes: written")
    assert log.endswith(b"<!-- end of changes -->\r\n\r\n## [1.0.0]\r\n")


@pytest.mark.parametrize(
    ("changed", "status", "told"),
    [
        (None, 1, "no deployment is recorded; expected a line in DEPLOYS_FILE: python3 ops/deploys.py record writes"),
        ({"result": "refused"}, 1, "the last deployment, 2026-11-22T10:00:00+00:00, is refused; expected ok"),
        ({"version": "1.1.0"}, 1, "is of 1.1.0; expected 1.2.0, as in pyproject.toml"),
        ({"commit": "FIRST"}, 1, "expected one that holds changes/"),
        ({"result": "good"}, 2, "var/deploys.jsonl:1: has the result 'good'; expected one of ok, refused"),
    ],
)
def test_shipped_is_refused_without_a_success_of_this_version(
    folder: Path, changed: dict | None, status: int, told: str
) -> None:
    """The note stays as it is, and so does CHANGELOG.md."""
    path = begun(folder)
    commit_all(folder, "faster")
    if changed is not None:
        first = subprocess.run(["git", "rev-parse", "HEAD~1"], cwd=folder, capture_output=True, text=True, check=True)
        deployed(folder, **{name: first.stdout.strip() if name == "commit" else one for name, one in changed.items()})
    before = (folder / path).read_text(), (folder / "CHANGELOG.md").read_text()
    done = changes(folder, "shipped")
    assert (done.returncode, done.stdout) == (status, "")
    assert told in done.stderr
    assert ((folder / path).read_text(), (folder / "CHANGELOG.md").read_text()) == before


def test_shipped_is_refused_for_a_note_that_is_not_ready(folder: Path) -> None:
    """With gaps, not committed, twice, or one of several; a mark that is alone loses nothing."""
    deployed(folder)
    none = changes(folder, "shipped")
    assert (none.returncode, "0 notes wait to be shipped as the only one" in none.stderr) == (2, True)
    changes(folder, "new", "Empty")
    assert changes(folder, "shipped").stderr.count("has no ") == 6
    (folder / next((folder / "changes").glob("*.md"))).unlink()
    begun(folder)
    assert "is in no commit; expected it to be committed with the change" in changes(folder, "shipped").stderr
    begun(folder, "Another")
    commit_all(folder, "two")
    assert "2 notes wait to be shipped as the only one; expected one of changes/" in changes(folder, "shipped").stderr
    with (folder / "CHANGELOG.md").open("a") as file:
        file.write("<!-- end of changes -->\n")
    before = (folder / "CHANGELOG.md").read_text()
    lone = changes(folder, "shipped", "another")
    assert (lone.returncode, (folder / "CHANGELOG.md").read_text()) == (2, before)
    assert "has not its two marks in order" in lone.stderr
    assert "## Shipped" not in "".join(path.read_text() for path in (folder / "changes").glob("*.md"))
