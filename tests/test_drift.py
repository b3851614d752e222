"""`make drift` names each file of ours that a service edited; `make eject` makes one the team's, with its reason."""

import json
import os
import re
from pathlib import Path

import pytest
from conftest import commit_all, git, make, release, update_service
from updating import lessen

pytestmark = pytest.mark.usefixtures("update_tools")


@pytest.fixture
def own_template(own_template: Path) -> Path:
    """Return a template of the test's own with little else than the programs, so that a render takes a second."""
    lessen(own_template, "alembic", "mypy")
    return own_template


def run(service: Path, *target: str, **environment: str) -> tuple[int, str, str]:
    """Run a target; return its program's exit code, what it printed, and its complaints."""
    done = make(service, *target, **environment)
    ended = re.search(r"Error (\d)", done.stderr)
    return (int(ended[1]) if ended else 0), done.stdout, done.stderr


def edit(path: Path, old: str, new: str) -> None:
    """Replace what stands in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_only_what_is_ours_drifts(service: Path) -> None:
    """Edited, deleted, added in a folder of ours, a line in our zone; what is the team's, zones too, is no drift."""
    assert run(service, "drift")[:2] == (0, "0 files of ours are other than 1.0.0 has them\n")
    edit(service / "README.md", "# ", "# Our ")
    edit(service / "pyproject.toml", 'version = "0.1.0"', 'version = "0.2.0"')
    (service / "service.mk").write_text("ours:\n")
    (service / "mypy.ini").write_bytes((service / "mypy.ini").read_bytes().replace(b"\n", b"\r\n"))
    assert run(service, "drift")[0] == 0
    edit(service / "ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 9.0")
    edit(service / "pyproject.toml", '"fastapi>=', '"fastapi>0.1,>=')
    (service / "alembic.ini").unlink()
    (service / "ops/own.py").write_text("print('own')\n")
    code, told, _ = run(service, "drift")
    assert code == 1
    names = [line for line in told.splitlines() if re.match(r"(edited|deleted|added): ", line)]
    assert names == ["deleted: alembic.ini", "edited: ops/health.py", "added: ops/own.py", "edited: pyproject.toml"]
    assert "\n-PROBE_TIMEOUT_SECONDS = 3.0\n+PROBE_TIMEOUT_SECONDS = 9.0\n" in told
    assert told.splitlines()[-2] == "4 files of ours are other than 1.0.0 has them"
    assert "-PROBE" not in run(service, "drift", "ARGS=--names")[1]
    code, told, _ = run(service, "drift", "ARGS=--json")
    found = json.loads(told)
    assert (code, found["release"], found["ejected"]) == (1, "1.0.0", {})
    assert [f"{one['what']}: {one['path']}" for one in found["drift"]] == names


def test_ejected_file_is_the_teams_through_updates(service: Path, own_template: Path) -> None:
    """A release changes one and drops the other: both stay as the team has them, no drift; its reason is told."""
    edit(service / "ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 9.0")
    edit(service / "ops/alerts.py", '"""', '"""Ours: ')
    commit_all(service, "edits")
    for path in ("ops/health.py", "./ops/alerts.py"):
        code, told, wrong = run(service, "eject", f"FILE={path}", "REASON=it asks 'another' port: 9")
        assert (code, "next: commit .copier-answers.yml" in told) == (0, True), wrong
        commit_all(service, "ejected")
    again = run(service, "eject", "FILE=ops/health.py", "REASON=again")
    assert again[:2] == (0, "ejected already: ops/health.py\nits reason stands in .copier-answers.yml\n")
    kept = {name: (service / name).read_text() for name in ("ops/health.py", "ops/alerts.py")}
    edit(own_template / "template/ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 4.0")
    (own_template / "template/ops/alerts.py").unlink()
    edit(own_template / "template/mypy.ini", "strict", "# newer\nstrict")
    release(own_template, "2.0.0")

    update_service(service)

    assert "UU" not in git(service, "status", "--porcelain")
    assert {name: (service / name).read_text() for name in kept} == kept
    assert "# newer" in (service / "mypy.ini").read_text()
    commit_all(service, "updated")
    code, told, _ = run(service, "drift")
    assert (code, told.splitlines()[0]) == (0, "ejected: ops/alerts.py: it asks 'another' port: 9")
    update_service(service)
    assert git(service, "status", "--porcelain") == ""


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (("FILE=ops/health.py",), "not done: no reason; expected make eject FILE=ops/health.py REASON="),
        (("FILE=ops/health.py", "REASON=a\u2028b"), "not done: a reason that is not one line; expected make eject"),
        (("FILE=ops", "REASON=x"), "not done: ops is a folder; expected one file of ours"),
        (("FILE=../x", "REASON=x"), "not done: ../x is not in this service; expected a path from here"),
        (("FILE=/etc/passwd", "REASON=x"), "not done: /etc/passwd is not in this service"),
        (("FILE=.copier-answers.yml", "REASON=x"), "not done: .copier-answers.yml is yours already, or shared"),
        (("FILE=README.md", "REASON=x"), "not done: README.md is yours already, or shared; expected a file of ours"),
        (("FILE=pyproject.toml", "REASON=x"), "not done: pyproject.toml is yours already, or shared"),
        (("FILE=ops/none.py", "REASON=x"), "not done: ops/none.py is no file; expected one of ours"),
        (("FILE=ops/../README.md", "REASON=x"), "not done: README.md is yours already, or shared"),
        (("REASON=x",), "not done: no file; expected make eject FILE=ops/health.py REASON="),
    ],
)
def test_what_cannot_be_ejected_is_one_message(service: Path, target: tuple[str, ...], expected: str) -> None:
    """Exit code 2, one line, and the answers are as they were."""
    code, told, wrong = run(service, "eject", *target)
    assert (code, told, git(service, "status", "--porcelain")) == (2, "", "")
    assert expected in wrong


