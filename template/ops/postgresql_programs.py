"""PostgreSQL's own programs: where they are, how new they are, how they run, what they say. Standard library only."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from copies import NotDoneError
from settings import setting

HEAD_BYTES = 4096
MAGIC = b"PGDMP"


def program(name: str) -> str:
    """Path of one of PostgreSQL's programs: in PG_BIN, else on PATH.

    Raises:
        NotDoneError: it is not there.
    """
    folder = setting("PG_BIN", "")
    found = shutil.which(name, path=folder or None)
    if found is None:
        where = "in the folder that PG_BIN names" if folder else "on PATH"
        raise NotDoneError(f"{name} is not {where}; expected PostgreSQL's programs (Debian: postgresql-client)", 2)
    return found


def major(path: str) -> int:
    """Major version of a program; 0 if it does not say."""
    shown = subprocess.run([path, "--version"], capture_output=True, text=True, check=False).stdout
    found = re.search(r"\) (\d+)", shown)
    return int(found[1]) if found else 0


def require_new_enough(server: int) -> None:
    """Raises NotDoneError if pg_dump or pg_restore is older than the server's major version: it would not know all."""
    for name in ("pg_dump", "pg_restore"):
        path = program(name)
        if (version := major(path)) < server:
            raise too_old(path, version, f"the server, which is {server}", server)


def too_old(path: str, version: int, than: str, expected: int) -> NotDoneError:
    """What to say of a program that is older than what it works with."""
    return NotDoneError(
        f"{path} is {version or 'of an unknown version'}, older than {than}; "
        f"expected {expected} or newer: PG_BIN names the folder of another one",
        2,
    )


def dumped_by(backup: Path) -> int:
    """Major version of the pg_dump that wrote a file, as the file's head says; 0 if it does not."""
    with backup.open("rb") as file:
        head = file.read(HEAD_BYTES)
    if head[:5] != MAGIC or len(head) < HEAD_BYTES // 64:
        return 0
    size = head[8]  # bytes of a number, which has a byte for its sign in front
    at = 11 + (1 if head[5:7] >= b"\x01\x0f" else 1 + size) + 7 * (1 + size)  # behind compression and time
    text = b""
    for _ in ("database", "server", "pg_dump"):
        begin = at + 1 + size
        at = begin + int.from_bytes(head[at + 1 : begin], "little")
        text = head[begin:at]
    found = re.match(rb"\d{1,3}(?!\d)", text)
    return int(found[0]) if found else 0


def reason(told: str) -> str:
    """What a program said went wrong, in one line and without a value of a row."""
    for line in told.splitlines():
        found = re.search(r"(?:ERROR|FATAL):\s+(?:(\w{5}): )?(.*)|error: (.*)", line)
        if found:
            words = found[2] or found[3] or ""
            if (found[1] or "").startswith("22"):
                words = re.sub(r'"[^"]*"|: .*', "", words)
            return re.sub(r"\s+", " ", words).strip()[:300]
    return "it ended without a word"


@contextmanager
def running(name: str, *arguments: str, environment: dict[str, str] | None = None) -> Iterator[IO[bytes]]:
    """What a program prints; it must end well."""
    command = [program(name), *arguments]
    with tempfile.TemporaryFile() as told:
        process = subprocess.Popen(
            command, env=environment or os.environ, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told
        )
        assert process.stdout is not None  # noqa: S101  # for the type checker
        try:
            with process.stdout:
                yield process.stdout
            code = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        told.seek(0)
        if code:
            raise NotDoneError(f"{name}: {reason(told.read().decode(errors='replace'))}")
