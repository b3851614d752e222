"""With other features, or without the sample, a service is as good: its checks, and its suite over the socket."""

import subprocess
from pathlib import Path

import pytest
from conftest import TEAM_TESTS, Render, make, share
from rendered import subsets
from test_features import CHOICES
from tools import user_environment

OTHERS = [some for some in subsets(CHOICES) if some != CHOICES]
# What differs most between them: who is let in, what each route declares, what every answer carries.
SHORT = "tests/chassis/test_laws.py tests/chassis/test_routes.py tests/chassis/test_edge.py tests/items/test_items.py"


@pytest.fixture(params=OTHERS, ids=str)
def other(request: pytest.FixtureRequest, render: Render, installed: Path, tmp_path: Path) -> Path:
    """Return a service rendered with these features only; its libraries are more than it asks for."""
    return share(installed, tmp_path / "my service", render(features=request.param))


def is_green(service: Path, target: str, *arguments: str) -> None:
    """A make target of the service passes."""
    done = make(service, target, *arguments)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def test_other_combinations_are_green(other: Path) -> None:
    """Checked whole; of the suite those tests that see the difference."""
    is_green(other, "check")
    is_green(other, "test", f"ARGS=-q -k 'not postgresql' {SHORT}")


def test_service_without_the_sample_passes_its_checks_and_tests(installed: Path, tmp_path: Path) -> None:
    """`make remove-sample` leaves a valid service without a route, and its table goes with a migration."""
    service = share(installed, tmp_path / "my service")
    assert make(service, "migrate").returncode == 0
    removed = make(service, "remove-sample")
    assert removed.returncode == 0, removed.stdout + removed.stderr
    assert "wrote migrations/versions/0003_remove_sample.py" in removed.stdout
    assert "# squawk-ignore ban-drop-table -- " in (service / "migrations/versions/0003_remove_sample.py").read_text()
    assert make(service, "remove-sample").stdout == "the sample is already gone\n"
    assert make(service, "migrate").stdout == "team: 0002 -> 0003\n"
    back = [".venv/bin/python", "-m", "app", "migrate", "--to", "0002"]
    done = subprocess.run(back, cwd=service, env=user_environment(PYTHONPATH="src"), capture_output=True, text=True)
    assert done.stdout == "team: 0003 -> 0002\n", done.stderr
    left = [path for path in service.rglob("*items*") if ".venv" not in path.parts and "versions" not in path.parts]
    assert left == []
    is_green(service, "check")
    is_green(service, "test", f"ARGS=-q -k 'not postgresql' {TEAM_TESTS}")


@pytest.mark.soak
def test_soak_service_without_the_sample_passes_on_both_engines(installed: Path, tmp_path: Path) -> None:
    """Its whole suite."""
    service = share(installed, tmp_path / "my service")
    is_green(service, "remove-sample")
    is_green(service, "test")


@pytest.mark.soak
def test_soak_other_combinations_pass_their_whole_suites(other: Path) -> None:
    """With the sample, and without it."""
    is_green(other, "test")
    is_green(other, "remove-sample")
    is_green(other, "test")
