"""`make new` from a clone: the service remembers an address that others can reach, where there is one."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, git
from tools import require, user_environment

URL = "https://git.example.invalid/team/plumbline"


@pytest.fixture
def clone(template: Path, tmp_path: Path) -> Path:
    """Return a clone of the template whose one commit is upstream."""
    require("git")
    folder = shutil.copytree(template, tmp_path / "a clone", symlinks=True)
    git(folder, "remote", "add", "origin", URL)
    git(folder, "update-ref", "refs/remotes/origin/main", "HEAD")
    return folder


def remembered(clone: Path, ref: str = "1.0.0") -> str:
    """Make a service, and return what it remembers of its template; an address is never asked."""
    made = clone.parent / "made"
    done = subprocess.run(
        [sys.executable, ROOT / "tests/new.py", "copy", "--defaults", "--quiet", "--vcs-ref", ref, clone, made],
        env=user_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    answers = yaml.safe_load((made / ".copier-answers.yml").read_text())
    assert (made / "src/app/main.py").is_file()
    assert answers["_commit"] == ref
    return answers["_src_path"]


@pytest.mark.parametrize(
    ("origin", "expected"),
    [
        (URL, f"git+{URL}"),
        (f"{URL}.git", f"{URL}.git"),
        ("git@git.example.invalid:team/plumbline.git", "git@git.example.invalid:team/plumbline.git"),
    ],
)
def test_address_of_the_clone_is_remembered(clone: Path, origin: str, expected: str) -> None:
    """What CI and colleagues can reach, though nothing is fetched from there now."""
    git(clone, "remote", "set-url", "origin", origin)
    assert remembered(clone) == expected


def test_folder_is_remembered_where_nothing_else_has_the_commit(clone: Path) -> None:
    """No origin, an origin that is a folder, one with a password, a commit that is not upstream."""
    git(clone, "remote", "set-url", "origin", "https://me:word@git.example.invalid/plumbline.git")
    assert remembered(clone) == str(clone)
    shutil.rmtree(clone.parent / "made")
    git(clone, "remote", "set-url", "origin", URL)
    git(clone, "commit", "--quiet", "--allow-empty", "--message", "not pushed")
    git(clone, "tag", "1.1.0")
    assert remembered(clone, "1.1.0") == str(clone)
    shutil.rmtree(clone.parent / "made")
    git(clone, "remote", "set-url", "origin", "/elsewhere")
    assert remembered(clone) == str(clone)
