"""`make update`: foreseen in a scratch worktree, refused where work would be lost, done on a branch, taken back."""

import json
import os
import random
import re
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import commit_all, copy_service, git, release
from copies import NotDoneError
from rendering import template_in_use
from test_drift import edit, run
from tools import require, user_environment
from updating import lessen

KILLS = 20
BRANCH = "chassis-update-1.1.0"
BACK = "make update ARGS=--undo brings back what was"
NOTES = """[[release]]
version = "1.1.0"
sees = ["Probes wait longer."]
manual = ["Look at your alerts."]
"""


pytestmark = pytest.mark.usefixtures("update_tools")


@pytest.fixture
def own_template(own_template: Path) -> Path:
    """Return a template with little else than the programs, whose gates write down that they were run."""
    lessen(own_template, ".env.example", "alembic", "mypy")
    makefile = own_template / "template/Makefile"
    text = makefile.read_text().replace("READY := .venv/.ready", "READY :=")
    for name in ("setup", "check", "test"):
        text = re.sub(
            rf"^({name}:.*\n)(\t.*\n)+",
            rf"\1\t@echo {name} $(ARGS) >>var/gates && test ! -e fails-{name}\n",
            text,
            flags=re.MULTILINE,
        )
    makefile.write_text(text)
    commit_all(own_template, "quick gates")
    git(own_template, "tag", "--force", "1.0.0")
    return own_template


def newer(template: Path) -> None:
    """Release 1.1.0: a line of a program, a setting more and one less, a file less, with notes."""
    edit(template / "template/ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 4.0")
    edit(template / "template/.env.example.jinja", "#LOG_LEVEL=", "#LOG_COLOUR=red\n#LOG_LEVELS=")
    (template / "template/ops/alerts.py").unlink()
    (template / "docs/releases.toml").write_text(NOTES)
    release(template, "1.1.0")


def whole(service: Path) -> dict[str, bytes]:
    """Return every file that git does not ignore, byte for byte, and what is checked out."""
    names = git(service, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    found = {name: (service / name).read_bytes() for name in names if name and (service / name).is_file()}
    return found | {"HEAD": git(service, "rev-parse", "HEAD").encode(), "on": git(service, "branch", "-a").encode()}


def test_newest_service_has_nothing_to_do(service: Path) -> None:
    """Exit code 0, and nothing is changed."""
    before = whole(service)
    assert run(service, "update")[:2] == (0, "this service has the newest release of its template\n")
    assert run(service, "update", "ARGS=--dry-run --json")[:2] == (0, "null\n")
    assert run(service, "update", "ARGS=--json")[0] == 2
    assert whole(service) == before
    assert not (service / "ops/__pycache__").exists()  # half written on a full disk it would stop the undo


@pytest.mark.parametrize(
    "told", ["[Errno 28] No space left on device", "fatal: 'index.lock' write error. Out of diskspace"]
)
def test_full_disk_is_told_as_such(told: str) -> None:
    """Nothing is wrong with the template then."""
    with (
        pytest.raises(NotDoneError, match=f"^Copier failed: {re.escape(told)}; expected room on the disks"),
        template_in_use(),
    ):
        raise OSError(told)


def test_update_for_a_fleet_asks_for_a_scratch_worktree(service: Path, own_template: Path) -> None:
    """Where a branch is checked out it refuses; detached, it commits and makes no branch, or tells the one there is."""
    newer(own_template)
    before = whole(service)
    command = [
        require("uv"),
        "tool",
        "run",
        "--quiet",
        "--from",
        "copier>=9.19.1,<10",
        "python",
        "ops/update_scratch.py",
    ]

    def scratch() -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, cwd=service, env=user_environment(), capture_output=True, text=True, check=False)

    done = scratch()
    assert (done.returncode, "not done: a branch is checked out" in done.stderr) == (2, True)
    assert whole(service) == before
    git(service, "switch", "--quiet", "--detach")
    told = json.loads(scratch().stdout)
    assert (told["commit"], told["is_there"]) == (git(service, "rev-parse", "HEAD").strip(), False)
    assert git(service, "branch", "--list", BRANCH) == ""
    git(service, "branch", BRANCH)
    git(service, "switch", "--quiet", "--detach", "main")
    there = json.loads(scratch().stdout)
    assert (there["commit"], there["is_there"]) == (told["commit"], True)


