"""What every test stands on: a throw-away release of the working tree and what is rendered from it, once."""

import datetime
import fcntl
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path

import copier
import jinja2
import pytest
from engine import Engine, running_engine
from tools import FORGIVEN, require, user_environment
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

ROOT = Path(__file__).resolve().parent.parent

# A profile is a named set of answers; `render("bare", license="MIT")` adds to one.
PROFILES: dict[str, dict] = {
    "default": {},
    "bare": {"ci": "none", "deploy": "none", "features": []},
    "everything": {"ci": "both", "deploy": "both", "license": "Apache-2.0"},
}

# Those of a service's tests that see which routes and tables its team has; the others ask routes of their own.
TEAM_TESTS = "tests/chassis/auth/test_access.py " + " ".join(
    f"tests/chassis/test_{name}.py"
    for name in ("conformance", "contract", "laws", "migrations", "plans", "random", "routes", "settings", "versions")
)

Render = Callable[..., Path]
Answer = str | list[str]


def git(folder: Path, *arguments: str) -> str:
    """Run git in a folder with an identity of its own and return what it prints."""
    identity = [
        "-c",
        "user.name=Plumbline",
        "-c",
        "user.email=plumbline@example.invalid",
        "-c",
        "commit.gpgsign=false",
    ]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"git {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def commit_all(folder: Path, message: str) -> None:
    """Commit all of a folder, making a repository of it if it is none."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--no-verify", "--message", message)


def release(template: Path, version: str) -> None:
    """Commit a template as it stands and tag it."""
    commit_all(template, f"release {version}")
    git(template, "tag", version)


def copy_service(template: Path, destination: Path, **answers: Answer) -> Path:
    """Render a service as a user does, never with --trust.

    PLUMBLINE_CUTOFF=now, set by the nightly job, lets it resolve today's libraries.
    """
    if os.environ.get("PLUMBLINE_CUTOFF") == "now":
        answers.setdefault("dependency_cutoff", f"{datetime.datetime.now(datetime.UTC):%Y-%m-%dT%H:%M:%SZ}")
    copier.run_copy(str(template), destination, data=answers, defaults=True, quiet=True, unsafe=False)
    return destination


def update_service(service: Path, **answers: Answer) -> None:
    """Update a committed service as a user does, never with --trust."""
    copier.run_update(service, data=answers, defaults=True, overwrite=True, quiet=True, unsafe=False)


@pytest.fixture(scope="session", autouse=True)
def no_user_configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the machine's git and Copier settings out of every result."""
    settings = tmp_path_factory.mktemp("settings") / "settings.yml"
    settings.write_text("{}\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        patch.setenv("COPIER_SETTINGS_PATH", str(settings))
        yield


@pytest.fixture(scope="session", autouse=True)
def quick_renders() -> Iterator[None]:
    """Spare Copier half of a render that changes nothing of it; tests that start its command line have it whole."""
    remembered = lru_cache(maxsize=4096)(jinja2.Environment.from_string)
    with pytest.MonkeyPatch.context() as patch:
        # The parts of every path are compiled anew for each file.
        patch.setattr(jinja2.Environment, "from_string", remembered)
        # A process of git for each file, which matters where git is told to ignore the mode of files.
        patch.setattr("copier._main.Worker._sync_git_index_executable_bit", lambda *_: None, raising=False)
        yield


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a release 1.0.0 of the working tree, uncommitted files included. Not to be written."""
    folder = tmp_path_factory.mktemp("template") / "plumbline"
    for name in git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0"):
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    release(folder, "1.0.0")
    git(folder, "gc", "--quiet")  # each update clones it some seven times: one pack, not a thousand files
    return folder


@pytest.fixture(scope="session")
def render(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Render:
    """Return `render(profile, **answers)`: the service's folder, rendered once a run. Not to be written."""
    done: dict[tuple, Path] = {}

    def _render(profile: str = "default", **answers: Answer) -> Path:
        wanted = {**PROFILES[profile], **answers}
        key = tuple(sorted((name, str(answer)) for name, answer in wanted.items()))
        if key not in done:
            done[key] = copy_service(template, tmp_path_factory.mktemp("render") / "service", **wanted)
            git(done[key], "init", "--quiet")  # else tools would read this repository's .gitignore
        return done[key]

    return _render


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in a service, as its developer does."""
    command, env = [require("make"), *arguments], user_environment(**environment)
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


def share(installed: Path, folder: Path, rendered: Path | None = None) -> Path:
    """Copy a service, the one that is set up or another; the copy finds the libraries of the one that is.

    It has an environment of its own all the same, so what it installs or removes is nobody else's. What mypy learned of
    the libraries, which takes it 20 seconds, is shared.
    """
    shutil.copytree(rendered or installed, folder, ignore=shutil.ignore_patterns(".venv", ".git"))
    theirs, mine = installed / ".venv", folder / ".venv"
    (packages,) = theirs.glob("lib/python*/site-packages")
    (mine / packages.relative_to(theirs)).mkdir(parents=True)
    (mine / packages.relative_to(theirs) / "shared.pth").write_text(f"{folder}/src\n{packages}\n")
    shutil.copy2(theirs / "pyvenv.cfg", mine)
    (mine / "bin").mkdir()
    for path in [*(theirs / "bin").iterdir(), theirs / ".mypy"]:
        (mine / path.relative_to(theirs)).symlink_to(path)
    (mine / ".ready").touch()
    return folder


@pytest.fixture(scope="session")
def installed(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a default service that is set up, the same for all workers. Not to be written: `share` it."""
    require("make"), require("uv")
    base = tmp_path_factory.getbasetemp()
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "installed" / "a service"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / ".venv/.ready").exists():
            shutil.rmtree(folder, ignore_errors=True)
            shutil.copytree(render(), folder, ignore=shutil.ignore_patterns(".git"))
            done = make(folder, "setup")
            assert done.returncode == 0, done.stdout + done.stderr
            (folder / ".venv/.mypy").mkdir()
    return folder


