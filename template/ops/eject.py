"""Makes a file of ours the team's: no update touches it any more, and `make drift` passes it over. Needs Copier.

Usage: FILE=path REASON=words uv tool run --from 'copier>=9.19.1,<10' python ops/eject.py
It stands with its reason in .copier-answers.yml under `ejected`, where Copier looks at each update.
Exit codes: 0 done or it is yours already, 1 not done, 2 wrong use.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import yaml
from clean_tree import require_committed
from copies import NotDoneError
from references import is_ours
from rendering import ANSWERS, read_answers, shield

# Copier takes what is ejected for patterns, a line each.
PLAIN = re.compile(r"[\w./@+=,~-]+")


def eject(path: str, reason: str) -> bool:
    """Write it down; False where it was ejected before.

    Raises:
        NotDoneError: it is no file of ours, no reason is given, or something is not committed.
    """
    expected = "expected make eject FILE=ops/health.py REASON='asks another port'"
    if not path.strip():
        raise NotDoneError(f"no file; {expected}", 2)
    path = os.path.normpath(path)
    if not reason.strip() or not reason.isprintable():
        raise NotDoneError(f"{'a reason that is not one line' if reason.strip() else 'no reason'}; {expected}", 2)
    answers = read_answers()
    ejected = answers.get("ejected") or {}
    if path in ejected:
        return False
    if path.startswith(("/", "..")):
        raise NotDoneError(f"{path} is not in this service; expected a path from here", 2)
    if Path(path).is_dir():
        raise NotDoneError(f"{path} is a folder; expected one file of ours", 2)
    if not is_ours(path) or path == str(ANSWERS):
        raise NotDoneError(f"{path} is yours already, or shared; expected a file of ours: updating.md lists them", 2)
    if not PLAIN.fullmatch(path):
        raise NotDoneError(f"{path!r} would be read as a pattern; expected letters, digits and ./_@+=,~- in it", 2)
    if not Path(path).is_file():
        raise NotDoneError(f"{path} is no file; expected one of ours, by its path from here", 2)
    require_committed()
    text = ANSWERS.read_text("utf-8")
    head = "".join(line for line in text.splitlines(keepends=True) if line.startswith("#"))
    answers["ejected"] = dict(sorted((ejected | {path: reason.strip()}).items()))
    partial = ANSWERS.with_suffix(".partial")
    # As Copier writes it, so that the next update finds no difference.
    partial.write_text(head + yaml.safe_dump(answers, allow_unicode=True, width=80), "utf-8")
    partial.replace(ANSWERS)
    return True


def main() -> int:
    """Eject one file, and say what that means."""
    shield()
    path = os.environ.get("FILE", "")
    try:
        is_new = eject(path, os.environ.get("REASON", ""))
    except (NotDoneError, OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        print(f"not done: {str(error) or 'interrupted'}", file=sys.stderr)
        return error.code if isinstance(error, NotDoneError) else 1
    print(f"ejected: {path} is yours; no update brings or removes it" if is_new else f"ejected already: {path}")
    print(f"next: commit {ANSWERS}" if is_new else f"its reason stands in {ANSWERS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
