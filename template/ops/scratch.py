"""A scratch copy of this service for a rehearsal: its commit, its settings without secrets, its rows."""

import os
import shutil
import subprocess
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from programs import environment_of_operator
from releases import NotDeployedError, git, of_head, setting_names
from scratch_settings import quoted, settings_here, settings_of_copy
from telling import say

FOLDER = Path("var/rehearsal")


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
        identity = ["-c", "user.name=rehearsal", "-c", "user.email=rehearsal@example.invalid"]
        plainly = [*identity, "-c", "commit.gpgsign=false", "commit", "--quiet", "--no-verify"]
        for arguments in (["add", "--all"], [*plainly, "--message", message]):
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
    settings = settings_here()
    environment = _environment(settings)
    tools = [str((place / ".tools/bin").resolve()) for place in (Path(), folder)]  # uv, where `make setup` brought it
    environment["PATH"] = os.pathsep.join((*tools, os.environ.get("PATH", os.defpath)))
    one = Scratch(folder, environment)
    lines = [f"{key}={quoted(key, value)}" for key, value in settings_of_copy(settings, one.differences).items()]
    (folder / ".env").touch(mode=0o600)
    (folder / ".env").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return one


def cleared() -> tuple[Path, Path]:
    """Stop and remove the copy that is there; returns where a copy goes, and where this service is in it."""
    top = Path(git("rev-parse", "--show-toplevel").strip()).resolve()
    whole, below = FOLDER / "copy", Path.cwd().resolve().relative_to(top)
    if whole.exists():
        Scratch((whole / below).resolve(), _environment(settings_here())).clear()
        shutil.rmtree(whole, ignore_errors=True)
    return whole, below


def _environment(settings: Collection[str]) -> dict[str, str]:
    """The operator's, without a setting: what is said of the service is not said of its copy."""
    names = {*setting_names(Path()), *settings, "ENV_FILE"}
    return {key: value for key, value in environment_of_operator().items() if key.upper() not in names}


def _record_contract(one: Scratch) -> None:
    """What a service that was released has: without it nothing could be compared."""
    if not (has := any(one.folder.glob("contract/v*/openapi.json"))):
        one.run("make", "contract")
    if not has and any(one.folder.glob("contract/v*/openapi.json")):
        one.commit("contract")
        one.differences["the contract"] = "recorded there; `make contract` records yours"
        say(f"other in the copy: the contract: {one.differences['the contract']}")


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
    _record_contract(one)
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
