"""The CI of a rendered service: both systems ask the same, every command runs, no more is allowed than needed."""

import json
import re
import shutil
import tomllib
from collections import Counter
from pathlib import Path

import pytest
from conftest import ROOT, Render, commit_all, git, make, share
from pipelines import WORKFLOWS, Job, content, github_jobs, gitlab_jobs, resolved, run, workflows
from tools import require

BOTH = {"ci": "both"}
OCCASIONS = {"change", "nightly", "weekly", "release"}
# Too long to be run twice: the test that runs each of them in a rendered service.
ELSEWHERE = {
    "make test": ("test_suite.py", 'for target in ("check", "test"):'),
    "make thorough": ("test_thorough.py", '"thorough", f"ARGS='),
    "make update-request": ("test_update_request.py", "pipelines.run("),
}


def jobs(service: Path) -> list[Job]:
    """Return the jobs of both systems."""
    return [*github_jobs(service), *gitlab_jobs(service)]


@pytest.fixture
def service(installed: Path, render: Render, tmp_path: Path) -> Path:
    """Return a committed service of the test's own, its lock among it."""
    require("make"), require("git"), require("uv")
    folder = share(installed, tmp_path / "my service", render(**BOTH))
    shutil.copy2(installed / "uv.lock", folder)
    commit_all(folder, "render")
    return folder


def release(service: Path) -> None:
    """Record the contract, tag, and change something after it."""
    assert make(service, "contract").returncode == 0
    commit_all(service, "contract")
    git(service, "tag", "v0.1.0")
    (service / "README.md").write_text("# Ours\n")
    commit_all(service, "change")


def test_both_systems_run_the_same_targets_on_the_same_occasions(render: Render) -> None:
    """Each command is one make target, so that CI and a developer's machine agree, whichever system runs it."""
    asked = jobs(render(**BOTH))
    told = {
        system: Counter((occasion, job.lines) for job in asked if job.system == system for occasion in job.occasions)
        for system in ("github", "gitlab")
    }
    assert told["github"] == told["gitlab"]
    assert {occasion for occasion, _ in told["github"]} == OCCASIONS
    assert all(re.fullmatch(r"make [a-z-]+", line) for job in asked for line in job.lines)


def test_every_command_of_ci_runs_in_a_committed_service(service: Path, tmp_path: Path) -> None:
    """Each distinct job runs as a runner runs it, in a fresh copy, or the test that does it is named."""
    distinct = {job.lines: job for job in jobs(service)}
    commands = {line for lines in distinct for line in lines}
    assert set(ELSEWHERE) < commands
    for name, called in ELSEWHERE.values():
        assert called in (ROOT / "tests" / name).read_text(encoding="utf-8")
    release(service)
    ran: set[str] = set()
    for number, job in enumerate(distinct.values()):
        if ELSEWHERE.keys().isdisjoint(job.lines):
            folder = tmp_path / str(number)
            git(tmp_path, "clone", "--quiet", str(service), str(folder))
            shutil.copytree(service / ".venv", folder / ".venv", symlinks=True)
            (folder / ".venv/.ready").touch()
            for line, status, output in run(job, folder, {}):
                assert status == 0, f"{job.file}, {job.name}: {line}\n{output[-4000:]}"
                ran.add(line)
            assert git(folder, "status", "--porcelain") == "", job.name
    assert ran | set(ELSEWHERE) == commands


def test_every_expression_stands_where_no_shell_reads_it(render: Render) -> None:
    """What GitHub puts in reaches a command as a variable only; the runner here refuses what it does not know."""
    asked = list(github_jobs(render(**BOTH)))
    assert all("${{" not in line for job in asked for line in job.lines)
    given = {value for job in asked for value in job.environment.values()}
    assert given == {"${{ secrets.CHASSIS_UPDATE_TOKEN || github.token }}"}
    with pytest.raises(KeyError):
        resolved("${{ github.head_ref }}", {})


def test_jobs_may_do_no_more_than_they_need(render: Render) -> None:
    """Nothing by default, reading for all, writing for the one that proposes updates; no credential is left behind."""
    service = render(**BOTH)
    writing = []
    for name in workflows(service):
        workflow = content(service, name)
        assert workflow["permissions"] == {}, name
        for job, told in workflow["jobs"].items():
            assert told["permissions"]["contents"] in ("read", "write")
            assert set(told["permissions"]) <= {"contents", "pull-requests"}
            if "write" in told["permissions"].values():
                writing.append((Path(name).name, job))
            assert int(told["timeout-minutes"]) <= 60
            for step in told["steps"]:
                if "checkout" in step.get("uses", ""):
                    assert step["with"]["persist-credentials"] == "false"
    assert writing == [("chassis-update.yml", "request")]


def test_actions_are_pinned_and_nothing_is_cached(render: Render) -> None:
    """Each action by its commit, with its version beside it; no job reads what another run left."""
    service = render(**BOTH)
    used: dict[str, set[str]] = {}
    for name in [*workflows(service), ".gitlab-ci.yml"]:
        text = (service / name).read_text(encoding="utf-8")
        settings = "\n".join(line.partition("#")[0] for line in text.splitlines())
        assert "cache" not in settings, name
        for action, commit, version in re.findall(r"uses: ([\w./-]+)@(\S+) # (v[\d.]+)$", text, re.MULTILINE):
            assert re.fullmatch(r"[0-9a-f]{40}", commit)
            used.setdefault(action, set()).add(f"{commit} {version}")
        assert text.count("uses: ") == len(re.findall(r"uses: \S+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", text, re.MULTILINE))
    assert set(used) == {"actions/checkout", "actions/upload-artifact"}
    assert all(len(pins) == 1 for pins in used.values()), used


