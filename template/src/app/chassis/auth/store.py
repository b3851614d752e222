"""Where the keys are: in the environment, or in a file that is read again when it changes.

May import keys, settings.
"""

import fcntl
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import monotonic

from app.chassis.auth.keys import KeyRing, KeysError
from app.chassis.auth.settings import AuthSettings

__all__ = ["KeyStore", "changing", "now", "write"]

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
        self._seen: tuple[int, ...] | None = None
        self._look_at = 0.0
        self._ring: KeyRing | None = None
        if settings.auth_keys is not None:
            try:
                self._ring = KeyRing.parse(settings.auth_keys.get_secret_value())
            except KeysError as error:
                raise KeysError(f"AUTH_KEYS: {error}") from None
            return
        if may_make and not self._file.exists():
            with changing(self._file) as ring:
                write(self._file, ring or KeyRing.of_one("ES256", now()))
        self._read()

    def current(self) -> KeyRing | None:
        """The keys as they are now: a file that changed is seen within a second, unless it cannot be used."""
        if self._is_file and monotonic() >= self._look_at:
            try:
                self._read()
            except KeysError as error:
                _log.error("keys stay as they were", extra={"reason": str(error)})
        return self._ring

    def _read(self) -> None:
        self._look_at = monotonic() + _LOOK_SECONDS
        try:
            found = self._file.stat()
            seen = (found.st_ino, found.st_mtime_ns, found.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            self._ring = KeyRing.parse(self._file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            if self._seen is not None:
                self._seen = None
                raise KeysError(f"AUTH_KEYS_FILE: {self._file} is gone") from None
        except (OSError, UnicodeDecodeError) as error:
            raise KeysError(f"AUTH_KEYS_FILE: cannot be read: {type(error).__name__}; expected a file") from None
        except KeysError as error:
            raise KeysError(f"AUTH_KEYS_FILE: {self._file} {error}") from None
        else:
            _log.info("keys read", extra={"kids": [key.kid for key in self._ring.keys]})


@contextmanager
def changing(file: Path) -> Iterator[KeyRing | None]:
    """What the file holds, None if it is not there, while nobody else changes it.

    Raises:
        KeysError: it cannot be used.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    folder = os.open(file.parent, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        try:
            yield KeyRing.parse(file.read_text(encoding="utf-8"))
        except FileNotFoundError:
            yield None
    finally:
        os.close(folder)


def write(file: Path, ring: KeyRing) -> None:
    """Put a set in the file's place, whole or not at all; only its owner may read it."""
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=f".{file.name}.", delete=False) as new:
        try:
            new.write(ring.dump())
            new.flush()
            os.fsync(new.fileno())
            Path(new.name).replace(file)
        except BaseException:
            Path(new.name).unlink(missing_ok=True)
            raise
