"""`make bench` can measure: its figures are no test, but a program that does not start is a defect."""

import json
import subprocess
import sys

import pytest
from conftest import ROOT


@pytest.mark.soak
def test_soak_bench_measures_what_it_is_asked_for() -> None:
    """The yardsticks start and answer on both engines; a figure comes out of each case."""
    sections = ("answers", "database", "limits", "tokens", "layers", "memory", "deploy")
    asked = [word for name in sections for word in ("--only", name)]
    command = [sys.executable, "tests/bench/run.py", "--json", "--rounds", "1", "--count", "200", *asked]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)
