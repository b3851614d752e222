"""A test that is skipped is named, and in CI it is a failure, unless who runs it may not have what it needs."""

import subprocess
import sys
from pathlib import Path

import pytest
from conftest import ROOT, TOGETHER, ByFile
from tools import FORGIVEN, user_environment

SKIPPED = """import pytest, tools


def test_of_a_program():
    tool = tools.Tool("nothing", "1", "nowhere", "nothing", may_have={may_have})
    pytest.skip(tools.lost(tool))
"""


@pytest.mark.parametrize(("may_have", "status"), [("None", 1), ("lambda: True", 1), ("lambda: False", 0)])
def test_skip_is_a_failure_in_ci_unless_it_is_forgiven(tmp_path: Path, may_have: str, status: int) -> None:
    """Root without an engine fails in CI, an ordinary user does not; both see the test's name in the last line."""
    file = tmp_path / "test_one.py"
    file.write_text(SKIPPED.format(may_have=may_have))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "conftest", "-c", "/dev/null", "--rootdir", ".", file.name]
    environment = user_environment(CI="true", PYTHONPATH=str(ROOT / "tests"))
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    last = done.stdout.splitlines()[-1]
    assert last == f"1 skipped, {'a failure in CI' if status else FORGIVEN}: test_one.py::test_of_a_program"


def test_files_that_go_together_are_there_and_run_on_one_worker() -> None:
    """A file that is renamed would start an engine of its own, without a word."""
    scheduler = object.__new__(ByFile)
    for name, other in TOGETHER.items():
        assert (ROOT / name).is_file()
        assert (ROOT / other).is_file()
        assert {scheduler._split_scope(f"{one}::test") for one in (name, other)} == {other}
