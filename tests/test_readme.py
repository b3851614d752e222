"""README's own commands work as they stand, in order, and so does an update of what they made."""

import os
import re
import signal
import subprocess
import time
import urllib.request
from pathlib import Path

import demo
import pytest
from conftest import ROOT, git, release
from rendered import text
from tools import user_environment

README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = [block.strip().splitlines() for block in re.findall(r"```sh\n(.*?)```", README, re.DOTALL)]


@pytest.fixture(scope="module")
def machine(template: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """Return a new clone in a folder with a space and the environment of someone who just arrived."""
    home = tmp_path_factory.mktemp("home")
    clone = tmp_path_factory.mktemp("new comer") / "plumbline"
    git(template, "clone", "--quiet", str(template), str(clone))
    git_user = {"GIT_AUTHOR_NAME": "New", "GIT_AUTHOR_EMAIL": "new@example.invalid"}
    committer = {"GIT_COMMITTER_NAME": "New", "GIT_COMMITTER_EMAIL": "new@example.invalid"}
    cache = os.environ.get("UV_CACHE_DIR", str(Path.home() / ".cache" / "uv"))
    environment = user_environment(
        HOME=str(home),
        UV_CACHE_DIR=cache,
        ARGS="--defaults",
        PORT=str(demo.free_port()),
        **git_user,
        **committer,
    )
    environment["PATH"] = os.environ.get("PATH", os.defpath)  # nothing but what the machine has
    return clone, environment


def shell(command: str, folder: Path, environment: dict[str, str]) -> str:
    """Run one line of README and return what it printed."""
    done = subprocess.run(
        ["sh", "-c", command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


def test_readme_shows_a_command_early() -> None:
    """The first command stands within the first fifteen lines."""
    assert README.splitlines().index("```sh") < 15


def test_readme_commands_work_and_update_what_they_made(machine: tuple[Path, dict[str, str]]) -> None:
    """Demonstration, own service, running service, next release: each block of README, in order."""
    clone, environment = machine
    (first, second), (into, run), keep, (update, status) = BLOCKS
    assert "all as expected" in shell(first, clone, environment)
    shell(second, clone, environment)
    service = (clone / into.removeprefix("cd ")).resolve()
    assert_answers(run, service, environment)

    *commit, foresee = keep
    for command in commit:
        shell(command, service, environment)
    with (clone / "template/mypy.ini").open("a") as file:
        file.write("# of the next release\n")
    release(clone, "2.0.0")
    assert "changes: mypy.ini" in shell(foresee, service, environment).splitlines()
    shell(update, service, environment)
    assert text(service / "mypy.ini").endswith("# of the next release\n")
    assert "UU" not in shell(status + " --porcelain", service, environment)


def assert_answers(run: str, service: Path, environment: dict[str, str]) -> None:
    """Start the service by README's command, wait until it is ready, stop it, and expect a clean end."""
    server = subprocess.Popen(
        ["sh", "-c", f"exec {run}"],
        cwd=service,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{environment['PORT']}/readyz", timeout=5) as answer:
                    assert answer.status == 200
                    return
            except OSError:
                time.sleep(0.1)
        pytest.fail("the service was not ready within a minute")
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=30)


def test_repository_holds_nothing_else() -> None:
    """The top level is the one the design names."""
    expected = {
        *(
            "copier.yml",
            "README.md",
            "Makefile",
            "pyproject.toml",
            "template",
            "hooks",
            "tests",
            "docs",
            ".ci",
        ),
        *(".github", "LICENSE", "CHANGELOG.md", "CONTRIBUTING.md", ".gitignore", ".gitattributes"),
    }
    tracked = git(ROOT, "ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0")
    assert {name.split("/")[0] for name in tracked if name} <= expected


def test_links_of_the_front_pages_lead_somewhere() -> None:
    """Every relative link of README and CONTRIBUTING names a file of this repository."""
    for page in ("README.md", "CONTRIBUTING.md"):
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", (ROOT / page).read_text(encoding="utf-8")):
            assert (ROOT / target).exists(), target


def test_every_target_has_help() -> None:
    """`make help` lists every target a person may call."""
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    declared = set(re.findall(r"^\.PHONY: (\S+)$", makefile, re.MULTILINE))
    helped = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
    assert declared == helped


@pytest.mark.parametrize(
    ("arguments", "destination", "said"),
    [
        ("--defaults --data ci=jenkins", "new", "Invalid choice for 'ci': 'jenkins' is not in ['github', "),
        ("--defaults --data service_slug=a_b", "new", "question 'service_slug': expected a-z, 0-9, single hyphens; "),
        ("--defaults", "Makefile", "found a file Makefile, expected a new folder"),
    ],
)
def test_new_says_in_one_line_what_it_cannot_use(
    machine: tuple[Path, dict[str, str]], arguments: str, destination: str, said: str
) -> None:
    """A bad answer or a file as destination: no traceback, nothing written, exit status 2."""
    clone, environment = machine
    command = ["make", "new", f"DEST={destination}", f"ARGS={arguments}"]
    done = subprocess.run(command, cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr
    assert not (clone / "new").exists()


def test_new_without_destination_says_what_is_expected(machine: tuple[Path, dict[str, str]]) -> None:
    """`make new` alone writes nothing and exits with 2."""
    clone, environment = machine
    done = subprocess.run(["make", "new"], cwd=clone, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "expected a new folder: make new DEST=../orders" in done.stderr
