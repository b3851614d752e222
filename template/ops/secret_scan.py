"""Looks for secrets in what git holds: in every file, and in every commit that no tag holds. Needs detect-secrets.

Usage: uv tool run --from 'detect-secrets>=1.5,<2' python -X utf8 ops/secret_scan.py, with src on PYTHONPATH
Beside that tool's detectors, the shapes of the audit are looked for; the audit's rule says what only stands for a
secret. What is none is accepted in pyproject.toml, with a reason: docs/chassis/ci.md. No secret is printed.
Exit codes: 0 nothing found, 1 something found, 2 wrong use, or it could not be told.
"""

import hashlib
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from copies import NotDoneError
from detect_secrets.core.scan import scan_file
from detect_secrets.settings import default_settings
from repository import git

from app.chassis.audit.shapes import is_made_up, secrets_in

MAX_BYTES = 1_048_576
CODE, EXAMPLES = (".py", ".pyi", ".js", ".ts", ".go", ".tf"), ("tests/", "contract/")
# Tests of the logs and of the audit plant what looks most real.
PLANTED = "tests/chassis/"
# In hashes, revisions and addresses these find more than anybody would look at.
TOO_LOUD = ("Base64HighEntropyString", "HexHighEntropyString", "IPPublicDetector")
# The first takes no reason; by the others a file's name alone would keep it from being looked at.
NOT_ASKED = ("allowlist.is_line_allowlisted", "heuristic.is_non_text_file", "heuristic.is_swagger_file")
BY_NAME = {"Secret Keyword", "Basic Auth Credentials"}
EXPECTED = "expected the repository that holds this service"
ACCEPT = 'accept it in pyproject.toml: [[tool.chassis.accepted_secrets]] with id = "{}" and reason = "why it is none"'


@dataclass(frozen=True)
class Found:
    """A line that holds what looks like a secret; `id` names it without telling it, in any commit."""

    path: str
    line: int
    kind: str
    id: str


def looks(path: str, file: Path) -> Iterator[Found]:
    """What a file holds, the file that stands at this path in the service."""
    text = file.read_bytes().decode(errors="replace")
    lines = text.split("\n")
    has_examples = path.startswith(EXAMPLES)
    kinds: dict[int, str] = {}
    for place in secrets_in(text, is_code=path.endswith(CODE), has_examples=has_examples):
        kinds[text.count("\n", 0, place) + 1] = "a secret by its shape"
    for one in scan_file(str(file)):
        is_example = one.type in BY_NAME and (has_examples or is_made_up(one.secret_value or ""))
        if not is_example:
            kinds[one.line_number] = one.type
    for number, kind in sorted(kinds.items()):
        told = lines[number - 1 : number + 2] if "PRIVATE KEY" in lines[number - 1] else [lines[number - 1].strip()]
        yield Found(path, number, kind, hashlib.sha256("\n".join((path, *told)).encode()).hexdigest()[:12])


def tracked() -> dict[str, str]:
    """Name of its content as git has it, by path, of every file that git holds here."""
    rows = [row.partition("\t") for row in git("ls-files", "--stage", "-z").split("\0") if row]
    return {path: told.split()[1] for told, _, path in rows}


def new_objects() -> Iterator[tuple[str, str]]:
    """Name and path of what commits hold that no tag holds; one path, if it stood at several."""
    prefix = git("rev-parse", "--show-prefix").strip()
    for line in git("rev-list", "--objects", "HEAD", "--not", "--tags", "--", ".").splitlines():
        name, _, path = line.partition(" ")
        if path.startswith(prefix) and path != prefix:
            yield name, path.removeprefix(prefix)


def has_commits() -> bool:
    """Whether git holds a commit.

    Raises:
        NotDoneError: no repository, or one without its history.
    """
    try:
        is_shallow = git("rev-parse", "--is-shallow-repository").strip() == "true"
    except (OSError, subprocess.CalledProcessError) as error:
        raise NotDoneError(f"no git, or no repository; {EXPECTED}", 2) from error
    if not git("ls-files", "--", "pyproject.toml"):
        raise NotDoneError(f"git holds no pyproject.toml here; {EXPECTED}", 2)
    if is_shallow:
        raise NotDoneError(
            "a shallow clone does not show every commit; expected the whole history: "
            "`git fetch --unshallow --tags`, in CI fetch-depth: 0 or GIT_DEPTH: 0",
            2,
        )
    try:
        return bool(git("rev-parse", "--verify", "--quiet", "HEAD"))
    except subprocess.CalledProcessError:
        return False