def test_workflows_have_no_condition(render: Render) -> None:
    """What lies in the template is what a service has, for every answer."""
    for name in workflows(render(**BOTH)):
        assert (ROOT / "template" / name).read_bytes() == (render(**BOTH) / name).read_bytes()
    assert not (render(ci="gitlab") / WORKFLOWS).exists()
    assert not (render() / ".gitlab-ci.yml").exists()  # for GitHub alone


def test_page_tells_every_job(render: Render) -> None:
    """docs/chassis/ci.md has a row for each job: its command, its occasion, its place in both systems."""
    service = render(**BOTH)
    page = (service / "docs/chassis/ci.md").read_text(encoding="utf-8")
    told = set(re.findall(r"^\| `(make [a-z-]+)` \| (\w+) \| `([\w-]+\.yml)` \| `([\w-]+)` \|", page, re.MULTILINE))
    by_gitlab = {job.lines: job.name for job in gitlab_jobs(service)}
    actual = {
        (job.lines[-1], occasion, Path(job.file).name, by_gitlab[job.lines])
        for job in github_jobs(service)
        for occasion in job.occasions
    }
    assert told == actual


def test_night_sends_as_many_requests_as_the_page_says(render: Render, tmp_path: Path) -> None:
    """`make thorough` gives the tests these numbers; one that is set elsewhere wins."""
    folder = tmp_path / "my service"
    shutil.copytree(render(), folder, ignore=shutil.ignore_patterns(".git"))
    (folder / ".venv").mkdir()
    (folder / ".venv/.ready").touch()
    done = make(folder, "thorough", "PYTHON=sh -c env", RANDOM_CASES="7")
    told = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
    page = (folder / "docs/chassis/ci.md").read_text(encoding="utf-8")
    numbers = re.search(r"sends each route (\d+) random requests, not (\d+):", page)
    assert (told["THOROUGH"], told["CONFORMANCE_EXAMPLES"], told["RANDOM_CASES"]) == ("1", numbers[1], "7")
    usual = (folder / "tests/chassis/test_conformance.py").read_text(encoding="utf-8")
    assert f'os.environ.get("CONFORMANCE_EXAMPLES", "{numbers[2]}")' in usual
    assert all(f"`{name}`" in page for name in ("CONFORMANCE_EXAMPLES", "RANDOM_CASES", "KILL_ROUNDS"))


def test_sbom_tells_what_is_locked_and_is_the_same_twice(service: Path) -> None:
    """Every library of the lock that is no tool, with its version; the same lock gives the same bytes."""
    written = service / "var/sbom.cdx.json"
    assert make(service, "sbom").returncode == 0
    first = written.read_bytes()
    document = json.loads(first)
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    told = {one["name"]: one["version"] for one in document["components"]}
    locked = {one["name"]: one["version"] for one in tomllib.loads((service / "uv.lock").read_text())["package"]}
    assert told.items() <= locked.items()
    assert {"fastapi", "pydantic-core", "uvicorn"} <= set(told)
    assert {"pytest", "mypy", "ruff"}.isdisjoint(told)
    written.unlink()
    assert make(service, "sbom").returncode == 0
    assert written.read_bytes() == first
    commit = git(service, "log", "-1", "--format=%cI").strip()
    assert document["metadata"]["timestamp"][:4] == commit[:4]
    early = json.loads(first)
    assert make(service, "sbom", SOURCE_DATE_EPOCH="1700000000").returncode == 0
    assert json.loads(written.read_bytes())["metadata"]["timestamp"] == "2023-11-14T22:13:20Z"
    assert json.loads(written.read_bytes())["serialNumber"] != early["serialNumber"]


def test_sbom_of_a_lock_that_does_not_fit_is_not_written_in_ci(service: Path) -> None:
    """What would be told is not what is installed: exit code 1, and no file."""
    text = (service / "pyproject.toml").read_text(encoding="utf-8")
    (service / "pyproject.toml").write_text(text.replace('"typer>=0.29,', '"typer>=0.28,'), encoding="utf-8")
    done = make(service, "sbom", CI="true")
    assert "Error 1" in done.stderr, done.stderr
    assert not (service / "var/sbom.cdx.json").exists()


def test_self_audit_finds_what_is_wrong_and_leaves_nothing_running(service: Path) -> None:
    """The audit's exit code comes through; afterwards no service runs, and a database of the team's is untouched."""
    (service / ".env").write_text("DATABASE_URL=sqlite+aiosqlite:///var/mine.db\nSECURITY_CORS_ORIGINS=*\n")
    (service / ".env").chmod(0o600)
    done = make(service, "self-audit", "ARGS=--area headers")
    assert "Error 1" in done.stderr, done.stdout + done.stderr
    assert "FAIL" in done.stdout
    assert "\nstopped: process " in done.stdout
    assert not (service / "var/service.pid").exists()
    assert not (service / "var/mine.db").exists()
    assert list((service / "var").glob("*.db")) == []


def test_self_audit_of_a_service_that_does_not_start_cannot_tell(service: Path) -> None:
    """Exit code 2; the log says why."""
    main = service / "src/app/main.py"
    main.write_text(f"{main.read_text(encoding='utf-8')}\nraise RuntimeError('not today')\n", encoding="utf-8")
    done = make(service, "self-audit")
    assert "Error 2" in done.stderr, done.stdout + done.stderr
    assert not (service / "var/service.pid").exists()