def test_update_is_foreseen_done_checked_and_taken_back(service: Path, own_template: Path) -> None:
    """The dry run says what comes and touches nothing; the update is one commit on a branch; undo is exact."""
    newer(own_template)
    git(service, "worktree", "add", "--quiet", "--detach", "../away")
    (service / "../away").rename(service / "../on a disk that is not mounted")
    before = whole(service)
    code, told, _ = run(service, "update", "ARGS=--dry-run")
    assert code == 0
    assert told.splitlines() == [
        "from 1.0.0 to 1.1.0: 4 files change, 0 conflict",
        *(f"changes: {path}" for path in (".copier-answers.yml", ".env.example", "ops/alerts.py", "ops/health.py")),
        "setting added: LOG_COLOUR",
        "setting added: LOG_LEVELS",
        "setting removed: LOG_LEVEL",
        "1.1.0: Probes wait longer.",
        "1.1.0: BY HAND: Look at your alerts.",
        "nothing is changed; make update does it",
    ]
    assert whole(service) == before
    assert git(service, "worktree", "list").count("\n") == 2
    code, told, _ = run(service, "update", "ARGS=--dry-run --json")
    seen = json.loads(told)
    assert (code, seen["from"], seen["to"], seen["branch"]) == (0, "1.0.0", "1.1.0", "")
    assert (len(seen["changed"]), seen["losses"], seen["notes"][0]) == (4, [], "1.1.0: Probes wait longer.")
    code, told, wrong = run(service, "update")
    done = f"updated: the branch {BRANCH} is checked out and good; merge it, or {BACK}"
    assert (code, told.splitlines()[-1]) == (0, done), wrong
    assert (service / "var/gates").read_text() == "setup\ncheck\ntest\n"
    git(service, "switch", "--quiet", "main")
    assert json.loads(run(service, "update", "ARGS=--dry-run --json")[1])["branch"] == BRANCH
    git(service, "switch", "--quiet", BRANCH)
    assert git(service, "rev-list", "--count", f"main..{BRANCH}") == "1\n"
    assert "TIMEOUT_SECONDS = 4.0" in (service / "ops/health.py").read_text()
    assert run(service, "update", "ARGS=--undo")[0] == 0
    assert whole(service) == before


def test_gate_that_fails_is_a_failure_and_is_taken_back(service: Path, own_template: Path) -> None:
    """Exit code 1, the branch stays for whoever mends it; undo brings back each byte, and keeps new work in a stash."""
    (service / "fails-check").write_text("")
    commit_all(service, "a check that fails")
    newer(own_template)
    before = whole(service)
    code, _, wrong = run(service, "update")
    assert (code, f"make check failed on the branch {BRANCH}" in wrong) == (1, True)
    assert (service / "var/gates").read_text() == "setup\ncheck\n"
    (service / "mending.txt").write_text("work\n")
    assert run(service, "update", "ARGS=--undo")[0] == 0
    assert whole(service) == before
    assert git(service, "show", "stash@{0}^3:mending.txt") == "work\n"


def test_conflict_is_foreseen_and_left_to_settle(service: Path, own_template: Path) -> None:
    """The same line on both sides: told before, exit code 1, markers in the file; undo brings back each byte."""
    edit(service / "ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 9.0")
    commit_all(service, "wait longer")
    newer(own_template)
    before = whole(service)
    code, told, _ = run(service, "update", "ARGS=--dry-run")
    assert (code, "conflict: ops/health.py" in told.splitlines()) == (1, True)
    code, _, wrong = run(service, "update")
    assert (code, "conflict: ops/health.py" in wrong.splitlines()) == (1, True)
    assert "<<<<<<< before updating" in (service / "ops/health.py").read_text()
    assert not (service / "var/gates").exists()
    assert run(service, "update", "ARGS=--undo")[0] == 0
    assert whole(service) == before


