"""What a rendered service's own run leaves out, because no team changes it: the long tests of our tools."""

from pathlib import Path

import pytest
from conftest import make, share


def passes(installed: Path, folder: Path, *chosen: str) -> None:
    """The thorough tests, or some of them, are green."""
    done = make(share(installed, folder), "test", f"ARGS=-m thorough {' '.join(chosen)}", THOROUGH="1")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout


def test_service_passes_the_thorough_tests_of_our_tools(installed: Path, tmp_path: Path) -> None:
    """Those that run on both engines are run on the embedded one; those about PostgreSQL alone are run too."""
    passes(installed, tmp_path / "my service", "-k 'not [postgresql] or test_postgresql or test_applying'")


@pytest.mark.soak
def test_soak_service_passes_the_thorough_tests_on_both_engines(installed: Path, tmp_path: Path) -> None:
    """All of them."""
    passes(installed, tmp_path / "my service")