def accepted() -> dict[str, str]:
    """Reasons by id, as pyproject.toml gives them.

    Raises:
        NotDoneError: pyproject.toml cannot be read, or an entry lacks id or reason.
    """
    try:
        chassis = tomllib.loads(Path("pyproject.toml").read_text("utf-8")).get("tool", {}).get("chassis", {})
        entries = [(entry["id"].strip(), entry["reason"].strip()) for entry in chassis.get("accepted_secrets", [])]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotDoneError(
            f"accepted_secrets of pyproject.toml: {error!r}; expected id and reason of each", 2
        ) from error
    if not all(id_ and reason for id_, reason in entries):
        raise NotDoneError("accepted_secrets of pyproject.toml: one lacks id or reason; expected both", 2)
    return dict(entries)


def is_looked_at(path: str) -> bool:
    """Whether what stands there may hold a secret: no lock, no test that plants some."""
    return not path.startswith(PLANTED) and Path(path).name != "uv.lock"


def scan() -> tuple[list[tuple[Found, str]], int, int]:
    """What is found, each with the commit that brought it if no file has it any more; files and commits looked at."""
    here = tracked()
    files = [path for path in here if is_looked_at(path) and is_text(Path(path))]
    found = [(one, "") for path in files for one in looks(path, Path(path))]
    known, many = {one for one, _ in found}, 0
    if has_commits():
        many = int(git("rev-list", "--count", "HEAD", "--not", "--tags", "--", "."))
        edited = set(git("diff", "--name-only", "--relative", "-z").split("\0"))
        held = {name for path, name in here.items() if path not in edited}
        for name, path in new_objects():
            if name in held or not is_looked_at(path):
                continue
            for one in looks_at_object(name, path):
                if all(one.id != other.id for other in known):
                    known.add(one)
                    found.append((one, git("log", "--format=%h", "--reverse", f"--find-object={name}").split("\n")[0]))
    return found, len(files), many


def is_text(file: Path) -> bool:
    """Whether it is a file of text that is not huge."""
    return file.is_file() and file.stat().st_size <= MAX_BYTES and b"\0" not in file.read_bytes()


def looks_at_object(name: str, path: str) -> list[Found]:
    """What a file holds that is only in commits; a folder, or what was put in place of a file, holds nothing."""
    if git("cat-file", "-t", name).strip() != "blob" or int(git("cat-file", "-s", name)) > MAX_BYTES:
        return []
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, Path(path).name)  # the tool looks at the ending
        file.write_bytes(git("cat-file", "blob", name).encode("utf-8", "surrogateescape"))
        return list(looks(path, file)) if is_text(file) else []


def main() -> int:
    """Look, and tell what is found; returns the exit code."""
    reasons = accepted()
    with default_settings() as settings:
        settings.disable_plugins(*TOO_LOUD)
        settings.disable_filters(*(f"detect_secrets.filters.{name}" for name in NOT_ASKED))
        found, files, commits = scan()
    bad = [(one, commit) for one, commit in found if one.id not in reasons]
    for one, commit in bad:
        where = f"{one.path}:{one.line}{f' of commit {commit}' if commit else ''}"
        print(f"{where}: {one.kind}; change the secret, then remove it, or {ACCEPT.format(one.id)}")
    for unused in sorted(set(reasons) - {one.id for one, _ in found}):
        print(f"note: accepted, and not found: {unused}")
    unread = sum(is_looked_at(path) and Path(path).is_file() and not is_text(Path(path)) for path in tracked())
    print(
        f"{len(bad)} found, {len(found) - len(bad)} accepted; {files} files and {commits} commits looked at, "
        f"{unread} files not: no text, or larger than 1 MB"
    )
    return 1 if bad else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (NotDoneError, OSError, subprocess.CalledProcessError) as error:
        print(f"could not tell: {error}", file=sys.stderr)
        sys.exit(2)
