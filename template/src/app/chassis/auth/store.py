"""Where the keys are: in the environment, or in a file that is read again when it changes.

May import keys, settings.
"""

import fcntl
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from app.chassis.auth.keys import KeyRing, KeysError
from app.chassis.auth.settings import AuthSettings

__all__ = ["KeyStore", "changing", "now", "read", "write"]

_log = logging.getLogger(__name__)
_LOOK_SECONDS = 1.0


def now() -> datetime:
    """The time, in UTC."""
    return datetime.now(UTC)


class KeyStore:
    """The service's own keys; none where it only takes tokens of others."""

    def __init__(self, settings: AuthSettings, *, may_make: bool) -> None:
        """Read the keys, or make a first one where `may_make` says so and there is no file.

        Raises:
            KeysError: begins with the setting to blame.
        """
        self._file = settings.auth_keys_file
        self._is_file = settings.auth_keys is None
        self._algorithms = settings.auth_algorithms
        self._seen: tuple[int, ...] | None = None
        self._look_at = 0.0
        self._problem = ""
        self._ring: KeyRing | None = None
        try:
            if settings.auth_keys is not None:
                self._take(KeyRing.parse(settings.auth_keys.get_secret_value()))
                return
            if may_make and not self._file.exists():
                with changing(self._file) as ring:
                    write(self._file, ring or KeyRing.of_one("ES256", now()))
            self._read()
        except KeysError as error:
            where = f"AUTH_KEYS_FILE: {self._file}" if self._is_file else "AUTH_KEYS:"
            raise KeysError(f"{where} {error}") from None

    def current(self) -> KeyRing | None:
        """The keys as they are now: a file that changed is seen within a second, unless it cannot be used."""
        if self._is_file and monotonic() >= self._look_at:
            try:
                self._read()
            except KeysError as error:
                if str(error) != self._problem:
                    self._problem = str(error)
                    extra = {"file": str(self._file), "reason": self._problem}
                    _log.error("keys stay as they were", extra=extra)
        return self._ring

    def _read(self) -> None:
        self._look_at = monotonic() + _LOOK_SECONDS
        try:
            found = self._file.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            self._take(read(self._file))
        except FileNotFoundError:
            if self._ring is not None:
                self._seen = None
                raise KeysError("is gone; expected it back") from None
        except OSError as error:
            raise KeysError(_unreadable(error)) from None

    def _take(self, ring: KeyRing) -> None:
        if (algorithm := ring.signing.algorithm) not in self._algorithms:
            raise KeysError(f"signs by {algorithm}; expected one of those that AUTH_ALGORITHMS lists")
        self._ring, self._problem = ring, ""
        _log.info("keys read", extra={"kids": [key.kid for key in ring.keys]})


@contextmanager
def changing(file: Path) -> Iterator[KeyRing | None]:
    """What the file holds, None if it is not there, while nobody else changes it.

    Raises:
        KeysError: it cannot be used.
    """
    file = file.resolve()
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            ring = read(file)
        except FileNotFoundError:
            ring = None
        yield ring
    finally:
        os.close(folder)


def read(file: Path) -> KeyRing:
    """The set in a file.

    Raises:
        KeysError: it cannot be used, whatever the reason.
        FileNotFoundError: there is no such file.
    """
    try:
        return KeyRing.parse(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, UnicodeDecodeError) as error:
        raise KeysError(_unreadable(error)) from None


def _unreadable(error: Exception) -> str:
    return f"cannot be read: {type(error).__name__}; expected a file that this user may read"


def write(file: Path, ring: KeyRing) -> None:
    """Put a set in the file's place, whole or not at all, while `changing` it.

    A new file is its owner's alone; one that was there keeps its owner, group and mode, as far as we may give them.
    """
    file = file.resolve()
    new = file.with_name(f".{file.name}.new")
    new.unlink(missing_ok=True)  # of somebody who was killed
    try:
        with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as stream:
            stream.write(ring.dump())
            stream.flush()
            with suppress(FileNotFoundError, PermissionError):
                old = file.stat()
                os.fchown(stream.fileno(), old.st_uid, old.st_gid)
                os.fchmod(stream.fileno(), stat.S_IMODE(old.st_mode))
            os.fsync(stream.fileno())
        new.replace(file)
    except BaseException:
        new.unlink(missing_ok=True)
        raise
