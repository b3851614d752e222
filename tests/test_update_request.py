"""The template's newest release is proposed: a branch and a page, with a conflict and without; in CI a request."""

import base64
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pipelines
import pytest
from conftest import Render, git, make, release
from tools import require, user_environment
from updating import lessen

OURS = "ops/health.py"
TOKEN = "made-up-token-4711"  # noqa: S105
BRANCH = "chassis-update-1.1.0"
GH = """#!/bin/sh
printf '%s\\n' "$GH_TOKEN" "$GH_REPO" "$@" >"{log}"
exit {status}
"""


pytestmark = pytest.mark.usefixtures("update_tools")


@pytest.fixture
def own_template(own_template: Path) -> Path:
    """Return a template of the test's own with little else than the programs, so that an update takes seconds."""
    lessen(own_template)
    return own_template


def edit(path: Path, old: str, new: str) -> None:
    """Replace what stands in a file."""
    text = path.read_text(encoding="utf-8")
    assert old in text, path
    path.write_text(text.replace(old, new), encoding="utf-8")


def commit(folder: Path, message: str) -> None:
    """Commit all."""
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", message)


def newer(template: Path, *, dependency: str = "") -> None:
    """Release 1.1.0 of the template: a line of a program, a workflow, perhaps a library."""
    edit(template / "template" / OURS, "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 4.0")
    edit(template / "template/.github/workflows/chassis-ci.yml", "timeout-minutes: 15", "timeout-minutes: 20")
    if dependency:
        edit(template / "template/pyproject.toml.jinja", '    "fastapi>=', f'    "{dependency}",\n    "fastapi>=')
    release(template, "1.1.0")


def team_edits(service: Path) -> None:
    """Change the line of ours that the release changes, too."""
    edit(service / OURS, "PROBE_TIMEOUT_SECONDS = 3.0", "PROBE_TIMEOUT_SECONDS = 9.0")
    commit(service, "wait longer")


def propose(service: Path, target: str = "update-proposal", **environment: str) -> tuple[int, str]:
    """Run the target; return its program's exit code and all it said."""
    done = make(service, target, **environment)
    ended = re.search(r"Error (\d)", done.stderr)
    assert ended or done.returncode == 0, done.stderr
    return (int(ended[1]) if ended else 0), done.stdout + done.stderr


def state(service: Path) -> tuple[str, str, str]:
    """Return what is checked out, and what differs from it."""
    return git(service, "branch", "--show-current"), git(service, "rev-parse", "HEAD"), git(service, "status", "-s")


def test_newest_release_is_proposed_on_a_branch(service: Path, own_template: Path) -> None:
    """One commit with the update; what is checked out stays, and a second run has nothing to do."""
    assert propose(service) == (0, "this service has the newest release of its template\n")
    newer(own_template)
    before = state(service)
    code, told = propose(service)
    assert (code, state(service)) == (0, before), told
    assert f"proposed: the branch {BRANCH}" in told
    assert git(service, "rev-list", "--count", f"HEAD..{BRANCH}") == "1\n"
    changed = git(service, "diff", "--name-only", "HEAD", BRANCH).splitlines()
    assert changed == [".copier-answers.yml", ".github/workflows/chassis-ci.yml", OURS]
    assert "PROBE_TIMEOUT_SECONDS = 4.0" in git(service, "show", f"{BRANCH}:{OURS}")
    page = (service / "var/update-proposal.md").read_text(encoding="utf-8")
    assert "The template has release 1.1.0; this service has 1.0.0." in page
    assert f"- `{OURS}`\n" in page
    assert "Conflicts" not in page
    assert git(service, "log", "-1", "--format=%s", BRANCH) == "build: update the chassis to 1.1.0\n"
    assert git(service, "log", "-1", "--format=%b", BRANCH).strip().endswith(page.strip()[-60:])
    assert propose(service) == (0, f"proposed already: the branch {BRANCH}\n")


def test_release_that_conflicts_is_proposed_with_its_conflicts(service: Path, own_template: Path) -> None:
    """Exit code 1; the page names the file first, the branch holds its markers, the team's own tree is as it was."""
    team_edits(service)
    newer(own_template)
    before = state(service)
    code, told = propose(service)
    assert (code, state(service)) == (1, before), told
    assert f"conflict: {OURS}\n" in told
    page = (service / "var/update-proposal.md").read_text(encoding="utf-8")
    assert page.partition("## Conflicts")[2].partition("## Files")[0].count("\n- `") == 1
    assert f"- `{OURS}`\n" in page.partition("## Files")[0]
    assert "<<<<<<< before updating" in git(service, "show", f"{BRANCH}:{OURS}")
    assert "timeout-minutes: 20" in git(service, "show", f"{BRANCH}:.github/workflows/chassis-ci.yml")


