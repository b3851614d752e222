"""Files of one JSON object a line: the journal, the record of deployments. Standard library only."""

import errno
import getpass
import json
import os
import socket
from collections.abc import Collection
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class UnreadableError(Exception):
    """What is read here cannot be: where, what was found, what was expected."""

    def __init__(self, place: object, message: str) -> None:
        super().__init__(f"{place}: {message}")


def text_of(path: Path) -> str:
    """The text of a file.

    Raises:
        UnreadableError: it is no UTF-8.
        OSError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        line = path.read_bytes().count(b"\n", 0, error.start) + 1
        raise UnreadableError(f"{path}:{line}", f"is no UTF-8 at byte {error.start}; expected text") from None


def append(path: Path, members: dict[str, Any]) -> None:
    """Write a line behind the others, onto the disk; one that a crash cut off stays alone.

    Raises:
        OSError: it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+", buffering=0) as file:
        size = file.seek(0, os.SEEK_END)
        is_torn = size > 0 and (file.seek(-1, os.SEEK_END), file.read())[1] != b"\n"
        line = b"\n" * is_torn + json.dumps(members, ensure_ascii=False).encode(errors="backslashreplace") + b"\n"
        try:
            if file.write(line) != len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))  # noqa: TRY301  # taken back below
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):  # half a line would make the file unreadable
                os.ftruncate(file.fileno(), size)
            raise


def read(path: Path, members: Collection[str], later: Collection[str] = ()) -> list[tuple[str, dict[str, Any]]]:
    """The lines, the oldest first, each with its place; none where there is no file. Old ones lack what came `later`.

    Raises:
        UnreadableError: a line is no object with exactly these members.
        OSError: it cannot be read.
    """
    found = []
    for number, line in enumerate(
        [] if path.is_char_device() or not path.exists() else path.read_bytes().splitlines(), 1
    ):
        try:
            one = json.loads(line)
        except (ValueError, RecursionError):
            one = None
        if not isinstance(one, dict) or not set(members) - set(later) <= set(one) <= set(members):
            expected = ", ".join(sorted(members))
            raise UnreadableError(
                f"{path}:{number}", f"is no line of this file; expected one JSON object with {expected}"
            )
        found.append((f"{path}:{number}", one))
    return found


def now() -> str:
    """The time of a line, in UTC."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def who() -> str:
    """Who writes it; a container's user may have a number and no name."""
    try:
        name = getpass.getuser()
    except (KeyError, OSError):
        name = str(os.getuid())
    return f"{name}@{socket.gethostname()}"
