"""Notes of changes: a person says why, the machine what, and with which result. Standard library only.

Usage: python3 ops/changes.py new NAME        begins changes/<date>-<name>.md; commit it with the change
       python3 ops/changes.py shipped [NOTE]  adds files, command, result and measures, once it is deployed; then
                                              writes CHANGELOG.md anew between its two marks
       python3 ops/changes.py check           says what the notes lack
Exit codes: 0 good, 1 a note lacks something, or the deployment is not recorded as a success, 2 wrong use, or not to be
read.
"""

import argparse
import re
import sys
from datetime import datetime
from pathlib import Path

from notes import ASKED, FOLDER, Note, RefusedError, notes
from records import UnreadableError
from shipping import CHANGELOG, shipped, write_changelog


def new(name: str) -> Path:
    """Begin a note.

    Raises:
        RefusedError: the name has nothing to make a file's name of, or the note is there.
    """
    slug = "-".join(re.findall(r"[a-z0-9]+", name.lower()))[:60].strip("-")
    if not slug:
        raise RefusedError(f"{name!r} has no letters for a file's name; expected such as 'faster list of orders'", 2)
    path = FOLDER / f"{datetime.now().astimezone():%Y-%m-%d}-{slug}.md"
    asked = "".join(f"- **{field}:** <!-- {hint} -->\n" for field, hint in ASKED.items())
    FOLDER.mkdir(exist_ok=True)
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(f"# {' '.join(name.split())}\n\n{asked}")
    except FileExistsError:
        raise RefusedError(f"{path} is there; expected another name") from None
    return path


def chosen(name: str | None) -> Note:
    """The note of that name or path, else the only one that is not shipped.

    Raises:
        RefusedError: it is not one.
    """
    waiting = [note for note in notes() if not note.is_shipped]
    found = [note for note in waiting if name is None or name in str(note.path)]
    if len(found) != 1:
        names = ", ".join(str(note.path) for note in waiting) or "none"
        raise RefusedError(
            f"{len(found)} notes wait to be shipped as {name or 'the only one'}; expected one of {names}", 2
        )
    return found[0]


def main(arguments: list[str] | None = None) -> int:
    """Do what the command line says; returns the exit code."""
    parser = argparse.ArgumentParser(description="Notes of changes.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("new").add_argument("name")
    verbs.add_parser("shipped").add_argument("note", nargs="?")
    verbs.add_parser("check")
    options = parser.parse_args(arguments)
    try:
        if options.verb == "new":
            print(f"written: {new(options.name)}; say what it asks, and commit it with the change")
        elif options.verb == "shipped":
            note = chosen(options.note)
            before = note.path.read_bytes()
            try:
                shipped(note)
                write_changelog()
            except (OSError, ValueError):
                note.path.write_bytes(before)
                raise
            print(f"written: {note.path}, {CHANGELOG}; commit both")
        else:
            gaps = [gap for note in notes() for gap in note.gaps()]
            print("\n".join(gaps) or f"{len(notes())} notes, no gap")
            return 1 if gaps else 0
    except RefusedError as error:
        print(error, file=sys.stderr)
        return error.code
    except (UnreadableError, OSError, ValueError, KeyError, TypeError) as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