@pytest.fixture(scope="session")
def update_tools() -> None:
    """Skip what updates a service by its own programs where one that they start is missing."""
    for name in ("git", "make", "uv"):
        require(name)


@pytest.fixture
def own_template(template: Path, tmp_path: Path) -> Path:
    """Return a template of the test's own, at release 1.0.0, which it may change and release again."""
    folder = tmp_path / "own template"
    shutil.copytree(template, folder, symlinks=True)
    return folder


@pytest.fixture
def service(own_template: Path, tmp_path: Path) -> Path:
    """Return a committed service rendered from `own_template`, which the test may change."""
    folder = copy_service(own_template, tmp_path / "my service")
    commit_all(folder, "render")
    return folder


# These files take minutes each; a run ends soonest when none of them begins last.
LONGEST_FIRST = (
    "suite",
    "contract",
    "thorough",
    "deploy",
    "fleet",
    "containers",
    "versions",
    "combinations",
    "toggle",
    "docs",
    "readme",
    "runbook",
    "update_request",
    "ci",
)


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    """Return a container engine, one for all tests of a worker; without one, what asks for it is skipped."""
    with running_engine() as found:
        yield found


# These share an engine, its images and the layers of a build.
TOGETHER = {"tests/test_deploy_compose.py": "tests/test_containers.py"}


class ByFile(LoadFileScheduling):
    """A file at a time to a worker, and after it those that go together with it."""

    def _split_scope(self, nodeid: str) -> str:
        scope = super()._split_scope(nodeid)
        return TOGETHER.get(scope, scope)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Give each file to one worker."""
    return ByFile(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest files first; within a file nothing moves."""
    ranks = {f"test_{name}": rank for rank, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: ranks.get(item.path.stem, len(ranks)))


def _skipped(config: pytest.Config, *, forgiven: bool) -> list[str]:
    reporter = config.pluginmanager.get_plugin("terminalreporter")
    reports = reporter.stats.get("skipped", []) if reporter else []
    return [report.nodeid for report in reports if (FORGIVEN in str(report.longrepr)) == forgiven]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """With CI set, a skipped test is a failure, unless it needs what who runs it may not have."""
    skipped = _skipped(session.config, forgiven=False)
    if os.environ.get("CI") and skipped and session.exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure(config: pytest.Config) -> None:
    """Name every skipped test in the last lines."""
    for forgiven, inside in ((True, f", {FORGIVEN}"), (False, ", a failure in CI" if os.environ.get("CI") else "")):
        if names := _skipped(config, forgiven=forgiven):
            print(f"{len(names)} skipped{inside}: {', '.join(names)}")
