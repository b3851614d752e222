"""Adds a domain to this service: routes, rules, queries, a table with its revision, tests, recorded answers.

Usage: DOMAIN_NAME=orders [DOMAIN_ONE=order] [DOMAIN_FIELDS='title:text(1..80)'] .venv/bin/python ops/domain.py
Nothing that is there is changed, but for a recorded contract/<version>/openapi.json. Standard library only.
Exit codes: 0 done, 1 not done, nothing is left of it, 2 wrong use, nothing was written.
"""

import json
import os
import signal
import sys
from pathlib import Path

from copies import NotDoneError, tell
from domain_aside import COPY, aside, move_in, require_only, run
from domain_fields import Field, read_fields
from domain_names import VERBS, Names, newest_version, read_names, require_free
from domain_tests import bodies, suite_files
from domain_texts import api_files, domain_files

DEFAULT_FIELDS = "name:text(1..80)"


def main() -> int:
    """Add the domain that the environment names."""
    for each in (signal.SIGTERM, signal.SIGHUP):  # undone as after Ctrl-C
        if signal.getsignal(each) is not signal.SIG_IGN:  # as behind nohup
            signal.signal(each, signal.default_int_handler)
    try:
        names = read_names(os.environ.get("DOMAIN_NAME", ""), os.environ.get("DOMAIN_ONE", ""))
        fields = read_fields(os.environ.get("DOMAIN_FIELDS", "") or DEFAULT_FIELDS, names.key)
        paths = add(names, fields, newest_version())
    except (NotDoneError, OSError, UnicodeError, KeyboardInterrupt) as error:
        told = "interrupted; nothing is left of it" if isinstance(error, KeyboardInterrupt) else error
        print(f"not done: {told}", file=sys.stderr)
        return error.code if isinstance(error, NotDoneError) else 1
    print("\n".join(f"wrote {path}" for path in paths))
    print(f"one of the {names.words} is {names.a_word}; next: make migrate, make check, make test; then commit")
    return 0


def add(names: Names, fields: list[Field], version: str) -> list[str]:
    """Make it aside, then move it in; returns the paths of its files.

    Raises:
        NotDoneError: something has one of the names, or what is there does not work.
    """
    with aside():
        require_free(names, version)
        tell("making the files")
        written = write(names, fields, version)
        run("ruff", "check", "--quiet", "--fix-only", "--select", "I,F401", *written)
        run("ruff", "format", "--quiet", *written)
        tell("making the revision")
        revision = Path(run("app", "migration", f"create {names.many}").strip())
        require_only(revision, names.many)
        tell("recording what clients get")
        recorded = record(names, fields, version)
        paths = [*written, f"migrations/versions/{revision.name}", *recorded]
        move_in(paths)
    return paths


def write(names: Names, fields: list[Field], version: str) -> list[str]:
    """Write the files of the domain into the copy."""
    has_auth = Path("src/app/chassis/auth").is_dir()
    # Who names no version gets the oldest.
    root = f"/{version}" if len(list(Path("src/app/api").glob("v[0-9]*/"))) > 1 else ""
    folders = {
        f"src/app/domains/{names.many}": domain_files(names, fields),
        f"src/app/api/{version}/{names.many}": api_files(names, fields, version, has_auth=has_auth),
        f"tests/{names.many}": suite_files(names, fields, root),
    }
    files = {f"{folder}/{name}": text for folder, texts in folders.items() for name, text in texts.items()}
    for path, text in files.items():
        (COPY / path).parent.mkdir(parents=True, exist_ok=True)
        (COPY / path).write_text(text, "utf-8")
    return list(files)


def record(names: Names, fields: list[Field], version: str) -> list[str]:
    """Record the cases of the new routes; those that no request can be made up for are begun here."""
    folder = COPY / "contract" / version
    one = f"/{version}/{names.many}/{{/{version}/{names.many}#/data/0/id}}"
    for verb, method, more in (("replace", "PUT", {"body": bodies(fields)[1]}), ("delete", "DELETE", {})):
        case = folder / f"{verb}_{names.one}/{names.one}_changed.json"
        case.parent.mkdir(parents=True, exist_ok=True)
        request = {"method": method, "path": one, "headers": {"If-Match": '"99"'}} | more
        case.write_text(json.dumps({"request": request}), "utf-8")
    document = folder / "openapi.json"
    is_recorded = document.exists()
    run("app", "contract", "record")
    operations = [f"list_{names.many}", *(f"{verb}_{names.one}" for verb in VERBS)]
    found = [path for operation in operations for path in sorted((folder / operation).glob("*.json"))]
    return [path.relative_to(COPY).as_posix() for path in [*found, *[document] * is_recorded]]


if __name__ == "__main__":
    sys.exit(main())
