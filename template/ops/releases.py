"""What is deployed: a commit, in a folder of its own, with the settings of that day. Standard library only."""

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from repository import git_or
from settings import LINE

FOLDER = Path("var/deploy/releases")
SETTINGS, PROCESS = ".env", "environment.json"
NAME = re.compile(r"#?([A-Z][A-Z0-9_]*)=")
# A release takes what others give it: where it listens, which deployment it is.
OURS = frozenset(("HOST", "PORT", "DEPLOY_ID", "ENV_FILE"))
ENOUGH_BYTES = 512 << 20


class NotDeployedError(Exception):
    """What failed, what was expected, what to do. `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


# What git prints; NotDeployedError says why it failed.
git = partial(git_or, NotDeployedError)


@dataclass(frozen=True)
class Release:
    """A commit that was deployed at some time; its `id` is the deployment's, and the name of its folder."""

    id: str
    version: str
    commit: str

    @property
    def folder(self) -> Path:
        """Its code, its environment and its settings; `var` there is the service's."""
        return FOLDER / self.id

    @property
    def told(self) -> str:
        """It for eyes."""
        return f"{self.version} ({self.id})"

    def environment(self) -> dict[str, str]:
        """What its process is told beside its `.env`: this machine's environment, and the settings of that day.

        Raises:
            NotDeployedError: it is not there.
        """
        try:
            kept = json.loads((self.folder / PROCESS).read_text("utf-8"))
        except (OSError, ValueError) as error:
            raise NotDeployedError(
                f"{self.told} cannot be started: {self.folder} is not as it was ({error}); `make deploy` makes another"
            ) from None
        names = set(kept["names"]) | OURS
        here = {name: value for name, value in os.environ.items() if name.upper() not in names}
        return here | kept["values"] | {"PYTHONPATH": "src"}

    def setting(self, name: str, default: str) -> str:
        """A setting as its process reads it."""
        values = {key.upper(): value for key, value in self.environment().items()}
        if name in values:
            return values[name] or default
        found = default
        path = self.folder / SETTINGS
        for line in path.read_text("utf-8-sig", "replace").splitlines() if path.is_file() else []:
            if (match := LINE.fullmatch(line)) and match[1].upper() == name:
                found = next(filter(None, match.groups()[1:]), default)
        return found


def of_head() -> Release:
    """The commit that is checked out.

    Raises:
        NotDeployedError: git does not hold all that is here, or there is no version.
    """
    commit = _head()
    told = git("status", "--porcelain", "-z", "--no-renames", "--untracked-files=normal", "--", ".")
    if changed := told.split("\0")[:-1]:
        raise NotDeployedError(
            f"{len(changed)} files are in no commit, such as {changed[0][3:]}; expected one, for a commit is deployed",
            2,
        )
    try:
        version = str(tomllib.loads(git("show", f"{commit}:./pyproject.toml"))["project"]["version"])
    except (ValueError, KeyError, TypeError):
        raise NotDeployedError("pyproject.toml names no version; expected one under [project]", 2) from None
    return Release(f"{moment()}-{commit[:8]}", version, commit)


def _head() -> str:
    command, english = ["git", "rev-parse", "--verify", "--quiet", "HEAD"], {**os.environ, "LC_ALL": "C"}
    done = subprocess.run(command, env=english, capture_output=True, text=True, check=False)
    if done.returncode and (not done.stderr or "not a git repository" in done.stderr):
        why = done.stderr.strip() or "there is none yet"
        raise NotDeployedError(f"git names no commit ({why}); expected one: git init, git add --all, git commit", 2)
    return git("rev-parse", "HEAD").strip()


def moment() -> str:
    """The time for a name: in UTC, to the millisecond, so that no two are the same."""
    now = datetime.now(UTC)
    return f"{now:%Y%m%dT%H%M%S}.{now.microsecond // 1000:03}Z"


def unpack(release: Release) -> None:
    """Write the commit into the release's folder, with the settings of now; whole, or not at all.

    Raises:
        NotDeployedError: git cannot tell, or tar cannot write.
        OSError: it cannot be written.
    """
    partial = release.folder.with_suffix(".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True, mode=0o700)
    archive = partial / ".archive.tar"
    git("archive", "--format=tar", f"--output={archive.absolute()}", release.commit)
    done = subprocess.run(["tar", "-xf", str(archive), "-C", str(partial)], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotDeployedError(f"the commit cannot be unpacked: {(done.stderr.splitlines() or ['tar failed'])[0]}")
    archive.unlink()
    if Path("uv.lock").is_file() and not (partial / "uv.lock").exists():
        shutil.copy2("uv.lock", partial)
    if (partial / "var").is_symlink():  # in the commit, for data that lies elsewhere
        (partial / "var").unlink()
    shutil.rmtree(partial / "var", ignore_errors=True)
    (partial / "var").symlink_to(Path("../../.."))
    _keep_settings(partial)
    partial.replace(release.folder)


def _keep_settings(folder: Path) -> None:
    """Beside the code: `.env`, and what of the environment is a setting. Nobody else may read them."""
    file = Path(os.environ.get("ENV_FILE") or SETTINGS)
    text = file.read_text("utf-8-sig", "replace") if file.is_file() else ""
    names = setting_names(folder) | {match[1].upper() for line in text.splitlines() if (match := LINE.fullmatch(line))}
    values = {name: value for name, value in os.environ.items() if name.upper() in names - OURS}
    told = {name.upper() for name in values} | {
        m[1].upper() for line in text.splitlines() if (m := LINE.fullmatch(line))
    }
    if "SECURITY_TRUSTED_PROXIES" not in told:  # there is one now, and limits count its clients
        values["SECURITY_TRUSTED_PROXIES"] = "1"
    for name, content in ((SETTINGS, text), (PROCESS, json.dumps({"names": sorted(names), "values": values}))):
        (folder / name).unlink(missing_ok=True)  # one of the commit may be a link to elsewhere
        (folder / name).touch(mode=0o600)
        (folder / name).write_text(content, encoding="utf-8")


def setting_names(folder: Path) -> set[str]:
    """Every setting there is, as `.env.example` of a service's folder names it."""
    example = folder / ".env.example"
    lines = example.read_text("utf-8").splitlines() if example.is_file() else []
    return {match[1] for line in lines if (match := NAME.match(line))}


def remove_all_but(kept: Collection[str], forget: Callable[[str], None]) -> None:
    """Take every other release from the disk, what is half written too; `forget` before, what lies elsewhere."""
    for path in FOLDER.iterdir() if FOLDER.is_dir() else ():
        if path.name not in kept:
            forget(path.name)
            shutil.rmtree(path, ignore_errors=True)


def require_room() -> None:
    """Refuse to begin on a disk that is nearly full.

    Raises:
        NotDeployedError: it is.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(FOLDER).free
    if free < ENOUGH_BYTES:
        raise NotDeployedError(
            f"the disk of {FOLDER} has {free >> 20} MB free; expected {ENOUGH_BYTES >> 20}: see `The disk is full`"
        )


def has(commit: str) -> bool:
    """Whether git has this commit."""
    command = ["git", "cat-file", "-e", f"{commit}^{{commit}}"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