def test_loss_is_refused_before_anything_is_changed(service: Path, own_template: Path) -> None:
    """A release drops a file that the team edited, and has a picture that the team drew in: each is named."""
    (own_template / "template/ops/picture.png").write_bytes(b"\0release")
    release(own_template, "1.0.1")
    assert run(service, "update")[0] == 0
    git(service, "switch", "--quiet", "main")
    git(service, "merge", "--quiet", "chassis-update-1.0.1")
    (service / "ops/picture.png").write_bytes(b"\0team")
    edit(service / "ops/alerts.py", '"""', '"""Ours: ')
    commit_all(service, "edits")
    newer(own_template)
    before = whole(service)
    code, told, wrong = run(service, "update")
    assert code == 1
    assert [line for line in told.splitlines() if line.startswith("LOST")] == [
        "LOST: ops/alerts.py would be deleted, with your edits",
        "LOST: ops/picture.png is no text, and would be the release's again",
    ]
    assert "not done: the update would lose work of yours" in wrong
    assert whole(service) == before
    assert run(service, "update", "ARGS=--anyway")[0] == 0
    assert (service / "var/gates").read_text().endswith("setup\ncheck\ntest\n"), "no gate is given these ARGS"


def test_killed_update_is_taken_back(service: Path, own_template: Path) -> None:
    """kill -9 while it checks: the team's branch has all it had, and undo brings back each byte."""
    (service / "service.mk").write_text("test: wait\n.PHONY: wait\nwait:\n\t@echo waiting; sleep 300\n")
    commit_all(service, "a test that waits")
    newer(own_template)
    before = whole(service)
    command = ["make", "update"]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, cwd=service, env=user_environment(), stdout=pipe, stderr=subprocess.DEVNULL, text=True,
        start_new_session=True,
    ) as program:  # fmt: skip
        for line in program.stdout:
            if line == "waiting\n":
                break
        os.killpg(program.pid, signal.SIGKILL)
    assert git(service, "show", "main:ops/health.py") == before["ops/health.py"].decode()
    assert run(service, "update", "ARGS=--undo")[0] == 0
    assert whole(service) == before


