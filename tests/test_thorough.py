"""What a rendered service's own run leaves out, because no team changes it: the long tests of our tools."""

from pathlib import Path

from conftest import make, share


def test_service_passes_the_thorough_tests_of_our_tools(installed: Path, tmp_path: Path) -> None:
    """They are green on both engines."""
    service = share(installed, tmp_path / "my service")
    done = make(service, "test", "ARGS=-m thorough", THOROUGH="1")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout
