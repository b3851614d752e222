"""The file of rows that were not taken: line, field, what was found, what was expected.

May import reader, validation.
"""

import csv
import fcntl
import io
import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from app.chassis.data.imports.reader import ImportStoppedError
from app.chassis.validation import printable

__all__ = ["Reject", "Rejects"]

_HEAD = b"line,field,found,expected\n"


@dataclass(frozen=True, slots=True)
class Reject:
    """One thing wrong with one row."""

    line: int
    field: str
    found: str
    expected: str


class Rejects:
    """Grows with the import; one that goes on takes it up where the last chunk that was stored left it.

    No other run may write to it until `close`. It is as it was until the first `write`.

    Raises:
        ImportStoppedError: another file has its name, another run writes to it, or a part of it is gone.
        OSError: it cannot be written there.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        if size and not path.exists():
            raise ImportStoppedError(f"{path}: found no file of the rows rejected so far; expected it, or --again")
        self._file = path.open("a+b")  # what is appended never leaves a hole
        try:
            self._expect_mine()
        except BaseException:
            self._file.close()
            raise

    def _expect_mine(self) -> None:
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            is_mine = os.fstat(self._file.fileno()).st_nlink > 0  # else who had it took it away
        except BlockingIOError:
            is_mine = False
        if not is_mine:
            raise ImportStoppedError(f"{self.path}: another run writes to it; expected one at a time")
        self._file.seek(0)
        if not self.path.is_file() or not _HEAD.startswith(self._file.read(len(_HEAD))):
            raise ImportStoppedError(f"{self.path}: found another file; expected none, or one of rejected rows")
        self._file.seek(max(0, self.size - 1))
        if self.size and self._file.read(1) != b"\n":
            found = f"found {os.fstat(self._file.fileno()).st_size} bytes that were changed"
            expected = f"expected the {self.size} of the rows rejected so far, or --again"
            raise ImportStoppedError(f"{self.path}: {found}; {expected}")

    def lines_of(self, rejects: list[Reject]) -> bytes:
        """What `write` would add for them."""
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        for one in rejects:
            rows.writerow((one.line, printable(one.field), one.found, one.expected))
        return (b"" if self.size or not rejects else _HEAD) + text.getvalue().encode()

    def write(self, content: bytes) -> None:
        """Write it through to the system, in place of what a run that was killed left behind.

        Raises:
            ImportStoppedError: the disk is full, or the like.
        """
        try:
            self._file.truncate(self.size)
            self._file.write(content)
            self._file.flush()
        except OSError as error:
            raise ImportStoppedError(f"{self.path}: {error.strerror}; expected a file that can be written") from None
        self.size += len(content)

    def close(self) -> None:
        """Let the file go; one without rejects is taken away."""
        with suppress(OSError):  # on a disk that is full; `write` has told
            if not self.size:
                self.path.unlink(missing_ok=True)
            self._file.close()