def test_edit_that_is_not_committed_is_not_ejected(service: Path) -> None:
    """What git does not hold could not be brought back."""
    edit(service / "ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 9.0")
    code, _, wrong = run(service, "eject", "FILE=ops/health.py", "REASON=x")
    assert (code, "not done: not everything is committed" in wrong) == (2, True)


def test_names_of_any_bytes_are_told(service: Path, own_template: Path) -> None:
    """A file whose name is no UTF-8 is drift like any other, and told; what Copier would misread is not ejected."""
    (service / os.fsdecode(b"ops/caf\xe9.py")).write_text("own = True\n")
    (service / "ops/[a]*.py").write_text("own = True\n")
    commit_all(service, "odd names")
    code, told, wrong = run(service, "drift", "ARGS=--names", PYTHONIOENCODING="utf-8:strict")
    assert (code, told.splitlines()[:2]) == (1, ["added: ops/[a]*.py", r"added: ops/caf\udce9.py"]), wrong
    code, _, wrong = run(service, "eject", "FILE=ops/[a]*.py", "REASON=x")
    assert (code, "not done: 'ops/[a]*.py' would be read as a pattern" in wrong) == (2, True)
    edit(own_template / "template/mypy.ini", "strict", "# newer\nstrict")
    release(own_template, "2.0.0")
    code, _, wrong = run(service, "update")
    assert (code, r"expected no file called otherwise, found ops/caf\xe9.py" in wrong) == (2, True), wrong


def test_file_whose_reason_was_taken_out_is_ours_again(service: Path, own_template: Path) -> None:
    """Also where it was the only one, and `ejected:` is left with nothing behind it; anything else there is told."""
    answers = service / ".copier-answers.yml"
    edit(answers, "ejected: {}", "ejected:")
    commit_all(service, "none is ejected")
    edit(own_template / "template/ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 4.0")
    release(own_template, "2.0.0")
    assert run(service, "drift")[:2] == (0, "0 files of ours are other than 1.0.0 has them\n")
    update_service(service)
    assert "TIMEOUT_SECONDS = 4.0" in (service / "ops/health.py").read_text()
    for wrong in ("ejected: [ops/health.py]", "_commit:"):
        answers.write_text(f"_commit: 1.0.0\n_src_path: {own_template}\n{wrong}\n")
        code, _, said = run(service, "drift")
        assert (code, f"not told: .copier-answers.yml in {service} cannot be read" in said) == (2, True), said


def test_git_that_calls_does_not_say_where_to_look(service: Path) -> None:
    """In a hook, GIT_DIR and the like name the repository at work: Copier's own clones are told nothing of it."""
    git_folder = {"GIT_DIR": str(service / ".git"), "GIT_INDEX_FILE": str(service / ".git/index")}
    code, told, wrong = run(service, "drift", **git_folder, GIT_WORK_TREE=str(service))
    assert (code, told) == (0, "0 files of ours are other than 1.0.0 has them\n"), wrong