def test_work_that_a_release_takes_away_is_told(service: Path, own_template: Path) -> None:
    """Exit code 1; the page has the loss before the files. In a part of a repository the branch has its name."""
    edit(service / "ops/alerts.py", '"""', '"""Ours: ')
    commit(service, "edit")
    (own_template / "template/ops/alerts.py").unlink()
    newer(own_template)
    code, told = propose(service)
    loss = "ops/alerts.py would be deleted, with your edits"
    assert (code, f"LOST: {loss}\n" in told) == (1, True), told
    page = (service / "var/update-proposal.md").read_text(encoding="utf-8")
    assert "## Losses\n\nAs it is, the branch takes away work of yours; " in page
    assert f"- {loss}\n" in page.partition("## Losses")[2].partition("## Files")[0]
    whole = service.with_name("whole")
    shutil.copytree(service, whole / "parts" / "my orders", ignore=shutil.ignore_patterns(".git", "var"))
    git(whole, "init", "--quiet", "--initial-branch=main")
    commit(whole, "parts")
    assert propose(whole / "parts" / "my orders")[0] == 1
    assert git(whole, "branch", "--list", "chassis-*").strip() == f"{BRANCH}-parts-my-orders"


def test_lock_comes_along_or_is_missed_by_name(service: Path, own_template: Path) -> None:
    """A lock that git holds fits after the update; one that cannot is told, with exit code 1."""
    subprocess.run([require("uv"), "lock", "--quiet"], cwd=service, env=user_environment(), check=True)
    commit(service, "lock")
    newer(own_template, dependency="iniconfig>=2")
    code, told = propose(service)
    assert code == 0, told
    assert 'name = "iniconfig", specifier = ">=2"' in git(service, "show", f"{BRANCH}:uv.lock")
    git(service, "branch", "--quiet", "--delete", "--force", BRANCH)
    edit(own_template / "template/pyproject.toml.jinja", "iniconfig>=2", "iniconfig>=999")
    release(own_template, "1.2.0")
    before = state(service)
    code, told = propose(service)
    assert (code, state(service)) == (1, before), told
    assert "uv.lock: " in told
    page = (service / "var/update-proposal.md").read_text(encoding="utf-8")
    assert "\n## The lock\n" in page


def test_service_that_cannot_be_updated_stays_as_it_is(service: Path, own_template: Path) -> None:
    """Not committed, a release that fails half way, a template that is gone: exit code 2, no branch, all as before."""
    newer(own_template)
    (service / "README.md").write_text("mine\n")
    code, told = propose(service)
    assert code == 2
    assert "not everything is committed" in told
    assert (service / "README.md").read_text() == "mine\n"
    commit(service, "mine")
    before = state(service)
    edit(own_template / "copier.yml", '_min_copier_version: "9.19.0"', '_min_copier_version: "99.0.0"')
    release(own_template, "1.2.0")
    code, told = propose(service)
    assert (code, state(service)) == (2, before), told
    assert "updating from 1.0.0 to 1.2.0\n" in told
    assert git(service, "branch", "--list", "chassis-update-*") == ""
    (service / ".git/index.lock").touch()
    code, told = propose(service)
    assert (code, "not done: fatal: Unable to create" in told) == (2, True), told
    (service / ".git/index.lock").unlink()
    own_template.rename(own_template.with_name("moved"))
    code, told = propose(service)
    assert (code, state(service)) == (2, before), told
    assert "expected at _src_path" in told
    assert git(service, "branch", "--list", "chassis-update-*") == ""


@pytest.fixture
def origin(service: Path, tmp_path: Path) -> Path:
    """Return where the service was cloned from, which writes down the options of a push."""
    bare = tmp_path / "origin.git"
    git(tmp_path, "clone", "--quiet", "--bare", str(service), str(bare))
    git(bare, "config", "receive.advertisePushOptions", "true")
    hook = bare / "hooks/pre-receive"
    hook.write_text('#!/bin/sh\nenv | grep ^GIT_PUSH_OPTION_[0-9] | sort >"$GIT_DIR/options"\nexit 0\n')
    hook.chmod(0o755)
    git(service, "remote", "add", "origin", str(bare))
    return bare


def requested(service: Path, render: Render, system: str, path: str, **environment: str) -> list[tuple[str, int, str]]:
    """Run the weekly job of a system as its runner does, on a commit and no branch as runners check out."""
    jobs = {"github": pipelines.github_jobs, "gitlab": pipelines.gitlab_jobs}[system](render(ci="both"))
    (job,) = [job for job in jobs if "weekly" in job.occasions]
    git(service, "checkout", "--quiet", "--detach")
    known = {"secrets.CHASSIS_UPDATE_TOKEN || github.token": TOKEN}
    return pipelines.run(job, service, known, PATH=path, **environment)


def gh(folder: Path, status: int) -> str:
    """Put a stand-in for gh first on PATH, which writes down what it was asked."""
    (folder / "bin").mkdir(exist_ok=True)
    program = folder / "bin/gh"
    program.write_text(GH.format(log=folder / "asked", status=status))
    program.chmod(0o755)
    return f"{folder / 'bin'}:{user_environment()['PATH']}"


