"""A service with other features than the default ones is as good: its checks, and its suite over the socket."""

import shutil
from pathlib import Path

import pytest
from conftest import Render, make
from rendered import subsets
from test_features import CHOICES

OTHERS = [some for some in subsets(CHOICES) if some != CHOICES]
# What differs most between them: who is let in, what each route declares, what every answer carries.
SHORT = "tests/chassis/test_laws.py tests/chassis/test_routes.py tests/chassis/test_edge.py tests/items/test_items.py"


@pytest.fixture(params=OTHERS, ids=str)
def other(request: pytest.FixtureRequest, render: Render, installed: Path, tmp_path: Path) -> Path:
    """Return a service rendered with these features only; its libraries are more than it asks for."""
    folder = tmp_path / "my service"
    shutil.copytree(render(features=request.param), folder)
    (folder / ".venv").symlink_to(installed / ".venv", target_is_directory=True)
    (installed / ".venv/.ready").touch()
    return folder


def is_green(service: Path, target: str, *arguments: str) -> None:
    """A make target of the service passes."""
    done = make(service, target, *arguments)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_other_combinations_are_green(other: Path) -> None:
    """Checked whole; of the suite those tests that see the difference."""
    is_green(other, "check")
    is_green(other, "test", f"ARGS=-q {SHORT}")


@pytest.mark.soak
def test_soak_other_combinations_pass_their_whole_suites(other: Path) -> None:
    """With the sample, and without it."""
    is_green(other, "test")
    is_green(other, "remove-sample")
    is_green(other, "test")
