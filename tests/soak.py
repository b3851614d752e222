"""`make soak`: runs the large numbers and appends date, commit and counts to docs/reference/soak.md, if committed."""

import datetime
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "reference" / "soak.md"
HEAD = """# What was soaked

Written by `make soak`: the large numbers, on which commit, with what result. A tree with uncommitted
changes is soaked, but not noted.

| date | commit | result | seconds |
|---|---|---|---|
"""


def git(*arguments: str) -> str:
    """Return what git says of this repository."""
    return subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True).stdout.strip()


def note(page: Path, commit: str, outcome: str) -> str:
    """Append a row to the page and say so; a tree with uncommitted changes has no name another could soak again."""
    if commit.endswith("-dirty"):
        return "not noted: uncommitted changes"
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    content = page.read_text(encoding="utf-8") if page.exists() else HEAD
    page.write_text(f"{content}| {today} | {commit} | {outcome} |\n", encoding="utf-8")
    return f"noted in {page}"


def run(command: list[str]) -> tuple[int, str]:
    """Run a command, show each line when it comes, and return its exit code and all it told: it may take an hour."""
    lines = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout
        for line in process.stdout:
            print(line, end="", flush=True)
            lines.append(line)
    return process.returncode, "".join(lines)


def main() -> int:
    """Run every test marked `soak`, note the outcome, and return pytest's exit code."""
    commit = git("describe", "--always") + (
        "-dirty" if git("status", "--porcelain", "--", ".", f":(exclude){PAGE}") else ""
    )
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
    code, told = run(command)
    summary = re.search(r"=* ?([^=\n]*?(?:passed|failed)[^=\n]*?) in ([\d.]+)s", told)
    result, seconds = summary.groups() if summary else ("could not run", "0")
    examples = sum(int(count) for count in re.findall(r"(\d+) passing, ", told))
    print(note(PAGE, commit, f"{result}, {examples} examples | {seconds}"))
    return code


if __name__ == "__main__":
    sys.exit(main())