@pytest.mark.soak
def test_update_killed_at_any_moment_is_taken_back(service: Path, own_template: Path) -> None:
    """kill -9 of all of it at random moments: each byte of the team's is there, at once or after undo."""
    newer(own_template)
    before = whole(service)
    seed = int(os.environ.get("KILL_SEED", "0")) or random.SystemRandom().randrange(1, 2**32)
    moments, stages = random.Random(seed), set()  # noqa: S311 - moments, no secret
    for number in range(KILLS):
        told = f"round {number} of KILL_SEED={seed}"
        with subprocess.Popen(
            ["make", "update"], cwd=service, env=user_environment(), stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, start_new_session=True,
        ) as program:  # fmt: skip
            if number % 2:  # the other half is tried, which takes longer than all that follows
                while program.poll() is None and not (service / "var/update.json").exists():
                    time.sleep(0.01)
            try:
                program.wait(moments.uniform(0, 4))
            except subprocess.TimeoutExpired:
                os.killpg(program.pid, signal.SIGKILL)
        is_begun = (service / "var/update.json").is_file()
        stages.add(is_begun)
        assert git(service, "show", "main:ops/health.py") == before["ops/health.py"].decode(), told
        if is_begun:
            code, _, wrong = run(service, "update", "ARGS=--undo")
            if "index.lock" in wrong:  # git was killed, too; it says what to remove
                (service / ".git/index.lock").unlink()
                code, _, wrong = run(service, "update", "ARGS=--undo")
            assert code == 0, f"{told}: {wrong}"
        assert whole(service) == before, told
    assert stages == {False, True}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_update_that_is_ended_while_it_looks_ahead_leaves_no_worktree(
    service: Path, own_template: Path, number: int
) -> None:
    """Nothing else is changed either; the program ends a moment after make."""
    newer(own_template)
    before = whole(service)
    with subprocess.Popen(
        ["env", "--default-signal=INT,TERM,HUP", "make", "update"], cwd=service, env=user_environment(),
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as program:  # fmt: skip
        while not (service / ".git/worktrees").exists():
            assert program.poll() is None
            time.sleep(0.01)
        os.killpg(program.pid, number)
        assert "not done: interrupted\n" in program.communicate()[1]
    assert git(service, "worktree", "list").count("\n") == 1
    assert whole(service) == before


def test_what_is_not_committed_keeps_an_update_from_beginning(service: Path, own_template: Path) -> None:
    """One message, exit code 2, nothing changed; nor is there anything to take back."""
    newer(own_template)
    (service / "new.txt").write_text("")
    code, _, wrong = run(service, "update")
    assert (code, "not done: not everything is committed" in wrong) == (2, True)
    code, _, wrong = run(service, "update", "ARGS=--undo")
    assert (code, "not done: no update to take back: var/update.json" in wrong) == (2, True)


def test_repository_of_somebody_else_is_told_by_git_s_own_words(service: Path) -> None:
    """As root sees the folder of another user: what is there is not said to be missing."""
    wrong = run(service, "update", GIT_TEST_ASSUME_DIFFERENT_OWNER="1")[2]
    assert "not done: git does not hold this service (fatal: detected dubious ownership in repository" in wrong


def test_what_stands_in_place_of_a_file_of_ours_is_refused(service: Path, own_template: Path) -> None:
    """Copier writes through a link and stops at a folder: drift tells it, nothing is changed; ejected, it may stand."""
    newer(own_template)
    (service / "health.py").write_bytes((service / "ops/health.py").read_bytes())
    (service / "ops/health.py").unlink()
    (service / "ops/health.py").symlink_to("../health.py")
    commit_all(service, "a link")
    before = whole(service)
    assert run(service, "drift", "ARGS=--names")[1].startswith("edited: ops/health.py\n")
    code, _, wrong = run(service, "update")
    assert (code, "not done: ops/health.py is a link here; expected what is ours in its place" in wrong) == (2, True), (
        wrong
    )
    assert whole(service) == before
    assert run(service, "eject", "FILE=ops/health.py", "REASON=shared with another program")[0] == 0
    commit_all(service, "eject it")
    (service / "mypy.ini").unlink()
    (service / "mypy.ini").mkdir()
    (service / "mypy.ini/own.ini").write_text("")
    commit_all(service, "a folder")
    code, _, wrong = run(service, "update")
    assert (code, "not done: mypy.ini is a folder here; expected what is ours in its place" in wrong) == (2, True), (
        wrong
    )
    git(service, "revert", "--no-edit", "HEAD")
    assert run(service, "update")[0] == 0
    assert (service / "ops/health.py").is_symlink()
    assert (service / "health.py").read_bytes() == before["health.py"]


@pytest.mark.parametrize("path", [".env.example", "ops/brandnew.py", "ops"])
def test_link_is_refused_wherever_something_of_ours_would_be_written(
    service: Path, own_template: Path, path: str
) -> None:
    """A shared file, a file that only the newer release has, a folder: by make update and by make feature."""
    newer(own_template)
    (own_template / "template/ops/brandnew.py").write_text("new = True\n")
    release(own_template, "1.2.0")
    if (service / path).exists():
        (service / path).rename(service / "elsewhere")
    (service / path).symlink_to("../elsewhere" if "/" in path else "elsewhere")
    commit_all(service, "a link")
    before = whole(service)
    for target, arguments in (("update", ()), ("feature", ("REMOVE=rate_limit",))):
        _, _, wrong = run(service, target, *arguments)
        assert f"not done: {path} is a link here; expected what is ours in its place" in wrong
    assert whole(service) == before


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("ci", "not done: no answer: 'ci'; expected NAME=VALUE, with one of: "),
        ("colour=red", "not done: no answer: 'colour=red'; expected NAME=VALUE, with one of: "),
        ("features=[]", "not done: features is changed by make feature ADD=… or REMOVE=…"),
        ("ejected={}", "not done: ejected is changed by make eject FILE=… REASON=…"),
        ("dependency_cutoff=1", "not done: dependency_cutoff is changed by exclude-newer in pyproject.toml"),
        ("license=GPL", "['proprietary', 'MIT', 'Apache-2.0']\n"),
    ],
)
def test_answer_that_is_none_changes_nothing(service: Path, data: str, expected: str) -> None:
    """Exit code 2, one line, and the service is as it was."""
    before = whole(service)
    code, _, wrong = run(service, "update", f"ARGS=--data {data}")
    assert (code, expected in wrong) == (2, True), wrong
    assert whole(service) == before


