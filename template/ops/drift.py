"""Says which files of ours were edited in this service, as a diff against its release. Needs Copier.

Usage: uv tool run --from 'copier>=9.19.1,<10' python ops/drift.py [--names | --json]
Of a shared file our zones count. A file that `make eject` made yours does not count; it is told with its reason.
Exit codes: 0 none was edited, 1 some were, 2 it cannot be told.
"""

import argparse
import difflib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from copies import NotDoneError
from leaving import plain
from references import SHARED, is_ours
from rendering import ANSWERS, listed, read_answers, rendered, shield
from repository import git

ZONE = re.compile(r"^ *# --- ours.*?^ *# --- end of ours[^\n]*\n?", re.DOTALL | re.MULTILINE)
MOST_LINES = 400


@dataclass(frozen=True)
class Drift:
    """A file of ours that is not as its release has it: edited, deleted, or added in a folder of ours."""

    path: str
    what: str
    diff: str = ""


def drifts(fresh: Path) -> Iterator[Drift]:
    """Each file of ours that differs from `fresh`, the service as its release renders it."""
    there = listed(fresh)
    held = {path for path in git("ls-files", "-z", "--cached", "--others", "--exclude-standard").split("\0") if path}
    for path in sorted(there | held):
        if path in SHARED:
            was, now = (_zones(root / path) for root in (fresh, Path()))
        elif is_ours(path) and path != str(ANSWERS):  # those are Copier's
            was, now = (_text(root / path) for root in (fresh, Path()))
        else:
            continue
        if was is None and now is not None:
            yield Drift(path, "added")
        elif was is not None and now is None:
            yield Drift(path, "deleted")
        elif was is not None and now is not None and was != now:
            yield Drift(path, "edited", _diff(path, was, now))


def _zones(path: Path) -> bytes | None:
    text = _text(path)
    return None if text is None else "".join(ZONE.findall(text.decode("utf-8", "replace"))).encode()


def _text(path: Path) -> bytes | None:
    if path.is_symlink():  # an update does not see what it leads to
        return f"a link to {path.readlink()}\n".encode(errors="surrogateescape")
    return plain(path.read_bytes()) if path.is_file() else None


def _diff(path: str, was: bytes, now: bytes) -> str:
    if b"\0" in was + now:
        return "the two are not text\n"
    sides = [text.decode("utf-8", "replace").splitlines(keepends=True) for text in (was, now)]
    lines = list(difflib.unified_diff(*sides, f"release/{path}", path))
    more = len(lines) - MOST_LINES
    return "".join([*lines[:MOST_LINES], *([f"… {more} lines more\n"] if more > 0 else [])])


def main(arguments: list[str] | None = None) -> int:
    """Compare, and say what is other than the release has it."""
    parser = argparse.ArgumentParser(description="Say which files of ours were edited here.", allow_abbrev=False)
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--names", action="store_true", help="only the names, no diff")
    how.add_argument("--json", action="store_true", help="for programs")
    options = parser.parse_args(arguments)
    shield()
    try:
        answers = read_answers()
        ejected = answers.get("ejected") or {}
        with rendered(answers, answers["features"]) as fresh:
            found = [one for one in drifts(fresh) if one.path not in ejected]
    except (NotDoneError, OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        print(f"not told: {str(error) or 'interrupted'}", file=sys.stderr)
        return 2
    if options.json:
        print(json.dumps({"release": answers["_commit"], "ejected": ejected, "drift": [vars(one) for one in found]}))
    else:
        _print(found, ejected, answers["_commit"], is_short=options.names)
    return 1 if found else 0


def _print(found: list[Drift], ejected: dict[str, str], release: str, *, is_short: bool) -> None:
    for path, reason in sorted(ejected.items()):
        print(f"ejected: {path}: {reason}")
    for one in found:
        print(f"{one.what}: {one.path}")
        if not is_short:
            print(one.diff, end="")
    print(f"{len(found)} files of ours are other than {release} has them")
    if found:
        print("docs/chassis/updating.md says where an edit belongs; `make eject FILE=… REASON=…` makes a file yours")


if __name__ == "__main__":
    sys.exit(main())
