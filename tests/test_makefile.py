"""The Makefile of a rendered service: sets itself up from nothing, says what it needs, takes the team's targets."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Render
from tools import require, user_environment


def make(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run make in a folder."""
    command = [require("make"), *arguments]
    return subprocess.run(
        command, cwd=folder, env=environment or user_environment(), capture_output=True, text=True, check=False
    )


@pytest.fixture
def service(render: Render, tmp_path: Path) -> Path:
    """Return a service of the test's own, in a folder whose name has a space; nothing is installed."""
    folder = tmp_path / "my service"
    shutil.copytree(render(), folder)
    return folder


def test_setup_needs_python_and_make_only(service: Path, tmp_path: Path) -> None:
    """Without uv, with an empty HOME, everything is installed into the folder; the second run has nothing to do."""
    (tmp_path / "home").mkdir()
    kept = {name: value for name, value in os.environ.items() if "CERT" in name or "CA_BUNDLE" in name}
    bare = {**kept, "HOME": str(tmp_path / "home"), "PATH": "/usr/local/bin:/usr/bin:/bin"}
    first = make(service, "setup", **bare)
    assert first.returncode == 0, first.stdout + first.stderr
    assert (service / ".tools/bin/uv").exists() or shutil.which("uv", path=bare["PATH"])
    assert (service / ".venv/bin/python").exists()
    ready = (service / ".venv/.ready").stat().st_mtime_ns
    assert make(service, "setup", **bare).returncode == 0
    assert (service / ".venv/.ready").stat().st_mtime_ns == ready


def test_uv_cache_stays_in_the_folder_where_there_is_no_home(service: Path) -> None:
    """A user without a home can still set up; whoever has one keeps its cache there."""
    shown = 'print-cache:\n\t@echo "cache=$$UV_CACHE_DIR"\n'
    (service / "service.mk").write_text(shown)
    path = os.environ["PATH"]
    assert make(service, "print-cache", PATH=path, HOME="/nonexistent").stdout == "cache=.tools/cache\n"
    assert make(service, "print-cache", PATH=path).stdout == "cache=.tools/cache\n"
    assert make(service, "print-cache", PATH=path, HOME=str(service)).stdout == "cache=\n"


@pytest.mark.parametrize("given", [(), ("NAME=items",), ("FILE=a.csv",), ("NAME= ", "FILE=a.csv"), ("NAME=a", "FILE=")])
def test_import_without_a_name_or_file_says_so(service: Path, given: tuple[str, ...]) -> None:
    """One line, exit status 2, nothing installed; what the shell has of its own does not count."""
    done = make(service, "import", *given, **user_environment(NAME="laptop", FILE="mine"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "make import NAME=items FILE=items.csv" in done.stderr
    assert not (service / ".venv").exists()


@pytest.mark.parametrize("name", [(), ("NAME=",), ("NAME= ",)])
def test_migration_without_a_name_says_so(service: Path, name: tuple[str, ...]) -> None:
    """One line, exit status 2, nothing installed; a NAME of the shell's own does not count."""
    done = make(service, "migration", *name, **user_environment(NAME="laptop"))
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert 'make migration NAME="add price to items"' in done.stderr
    assert not (service / ".venv").exists()


def test_help_is_the_default_and_lists_the_team_targets(service: Path) -> None:
    """`make` alone explains; targets of service.mk stand beside ours, and win nothing but their own name."""
    (service / "service.mk").write_text("##@ Ours\n\n.PHONY: seed\nseed:  ## Put example rows in\n\t@echo seeded\n")
    shown = make(service)
    assert shown.returncode == 0
    assert "  make setup " in shown.stdout
    assert "Put example rows in" in shown.stdout
    assert make(service, "seed").stdout == "seeded\n"


def test_help_lists_every_name_and_tells_whose_targets_are_below(service: Path) -> None:
    """Digits, dots and capitals are names too; without a heading of its own service.mk has its file's."""
    targets = "seed-2: ## Second rows\n\nload.all: seed-2 ## Both\n\nX_1:## Third\n\nRANGE:=1 ## no target\n"
    (service / "service.mk").write_text(targets)
    shown = make(service).stdout
    sample, _, below = shown.partition("\n\nservice.mk\n")
    assert "\n  make remove-sample " in sample
    assert [line.split()[:2] for line in below.splitlines()] == [
        ["make", name] for name in ("seed-2", "load.all", "X_1")
    ]
    (service / "service.mk").write_text(f"##@ Rows\n\n{targets}")
    assert "service.mk" not in make(service).stdout
    assert "\n\nRows\n  make seed-2 " in make(service).stdout


def test_rooms_may_bring_targets(service: Path) -> None:
    """A file in ops/make/ is read and listed; without one nothing is missing."""
    shutil.rmtree(service / "ops/make")
    assert make(service).returncode == 0
    (service / "ops/make").mkdir()
    (service / "ops/make/jobs.mk").write_text("##@ Jobs\n\nworker:  ## Work off jobs\n\t@echo worked\n")
    assert "Work off jobs" in make(service).stdout
    assert make(service, "worker").stdout == "worked\n"


def test_check_leaves_out_what_make_brought(service: Path) -> None:
    """Outside a repository .gitignore does not count: .tools is nobody's code all the same."""
    (service / ".tools/cache").mkdir(parents=True)
    (service / ".tools/cache/foreign.py").write_text("import os,sys\n")
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [require("ruff"), *command, "--no-cache", "--no-respect-gitignore", "."],
            cwd=service,
            capture_output=True,
            text=True,
            check=False,
        )
        assert "foreign.py" not in done.stdout
        assert done.stdout


def test_programs_leave_no_bytecode(render: Render) -> None:
    """A full disk leaves it half written, and Python 3.11 imports nothing of it afterwards: no undo, no rollback."""
    makefiles = [render("everything") / "Makefile", *(render("everything") / "ops/make").glob("*.mk")]
    recipes = [
        line for file in makefiles for line in file.read_text().splitlines() if re.search(r"^\t.* ops/\w+\.py", line)
    ]
    assert len(recipes) > 20
    assert [line for line in recipes if " -B " not in line] == []