def test_answer_is_changed_without_a_newer_release(service: Path) -> None:
    """It is foreseen, done in one commit that says so, and taken back like any update."""
    before = whole(service)
    assert "changes: .copier-answers.yml" in run(service, "update", "ARGS=--dry-run --data owner=Depot")[1]
    assert run(service, "update", "ARGS=--data owner=Depot")[0] == 0
    assert "\nowner: Depot\n" in (service / ".copier-answers.yml").read_text()
    assert git(service, "log", "-1", "--format=%s") == "build: update the chassis to 1.0.0 owner=Depot\n"
    assert run(service, "update", "ARGS=--undo")[0] == 0
    assert whole(service) == before


def test_markers_that_were_committed_are_settled_first(service: Path, own_template: Path) -> None:
    """Another update would nest its markers in them: exit code 2, with the file's name."""
    edit(service / "ops/health.py", '"""', '"""\n<<<<<<< before updating\n')
    commit_all(service, "not settled")
    newer(own_template)
    code, _, wrong = run(service, "update")
    assert (code, "markers of an earlier update stand in ops/health.py" in wrong) == (2, True)


def test_file_that_git_is_told_to_hide_keeps_an_update_from_beginning(service: Path, own_template: Path) -> None:
    """A release brings a file where an uncommitted one lies, which the team's git does not show: nothing is changed."""
    newer(own_template)
    (own_template / "template/ops/own.py").write_text("released = True\n")
    release(own_template, "1.2.0")
    git(service, "config", "status.showUntrackedFiles", "no")
    (service / "ops/own.py").write_text("own = True\n")
    code, _, wrong = run(service, "update")
    assert (code, "not done: not everything is committed (git status): ops/own.py; commit or" in wrong) == (2, True)
    assert (service / "ops/own.py").read_text() == "own = True\n"


@pytest.mark.parametrize("is_there", [True, False])
def test_file_of_ours_that_git_ignores_is_refused(service: Path, own_template: Path, *, is_there: bool) -> None:
    """It would be overwritten, and no commit would have the release's: by make update and by the proposal."""
    with (service / ".gitignore").open("a") as file:
        file.write("ops/brandnew.py\n")
    commit_all(service, "ignore it")
    if is_there:
        (service / "ops/brandnew.py").write_text("own = True\n")
    newer(own_template)
    (own_template / "template/ops/brandnew.py").write_text("new = True\n")
    release(own_template, "1.2.0")
    before = whole(service)
    for target in ("update", "update-proposal"):
        code, _, wrong = run(service, target)
        assert (code, "not done: git ignores ops/brandnew.py, which the template has" in wrong) == (2, True), wrong
        assert (service / "ops/brandnew.py").exists() == is_there
        assert whole(service) == before
    if is_there:
        assert (service / "ops/brandnew.py").read_text() == "own = True\n"


def test_file_of_a_feature_that_git_ignores_is_refused(service: Path) -> None:
    """What lay in its place is as it was, and the way back from the rest is told."""
    (service / "var").mkdir()  # where the quick gates are written down
    code, _, wrong = run(service, "feature", "REMOVE=rate_limit")
    assert code == 0, wrong
    with (service / ".gitignore").open("a") as file:
        file.write("rate_limit.mk\n")
    commit_all(service, "without")
    (service / "ops/make/rate_limit.mk").write_text("# own\n")
    code, _, wrong = run(service, "feature", "ADD=rate_limit")
    assert (code, "not done: git ignores ops/make/rate_limit.mk" in wrong) == (2, True), wrong
    assert (service / "ops/make/rate_limit.mk").read_text() == "# own\n"
    assert git(service, "status", "--porcelain") == ""


def test_file_of_ours_that_is_ignored_and_not_committed_keeps_an_update_from_beginning(
    service: Path, own_template: Path
) -> None:
    """A release that drops it would take the team's only copy away; one that is nowhere keeps nobody."""
    for name in ("alerts.py", "health.py"):
        git(service, "rm", "--quiet", "--cached", f"ops/{name}")
    (service / "ops/health.py").unlink()
    with (service / ".gitignore").open("a") as file:
        file.write("ops/alerts.py\nops/health.py\n*.swp\n")
    commit_all(service, "ignore them")
    (service / "ops/alerts.py").write_text("own = True\n")
    (service / "ops/editor.swp").write_text("own\n")
    newer(own_template)
    for target, arguments in (("update", ()), ("feature", ("REMOVE=rate_limit",))):
        code, _, wrong = run(service, target, *arguments)
        assert (code, "not done: git ignores ops/alerts.py, which the template has" in wrong) == (2, True), wrong
    assert (service / "ops/alerts.py").read_text() == "own = True\n"
    (service / "ops/alerts.py").unlink()
    assert run(service, "update")[0] == 0
    assert (service / "ops/editor.swp").read_text() == "own\n"


