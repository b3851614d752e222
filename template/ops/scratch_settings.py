"""Which settings a scratch copy gets: no secret, no place of the service's own. Standard library only."""

import json
import os
import re
import socket
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from releases import NotDeployedError, setting_names
from settings import LINE

HIDDEN, REQUIRED = "[hidden]", "(required)"
# What a copy must have of its own; names with these endings say where something is that belongs to the service.
OWN = {
    "DEPLOY_DRIVER": "process: containers have one name on a machine",
    "DEPLOY_ID": "its own deployments",
    "HOST": "127.0.0.1",
}
PLACES = ("_URL", "_FILE", "_FOLDER")


@dataclass(frozen=True)
class Told:
    """Names of settings as the service says them: all, those that hold a secret, those that must be given."""

    all: set[str]
    secrets: set[str]
    required: set[str]


def settings_here() -> dict[str, str]:
    """What this service is told, by name: `.env`, then the environment, which wins."""
    file = Path(os.environ.get("ENV_FILE") or ".env")
    found = {}
    for line in file.read_text("utf-8-sig", "replace").splitlines() if file.is_file() else []:
        if match := LINE.fullmatch(line):
            found[match[1].upper()] = next(filter(None, match.groups()[1:]), "")
    return found | {name: os.environ[name] for name in setting_names(Path()) if name in os.environ}


def settings_of_copy(settings: dict[str, str], differences: dict[str, str]) -> dict[str, str]:
    """The settings of the copy; writes down what is other, never a value that is secret."""
    told = _told()
    secrets, required, known = told.secrets, told.required, told.all | setting_names(Path())
    copied = {}
    for name, value in settings.items():
        if name in OWN:
            differences[name] = OWN[name]
        elif name.endswith(PLACES) and name in required:
            scheme, is_url, _ = value.partition("://")
            differences[name] = "a place where nobody is: the service must have one"
            copied[name] = f"{scheme}://127.0.0.1:9/" if is_url else f"var/rehearsal-of-{name}"
        elif name.endswith(PLACES):
            differences[name] = "left out: the copy has its own place, or none"
        elif name not in known:
            differences[name] = "left out: no setting of the service, so it may be a secret"
        elif name in secrets and value.lstrip()[:1] in ("{", "["):
            differences[name] = "left out: a name cannot stand for it"
        elif name in secrets or re.search(r"://[^/\s]*:[^/\s]*@", value):
            differences[name] = "its name in place of the secret"
            copied[name] = f"rehearsal-of-{name}"
        else:
            copied[name] = value
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(3)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        port, *others = (str(one.getsockname()[1]) for one in sockets)
    differences |= {"PORT": f"{port}, a free one", "DEPLOY_PORTS": "free ones"}
    return copied | {"PORT": port, "DEPLOY_PORTS": ",".join(others)}


def _told() -> Told:
    """What the installed service says of its settings.

    Raises:
        NotDeployedError: it is not installed, or does not say.
    """
    command = [".venv/bin/python", "-m", "app", "settings", "--json"]
    environment = {**os.environ, "PYTHONPATH": "src"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        rows = json.loads(done.stdout)
        return Told(
            {row["variable"] for row in rows},
            {row["variable"] for row in rows if HIDDEN in row["value"]},
            {row["variable"] for row in rows if row["default"] == REQUIRED},
        )
    except (OSError, ValueError, KeyError, TypeError):
        raise NotDeployedError(
            "it is not known which settings are secret: python -m app settings failed; expected `make setup` before", 2
        ) from None


def quoted(name: str, value: str) -> str:
    """A value as a line of .env has it.

    Raises:
        NotDeployedError: no line can have it.
    """
    if re.fullmatch(r"[^\s'\"#]+", value):
        return value
    mark = next((mark for mark in "'\"" if mark not in value and "\n" not in value and "\\" not in value), None)
    if mark is None:
        raise NotDeployedError(f"{name} fits no line of .env; expected quotes of one kind, and no backslash", 2)
    return f"{mark}{value}{mark}"