def test_github_gets_a_pull_request(
    service: Path, own_template: Path, origin: Path, render: Render, tmp_path: Path
) -> None:
    """The branch is pushed and gh asked with the page; a failure takes the branch back, so that the next run tries."""
    newer(own_template)
    git(origin, "branch", f"mine/{BRANCH}", "main")  # somebody else's, and no proposal
    environment = {"GITHUB_REF_NAME": "main", "GITHUB_REPOSITORY": "acme/orders"}
    ((_, status, told),) = requested(service, render, "github", gh(tmp_path, 1), **environment)
    assert (status, "Error 2" in told) == (2, True), told
    assert git(origin, "branch", "--list", BRANCH) == ""
    ((_, status, told),) = requested(service, render, "github", gh(tmp_path, 0), **environment)
    assert status == 0, told
    assert git(origin, "log", "-1", "--format=%s", BRANCH) == "build: update the chassis to 1.1.0\n"
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:2] == [TOKEN, "acme/orders"]
    assert asked[2:8] == ["pr", "create", "--base", "main", "--head", BRANCH]
    assert asked[-2:] == ["--body-file", "var/update-proposal.md"]
    assert TOKEN not in told
    (tmp_path / "asked").unlink()
    ((_, status, told),) = requested(service, render, "github", gh(tmp_path, 0), **environment)
    assert (status, told) == (0, f"proposed already: the branch {BRANCH}\n")
    assert not (tmp_path / "asked").exists()


def test_gitlab_gets_a_merge_request_that_names_its_conflicts(
    service: Path, own_template: Path, origin: Path, render: Render
) -> None:
    """The push itself opens it; the job fails, for somebody has to settle the conflict."""
    team_edits(service)
    git(service, "push", "--quiet", "origin", "main")
    newer(own_template)
    given = {"CI_DEFAULT_BRANCH": "main", "CI_JOB_TOKEN": TOKEN}
    ((_, status, told),) = requested(service, render, "gitlab", user_environment()["PATH"], **given)
    assert (status, "Error 1" in told) == (2, True), told
    assert OURS in git(origin, "diff", "--name-only", "main", BRANCH)
    options = re.findall(r"^GIT_PUSH_OPTION_\d+=(.*)$", (origin / "options").read_text(), re.MULTILINE)
    assert options[:3] == [
        "merge_request.create",
        "merge_request.target=main",
        "merge_request.title=build: update the chassis to 1.1.0, 1 in conflict",
    ]
    assert options[4:] == ["merge_request.label=chassis-conflict"]
    assert f"conflicts: {OURS}" in options[3]
    assert f"- `{OURS}`" in told
    assert TOKEN not in told


class Refusing(BaseHTTPRequestHandler):
    """A stand-in for a server of repositories that lets nobody in, and writes down who asked."""

    def do_GET(self) -> None:
        """Refuse."""
        self.server.asked.append((self.path, self.headers["Authorization"]))
        self.send_response(403)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def refusing() -> Iterator[ThreadingHTTPServer]:
    """Return such a server, running."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        server.asked = []
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


# What a runner gives -> as whom the token is sent.
GIVEN = (
    ({"GITHUB_ACTIONS": "true", "GH_TOKEN": TOKEN}, "x-access-token"),
    ({"GITLAB_CI": "true", "CI_JOB_TOKEN": TOKEN}, "gitlab-ci-token"),
    ({"GITLAB_CI": "true", "CI_JOB_TOKEN": "another", "CHASSIS_UPDATE_TOKEN": TOKEN}, "oauth2"),
)


def test_token_is_sent_and_never_told(service: Path, refusing: ThreadingHTTPServer) -> None:
    """As the header of the server it is for, in place of what the address holds; a refusal is exit code 2."""
    address = f"127.0.0.1:{refusing.server_port}/acme/orders.git"
    git(service, "remote", "add", "origin", f"http://somebody:else@{address}")
    for given, user in GIVEN:
        code, told = propose(service, "update-request", **given)
        assert code == 2, told
        assert "expected a token that may push" in told
        path, sent = refusing.asked.pop()
        assert path.startswith("/acme/orders.git/info/refs")
        assert base64.b64decode(sent.removeprefix("Basic ")).decode() == f"{user}:{TOKEN}"
        assert TOKEN not in told
        assert sent.removeprefix("Basic ") not in told
        assert refusing.asked == []


def test_request_outside_of_ci_is_refused(service: Path) -> None:
    """Exit code 2, and the target that works everywhere is named."""
    code, told = propose(service, "update-request", GITHUB_ACTIONS="", GITLAB_CI="")
    assert code == 2
    assert "make update-proposal" in told
    assert git(service, "branch", "--list", "chassis-update-*") == ""
