"""A scratch copy of this service for a rehearsal: its commit, its settings without secrets, its rows."""

import json
import os
import re
import shutil
import socket
import subprocess
from collections.abc import Collection
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path

from programs import environment_of_operator
from releases import NotDeployedError, git, of_head, setting_names
from settings import LINE
from telling import say

FOLDER = Path("var/rehearsal")
HIDDEN = "[hidden]"
# What a copy must have of its own; names with these endings say where something is that belongs to the service.
OWN = {
    "DEPLOY_DRIVER": "process: containers have one name on a machine",
    "DEPLOY_ID": "its own deployments",
    "HOST": "127.0.0.1",
}
PLACES = ("_URL", "_FILE", "_FOLDER")


@dataclass
class Scratch:
    """The copy: its folder, the environment its programs get, and what is other than in the service."""

    folder: Path
    environment: dict[str, str]
    differences: dict[str, str] = field(default_factory=dict)

    def run(self, *command: str, **more: str) -> subprocess.CompletedProcess[str]:
        """Run a program in the copy; what it prints is kept for the report, and shown if it fails."""
        return subprocess.run(
            command, cwd=self.folder, env=self.environment | more, capture_output=True, text=True, check=False
        )

    def commit(self, message: str) -> None:
        """Commit all of the copy."""
        identity = [
            "-c",
            "user.name=rehearsal",
            "-c",
            "user.email=rehearsal@example.invalid",
            "-c",
            "commit.gpgsign=false",
        ]
        for arguments in (["add", "--all"], [*identity, "commit", "--quiet", "--no-verify", "--message", message]):
            done = self.run("git", *arguments)
            if done.returncode:
                raise NotDeployedError(f"the copy cannot be committed: {done.stderr.strip()}", 2)

    def clear(self) -> None:
        """Stop what runs in the copy and remove it."""
        for command in (("python3", "ops/deploy.py", "down", "--forget"), ("python3", "ops/process.py", "stop")):
            with suppress(OSError):
                self.run(*command)
        shutil.rmtree(self.folder, ignore_errors=True)


def made() -> Scratch:
    """Copy the commit that is checked out, with the settings of now; what a rehearsal left that was killed goes first.

    Raises:
        NotDeployedError: it is not all in a commit, or cannot be copied.
    """
    of_head()
    whole, below = cleared()
    git("clone", "--quiet", "--local", "--no-hardlinks", git("rev-parse", "--show-toplevel").strip(), str(whole))
    git("-C", str(whole), "remote", "remove", "origin")  # it is this repository: what is rehearsed pushes nothing there
    folder = (whole / below).resolve()
    if Path("uv.lock").is_file() and not (folder / "uv.lock").exists():
        shutil.copy2("uv.lock", folder)
    settings = _settings()
    environment = _environment(settings)
    tools = [str((place / ".tools/bin").resolve()) for place in (Path(), folder)]  # uv, where `make setup` brought it
    environment["PATH"] = os.pathsep.join((*tools, os.environ.get("PATH", os.defpath)))
    one = Scratch(folder, environment)
    lines = [f"{key}={_quoted(value)}" for key, value in _copied(settings, one.differences).items()]
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return one


def cleared() -> tuple[Path, Path]:
    """Stop and remove the copy that is there; returns where a copy goes, and where this service is in it."""
    top = Path(git("rev-parse", "--show-toplevel").strip()).resolve()
    whole, below = FOLDER / "copy", Path.cwd().resolve().relative_to(top)
    if whole.exists():
        Scratch((whole / below).resolve(), _environment(_settings())).clear()
        shutil.rmtree(whole, ignore_errors=True)
    return whole, below


def _environment(settings: Collection[str]) -> dict[str, str]:
    """The operator's, without a setting: what is said of the service is not said of its copy."""
    names = {*setting_names(Path()), *settings, "ENV_FILE"}
    return {key: value for key, value in environment_of_operator().items() if key.upper() not in names}


def _settings() -> dict[str, str]:
    """What this service is told, by name: `.env`, then the environment, which wins."""
    file = Path(os.environ.get("ENV_FILE") or ".env")
    found = {}
    for line in file.read_text("utf-8-sig", "replace").splitlines() if file.is_file() else []:
        if match := LINE.fullmatch(line):
            found[match[1].upper()] = next(filter(None, match.groups()[1:]), "")
    return found | {name: os.environ[name] for name in setting_names(Path()) if name in os.environ}


def _copied(settings: dict[str, str], differences: dict[str, str]) -> dict[str, str]:
    """The settings of the copy; writes down what is other, never a value that is secret."""
    secrets, known = _secrets()
    known |= setting_names(Path())
    copied = {}
    for name, value in settings.items():
        if name in OWN:
            differences[name] = OWN[name]
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


def _secrets() -> tuple[set[str], set[str]]:
    """Settings that hold a secret, and all, as the installed service says.

    Raises:
        NotDeployedError: it does not.
    """
    command = [".venv/bin/python", "-m", "app", "settings", "--json"]
    environment = {**os.environ, "PYTHONPATH": "src"}
    try:
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        rows = {row["variable"]: row["value"] for row in json.loads(done.stdout)}
        return {name for name, value in rows.items() if HIDDEN in value}, set(rows)
    except (OSError, ValueError, KeyError, TypeError):
        raise NotDeployedError(
            "it is not known which settings are secret: python -m app settings failed; expected `make setup` before", 2
        ) from None


def _quoted(value: str) -> str:
    """A value as a line of .env has it.

    Raises:
        NotDeployedError: no line can have it.
    """
    mark = next((mark for mark in "'\"" if mark not in value and "\n" not in value and "\\" not in value), None)
    if mark is None:
        raise NotDeployedError("a setting of the environment holds quotes of both kinds; expected one kind", 2)
    return f"{mark}{value}{mark}"


def fill(one: Scratch) -> str | None:
    """Install the copy, and bring in keys and the rows of a backup; returns why the rows are not there, or None.

    Raises:
        NotDeployedError: it cannot be installed.
    """
    steps = [["make", "setup"], ["make", "migrate"]]
    if (one.folder / "src/app/chassis/auth").is_dir():
        steps.insert(1, ["make", "keys", "ARGS=new"])
    for command in steps:
        done = one.run(*command)
        if done.returncode:
            last = (done.stderr or done.stdout).strip()[-300:]
            raise NotDeployedError(f"the copy's `{' '.join(command)}` failed: {last}")
    backups = (one.folder / "var/backups").resolve()
    made_ = subprocess.run(
        ["python3", "ops/backup.py", "--quick", "--to", str(backups)], capture_output=True, text=True, check=False
    )
    copies = sorted(backups.glob("*.db")) + sorted(backups.glob("*.dump"))
    if made_.returncode or not copies or copies[-1].suffix != ".db":
        return "the service's rows are not in SQLite" if copies else "the service has no database to copy"
    done = one.run("python3", "ops/restore.py", "--yes", "--newer", "--", str(copies[-1]))
    say(f"rows: {copies[-1].name}")
    return None if done.returncode == 0 else done.stderr.strip()
