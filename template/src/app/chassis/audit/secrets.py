"""Where secrets lie, and whether anything gives them away.

May import checks, observability, settings, shapes, target.
"""

import re
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr

from app.chassis.audit.checks import Finding, judged
from app.chassis.audit.shapes import is_env_file, secrets_in
from app.chassis.audit.target import Target
from app.chassis.observability.redact import HIDDEN, redact
from app.chassis.settings import env_file, weak_secrets

__all__ = ["committed", "echo", "env_committed", "env_mode", "key_files", "strength"]

_MAX_BYTES = 1_048_576
_GIT_SECONDS = 60.0
_PLANTED = "planted-7f3a9c51e2"
_CODE, _EXAMPLES = (".py", ".pyi", ".js", ".ts", ".go", ".tf"), ("tests/", "contract/")


def strength(target: Target) -> Finding:
    """Production judges them at its start; elsewhere one that is not set cannot be judged."""
    names = [name for name, field in type(target.settings).model_fields.items() if "SecretStr" in str(field.annotation)]
    given = {name.upper() for name in names if name in target.settings.model_fields_set}
    told = list(weak_secrets(target.settings))
    bad = [f"{name} {problem.partition(';')[0]}" for name, problem in told if name in given]
    unclear = [f"{name} is not set here" for name, _ in told if name not in given]
    return judged(f"{len(names)} settings", bad, unclear, "strong enough")


def env_mode(target: Target) -> Finding:
    """Whoever may read such a file has every secret in it: settings, and files of keys that they name."""
    files = [target.root / name for name in (env_file(), *key_files(target)) if (target.root / name).is_file()]
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in files}
    bad = [f"{name} has mode {mode:o}" for name, mode in modes.items() if mode & 0o077]
    return judged(", ".join(modes) or env_file().name, bad, [], "so" if modes else "there is none")


def key_files(target: Target) -> list[Path]:
    """Files of secrets that the settings name."""
    return [value for name, value in target.settings if isinstance(value, Path) and redact("", name) == HIDDEN]


def env_committed(target: Target) -> Finding:
    """A commit is not undone by the next one."""
    listed = _git(target.root, "ls-files", "--", "*.env*")
    logged = _git(target.root, "log", "--all", "--diff-filter=A", "--format=", "--name-only", "--", "*.env*")
    if listed is None or logged is None:
        return Finding("UNKNOWN", "git", "no commit that could be looked at")
    return judged("every commit", sorted(filter(is_env_file, {*listed, *logged})), [], "none")


def committed(target: Target) -> Finding:
    """The service's own secrets are looked for by value, others by shape; tests/chassis plants made-up ones."""
    names = _git(target.root, "ls-files")
    if not names:
        return Finding("UNKNOWN", "git", "no tracked files here")
    own = list(_own_values(target))
    theirs = [name for name in names if not name.startswith("tests/chassis/")]
    bad = [place for name in theirs for place in _places(target.root, name, own)]
    return judged(f"{len(names)} tracked files", bad, [], "none")


def _own_values(target: Target) -> Iterator[str]:
    for name in type(target.settings).model_fields:
        held = getattr(target.settings, name)
        for value in held.values() if isinstance(held, dict) else held if isinstance(held, list | tuple) else [held]:
            plain = value.get_secret_value() if isinstance(value, SecretStr) else _password(value)
            if len(plain) >= 8:
                yield plain


def _password(value: Any) -> str:
    """What stands for a password in a setting that is an address."""
    try:
        return unquote(urlsplit(value).password or "") if isinstance(value, str) else ""
    except ValueError:
        return ""


def _places(root: Path, name: str, own: list[str]) -> Iterator[str]:
    path = root / name
    if not path.is_file() or path.stat().st_size > _MAX_BYTES:
        return
    text = path.read_bytes().decode(errors="replace")
    if "\0" in text:
        return
    shapes = secrets_in(text, is_code=name.endswith(_CODE), has_examples=name.startswith(_EXAMPLES))
    places = [*(text.find(value) for value in own), *shapes]
    for line in sorted({text.count("\n", 0, place) + 1 for place in places if place >= 0}):
        yield f"{name}:{line}"


def _git(root: Path, *arguments: str) -> list[str] | None:
    try:
        done = subprocess.run(  # noqa: S603  # our own arguments
            ["git", "-c", "core.quotePath=off", *arguments],  # noqa: S607  # the one on PATH
            cwd=root, capture_output=True, text=True, check=False, timeout=_GIT_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return [line for line in done.stdout.splitlines() if line] if done.returncode == 0 else None


def echo(target: Target) -> Finding:
    """A made-up value is sent in path, query, headers and body; nothing that is asked does any work."""
    told = {
        f"/{version}{path}": item for version, one in target.contracts.items() for path, item in one["paths"].items()
    }
    lists = [path for path, item in told.items() if "get" in item]
    asked = [("GET", f"{target.absent}/{_PLANTED}"), ("POST", target.absent)]
    asked += [("GET", re.sub(r"\{[^}]*\}", _PLANTED, path) + f"?limit={_PLANTED}&page={_PLANTED}") for path in lists]
    headers = {"Authorization": f"Bearer {_PLANTED}", "Cookie": f"session={_PLANTED}", "X-API-Version": _PLANTED}
    bad = []
    for method, path in asked:
        for some in ({}, headers | {"Content-Type": "application/json"}):
            answer = target.ask(method, path, some, f'"{_PLANTED}"'.encode() if method == "POST" else None)
            if answer.status < 400:
                continue  # a resource may be called as it was asked for
            if _PLANTED.encode() in answer.body or any(_PLANTED in value for _, value in answer.headers):
                bad.append(f"{method} {path.replace(_PLANTED, '…').replace(target.absent, '/unknown')}")
    return judged(f"{len(asked)} paths", sorted(set(bad)), [], "nothing")
