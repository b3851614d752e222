"""What backup.py and restore.py share: names, folder, lock, sums. Standard library only."""

import fcntl
import hashlib
import os
import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib import metadata
from pathlib import Path

from settings import setting

# One of our files, whole or half written. Nothing else is ever deleted.
OURS = re.compile(
    r"(?P<name>\d{8}T\d{6}Z-[0-9A-Za-z.+!_]+-(?:sqlite|postgresql)(?P<kept>-before-restore)?\.(?:db|dump))"
    r"(?P<rest>(?:\.sha256)?|(?:\.partial|\.scratch)(?:-journal|-wal|-shm)?)"
)
BLOCK_BYTES = 1 << 20

Tables = dict[str, tuple[int, int]]
"""Rows and checksum of each table; the order of the rows does not matter."""


class NotDoneError(Exception):
    """What failed, what was expected, what to do. `code` is the exit code."""

    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.code = code


def tell(step: str) -> None:
    """A line on standard error: what is done now, for it may take a while."""
    print(step, file=sys.stderr, flush=True)


@dataclass
class Content:
    """What a database or a backup holds; `revisions` are those of the team's tables."""

    tables: Tables
    revisions: set[str]


def sum_of(lines: Iterable[bytes]) -> tuple[int, int]:
    """Number of lines and a checksum of them in any order."""
    rows = total = 0
    for line in lines:
        rows += 1
        total += int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big")
    return rows, total % 2**64


def difference(expected: Tables, found: Tables) -> str:
    """Which tables differ, as words for the operator; empty if none does."""
    words = []
    for name in sorted(expected.keys() | found.keys()):
        there, here = expected.get(name), found.get(name)
        if there != here:
            counts = [str(one[0]) if one else "no table" for one in (there, here)]
            words.append(f"{name} ({counts[0]} expected, {counts[1]} found)")
    return ", ".join(words)


def backup_folder() -> Path:
    """Where backups are; its own, for old ones are deleted there.

    Raises:
        NotDoneError: BACKUP_FOLDER names no plain folder.
    """
    folder = setting("BACKUP_FOLDER", "var/backups")
    if "${" in folder or not folder.isprintable():
        raise NotDoneError("BACKUP_FOLDER names no plain folder; expected a path such as var/backups", 2)
    return Path(folder)


def how_many() -> int:
    """How many backups are kept.

    Raises:
        NotDoneError: BACKUP_KEEP is no number.
    """
    text = setting("BACKUP_KEEP", "14").strip()
    if not re.fullmatch(r"[0-9]{1,5}", text) or int(text) < 1:
        raise NotDoneError("BACKUP_KEEP cannot be used; expected a whole number from 1 to 99999", 2)
    return int(text)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Alone in the folder: what lies there half written is left of a run that was killed, and goes."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotDoneError(f"another backup or restore works in {folder}; wait until it is done") from None
        _sweep(folder)
        yield
        _sweep(folder)


def _sweep(folder: Path) -> None:
    """Remove what is half written, and sums of backups that are gone."""
    for path in list(folder.iterdir()):
        found = OURS.fullmatch(path.name)
        if found and found["rest"] and (found["rest"] != ".sha256" or not (folder / found["name"]).exists()):
            path.unlink(missing_ok=True)


def new_name(folder: Path, engine: str, suffix: str, note: str = "") -> Path:
    """A name that nothing has: time in UTC, version of the service, engine."""
    moment = datetime.now(UTC)
    version = re.sub(r"[^0-9A-Za-z.+!]", "_", service_version())
    while any(folder.glob(f"{moment:%Y%m%dT%H%M%SZ}-*")):
        moment += timedelta(seconds=1)
    return folder / f"{moment:%Y%m%dT%H%M%SZ}-{version}-{engine}{note}{suffix}"


def service_version() -> str:
    """Version of the service in this folder, else of the one that is installed."""
    try:
        return str(tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["version"])
    except (OSError, ValueError, KeyError, TypeError):
        names = metadata.packages_distributions().get("app", [])
        return metadata.version(names[0]) if names else "0+unknown"


def names(folder: Path, kept: str | None) -> list[str]:
    """Names of the backups in a folder, newest first; those that restores made if `kept` is "-before-restore"."""
    found = [match for path in folder.glob("*") if (match := OURS.fullmatch(path.name))]
    return sorted({match["name"] for match in found if match["kept"] == kept and not match["rest"]}, reverse=True)


def retire(folder: Path, keep: int, just_made: Path) -> list[str]:
    """Delete all but the newest backups, and all but the newest of those that restores made; return their names."""
    gone = []
    for kept in (None, "-before-restore"):
        for name in names(folder, kept)[keep:]:
            if name != just_made.name:
                (folder / name).unlink()
                (folder / f"{name}.sha256").unlink(missing_ok=True)
                gone.append(name)
    return sorted(gone)


def publish(partial: Path, target: Path) -> None:
    """Give a finished file its name; after a power cut it is there whole, or not at all."""
    digest = sha256(partial)
    Path(f"{target}.sha256").write_text(f"{digest}  {target.name}\n", encoding="utf-8")
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.rename(target)
    folder = os.open(target.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def sha256(path: Path) -> str:
    """The file's SHA-256, as sha256sum prints it."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def require_unchanged(path: Path) -> bool:
    """Whether a .sha256 beside the backup says that it is the file that was written; False if there is none.

    Raises:
        NotDoneError: it is another file, or damaged.
    """
    told = Path(f"{path}.sha256")
    if not told.is_file():
        return False
    if told.read_text("utf-8", "replace").split()[:1] != [sha256(path)]:
        raise NotDoneError(f"{path} is damaged: it is not the file that {told.name} describes; take another backup")
    return True
