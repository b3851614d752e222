"""GitLab's pipeline of a rendered service, read and run by an executor of such files: gitlab-ci-local, from npm."""

import re
import shutil
import subprocess
from pathlib import Path

import pipelines
import pytest
from conftest import Render, commit_all, git
from tools import require, user_environment

PACKAGES = ("gitlab-ci-local@4.75.1", "node@22")
# Occasion -> what GitLab says of a pipeline then.
OCCASIONS = {
    "change": {"CI_PIPELINE_SOURCE": "merge_request_event"},
    "nightly": {"CI_PIPELINE_SOURCE": "schedule", "CHASSIS_SCHEDULE": "nightly"},
    "weekly": {"CI_PIPELINE_SOURCE": "schedule", "CHASSIS_SCHEDULE": "weekly"},
    "release": {"CI_PIPELINE_SOURCE": "push", "CI_COMMIT_TAG": "v1.0.0"},
}


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the executor and the Node it needs."""
    folder = tmp_path_factory.mktemp("gitlab")
    command = [require("npm"), "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(folder), *PACKAGES]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)
    return folder / "node_modules"


@pytest.fixture
def service(render: Render, tmp_path: Path) -> Path:
    """Return a committed service of the test's own, with an address as a clone has one; nothing is installed."""
    folder = tmp_path / "service"
    shutil.copytree(render(ci="both"), folder, ignore=shutil.ignore_patterns(".git"))
    commit_all(folder, "render")
    git(folder, "remote", "add", "origin", "https://gitlab.example.org/acme/orders.git")
    return folder


def pipeline(programs: Path, service: Path, occasion: str, *options: str) -> str:
    """Run the executor as GitLab would begin a pipeline, and return what it prints."""
    told = OCCASIONS[occasion]
    given = [part for name, value in told.items() for part in ("--variable", f"{name}={value}")]
    path = f"{programs / 'node/bin'}:{user_environment()['PATH']}"
    command = [str(programs / ".bin/gitlab-ci-local"), "--ignore-predefined-vars", ",".join(told), *given, *options]
    done = subprocess.run(
        command, cwd=service, env=user_environment(PATH=path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    return done.stdout


@pytest.mark.soak
def test_soak_gitlab_takes_each_job_on_its_occasion_and_runs_it(programs: Path, service: Path) -> None:
    """The rules mean what pipelines.py reads in them; the jobs of a change and of a release run, each from its clone.

    But for `make test`, which takes minutes and is run by test_suite.py.
    """
    require("rsync"), require("uv")
    jobs = list(pipelines.gitlab_jobs(service))
    for occasion in OCCASIONS:
        listed = {line.partition(";")[0] for line in pipeline(programs, service, occasion, "--list-csv").splitlines()}
        assert {job.name for job in jobs if occasion in job.occasions} == listed & {job.name for job in jobs}
    for occasion in ("change", "release"):
        names = [job.name for job in jobs if occasion in job.occasions and "make test" not in job.lines]
        options = ("--force-shell-executor", "--shell-isolation", "--concurrency", "1")
        shown = pipeline(programs, service, occasion, *options, *names)
        assert set(re.findall(r"^ PASS +(\S+)", shown, re.MULTILINE)) == set(names), shown[-4000:]
    assert (service / ".gitlab-ci-local/artifacts/sbom/var/sbom.cdx.json").is_file()
