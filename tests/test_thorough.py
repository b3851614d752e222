"""What a rendered service's own run leaves out, because no team changes it: the long tests of our tools."""

from pathlib import Path

import pytest
from conftest import make, share


def passes(installed: Path, folder: Path, *chosen: str, **environment: str) -> None:
    """`make thorough`, or some of it, is green."""
    done = make(share(installed, folder), "thorough", f"ARGS={' '.join(chosen)}", **environment)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_service_passes_the_thorough_tests_of_our_tools(installed: Path, tmp_path: Path) -> None:
    """Those that run on both engines are run on the embedded one; those about PostgreSQL alone are run too."""
    chosen = "-m thorough -k 'not [postgresql] or test_postgresql or test_applying'"
    passes(installed, tmp_path / "my service", chosen, KILL_ROUNDS="1")


@pytest.mark.soak
def test_soak_service_passes_what_runs_every_night(installed: Path, tmp_path: Path) -> None:
    """All of it: every test, on both engines, with as many random requests as the nightly job sends."""
    passes(installed, tmp_path / "my service")