@pytest.mark.parametrize("told", ["--skip-worktree", "--assume-unchanged"])
def test_file_that_git_is_told_not_to_look_at_keeps_an_update_from_beginning(
    service: Path, own_template: Path, told: str
) -> None:
    """An edit there is in no commit: to go on a branch and back would take it away."""
    newer(own_template)
    git(service, "update-index", told, "mypy.ini")
    edit(service / "mypy.ini", "strict", "# only here\nstrict")
    code, _, wrong = run(service, "update")
    way = f"git update-index --no-{told.removeprefix('--')} mypy.ini"
    assert (code, f"not done: git is told not to look at mypy.ini; {way}, then try again" in wrong) == (2, True)
    subprocess.run(way.split(), cwd=service, check=True)
    assert "not everything is committed (git status): mypy.ini" in run(service, "update")[2]
    assert "# only here" in (service / "mypy.ini").read_text()


def test_git_of_the_team_changes_nothing_of_an_update(service: Path, own_template: Path) -> None:
    """Hooks that fail, a tag called as the branch, settings that hide files or refuse spaces: conflict, and back."""
    edit(service / "ops/health.py", "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 9.0  ")
    commit_all(service, "wait longer")
    newer(own_template)
    git(service, "tag", "main")
    before = whole(service)
    git(service, "config", "status.showUntrackedFiles", "no")
    git(service, "config", "apply.whitespace", "error")
    (service / ".git/fail").mkdir()
    for name in ("post-checkout", "prepare-commit-msg", "pre-commit"):
        (service / ".git/fail" / name).write_text("#!/bin/sh\nexit 1\n")
        (service / ".git/fail" / name).chmod(0o755)
    git(service, "config", "core.hooksPath", str(service / ".git/fail"))
    code, told, wrong = run(service, "update", "ARGS=--dry-run")
    assert (code, "conflict: ops/health.py" in told.splitlines(), "LOST" in told) == (1, True, False), wrong
    assert run(service, "update")[0] == 1
    code, told, wrong = run(service, "update", "ARGS=--undo")
    assert (code, told.splitlines()[-1]) == (0, "as before: main; make setup installs what it asks for"), wrong
    assert whole(service) == before


def test_undo_says_where_it_cannot_take_back(service: Path, own_template: Path) -> None:
    """Exit code 2 once the update was merged; commits that came to the team's branch meanwhile stay, and are told."""
    newer(own_template)
    assert run(service, "update")[0] == 0
    git(service, "switch", "--quiet", "main")
    (service / "note.txt").write_text("meanwhile\n")
    commit_all(service, "meanwhile")
    code, told, _ = run(service, "update", "ARGS=--undo")
    assert (code, "with what was committed there since: main" in told) == (0, True)
    assert run(service, "update")[0] == 0
    git(service, "switch", "--quiet", "main")
    git(service, "merge", "--quiet", BRANCH)
    code, _, wrong = run(service, "update", "ARGS=--undo")
    assert (code, "not done: main has the update by now" in wrong) == (2, True)
    assert git(service, "branch", "--list", BRANCH)


