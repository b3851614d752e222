"""`make soak`: runs the large numbers and appends date, commit and counts to docs/reference/soak.md."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "soak.md"
HEAD = """# What was soaked

Written by `make soak`: the large numbers, on which commit, with what result.

| date | commit | result | seconds |
|---|---|---|---|
"""


def main() -> int:
    """Run every test marked `soak`, note the outcome, and return pytest's exit code."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-m",
        "soak",
        "-v",
        "--basetemp=.work/soak",
        "--hypothesis-show-statistics",
    ]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    sys.stdout.write(done.stdout + done.stderr)
    summary = re.search(r"=* ?([^=\n]*?(?:passed|failed)[^=\n]*?) in ([\d.]+)s", done.stdout)
    result, seconds = summary.groups() if summary else ("could not run", "0")
    examples = sum(int(count) for count in re.findall(r"(\d+) passing, ", done.stdout))
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    ).stdout.strip()
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    content = PAGE.read_text() if PAGE.exists() else HEAD
    PAGE.write_text(f"{content}| {today} | {commit} | {result}, {examples} examples | {seconds} |\n")
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