def test_undo_sees_a_merge_however_it_was_made(service: Path, own_template: Path) -> None:
    """As one commit of its own, or while the update's branch is checked out; a branch renamed since is asked for."""
    newer(own_template)
    assert run(service, "update")[0] == 0
    start = git(service, "rev-parse", "main").strip()
    git(service, "branch", "--move", "main", "trunk")
    code, _, wrong = run(service, "update", "ARGS=--undo")
    way = f"the branch main is gone; expected it, for the update began there: git branch main {start[:12]}, then"
    assert (code, way in wrong) == (2, True), wrong
    git(service, "branch", "--move", "trunk", "main")
    git(service, "branch", "--force", "main", BRANCH)
    assert "not done: main has the update by now" in run(service, "update", "ARGS=--undo")[2]
    git(service, "branch", "--force", "main", start)
    git(service, "switch", "--quiet", "main")
    git(service, "merge", "--quiet", "--squash", BRANCH)
    commit_all(service, "squashed")
    edit(service / ".copier-answers.yml", "ejected: {}", "ejected: {ops/asking.py: ours}")
    commit_all(service, "and on")
    code, _, wrong = run(service, "update", "ARGS=--undo")
    assert (code, "not done: main has the update by now" in wrong) == (2, True)
    assert git(service, "branch", "--list", BRANCH)
    git(service, "branch", "--force", BRANCH, start)  # an update that conflicts has committed nothing
    assert run(service, "update", "ARGS=--undo")[0] == 0, "what was never committed is not merged"
    assert run(service, "update", "ARGS=--dry")[0] == 2, "no option is guessed"
    assert "--undo goes alone" in run(service, "update", "ARGS=--undo --data owner=x")[2]


def test_ejected_file_that_the_release_has_otherwise_is_told(service: Path, own_template: Path) -> None:
    """It stays, and what calls it may have changed: before an update, to programs, and in the proposal."""
    for path in ("ops/health.py", "ops/records.py"):
        assert run(service, "eject", f"FILE={path}", "REASON=ours")[0] == 0
        commit_all(service, "eject")
    newer(own_template)
    code, told, wrong = run(service, "update", "ARGS=--dry-run")
    assert code == 0, wrong
    assert [line for line in told.splitlines() if "ejected" in line] == [
        "ejected, and other in this release: ops/health.py"
    ]
    assert told.endswith("nothing is changed; make update does it\n")
    assert json.loads(run(service, "update", "ARGS=--dry-run --json")[1])["ejected"] == ["ops/health.py"]
    assert run(service, "update-proposal")[0] == 0
    assert "stay as they are.\n\n- `ops/health.py`\n" in (service / "var/update-proposal.md").read_text()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_feature_that_is_ended_half_way_says_the_way_back(service: Path, number: int) -> None:
    """While make installs what the new files ask for: exit code not 0, and the commands told bring back each byte."""
    with (service / "service.mk").open("a") as file:
        file.write("setup: wait\n.PHONY: wait\nwait:\n\t@echo waiting >&2; sleep 300\n")
    commit_all(service, "a setup that waits")
    before = whole(service)
    with subprocess.Popen(
        ["env", "--default-signal=INT,TERM,HUP", "make", "feature", "REMOVE=rate_limit"], cwd=service,
        env=user_environment(), stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as program:  # fmt: skip
        said = ""
        for line in program.stderr or ():
            said += line
            if line == "waiting\n":
                os.killpg(program.pid, number)
        program.wait(60)
    assert "your files are changed; back to what was committed: git -C " in said, said
    assert program.returncode != 0
    assert whole(service) != before
    way = said.partition("back to what was committed: ")[2].splitlines()[0]
    subprocess.run(["sh", "-c", way], cwd=service, check=True)
    assert whole(service) == before


def test_part_of_a_repository_is_taken_back_alone(own_template: Path, tmp_path: Path) -> None:
    """What somebody is at work on in another folder of it stays as it is, staged or not; odd names are no matter."""
    whole_one = tmp_path / "repository"
    service = copy_service(own_template, whole_one / " dépôt 'a'/parcels")
    for name in ("edited.txt", "staged.txt"):
        (whole_one / name).write_text("before\n")
    commit_all(whole_one, "render")
    newer(own_template)
    for name in ("edited.txt", "staged.txt", "new.txt"):
        (whole_one / name).write_text("at work\n")
    git(whole_one, "add", "staged.txt")
    at_work = git(whole_one, "status", "--porcelain")
    code, _, wrong = run(service, "update")
    assert code == 0, wrong
    (service / "mending.txt").write_text("work\n")
    assert run(service, "update", "ARGS=--undo")[0] == 0
    assert git(whole_one, "status", "--porcelain") == at_work
    assert "mending.txt" in git(whole_one, "show", "--name-only", "--format=", "stash@{0}^3")
