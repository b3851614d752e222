"""The file of rows that were not taken: line, field, what was found, what was expected.

May import reader, validation.
"""

import csv
import io
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

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

    Raises:
        ImportStoppedError: another file has its name.
    """

    def __init__(self, path: Path, size: int) -> None:
        self.path, self.size = path, size
        self._file: BinaryIO | None = None
        if path.exists():
            with path.open("rb") as found:
                if found.read(len(_HEAD)) != _HEAD:
                    raise ImportStoppedError(f"{path}: found another file; expected none, or one of rejected rows")
            if size:
                self._open("r+b")
            else:
                path.unlink()
        elif size:
            raise ImportStoppedError(f"{path}: found no file of the rows rejected so far; expected it, or --again")

    def _open(self, mode: str) -> BinaryIO:
        self._file = self.path.open(mode)  # type: ignore[assignment]  # both modes are binary
        assert self._file is not None  # noqa: S101
        self._file.seek(self.size)
        self._file.truncate()
        return self._file

    def add(self, rejects: list[Reject]) -> None:
        """Write them to the file, through to the system."""
        if not rejects:
            return
        text = io.StringIO()
        rows = csv.writer(text, lineterminator="\n")
        for one in rejects:
            rows.writerow((one.line, printable(one.field), printable(one.found), one.expected))
        file = self._file or self._open("w+b")
        content = (b"" if self.size else _HEAD) + text.getvalue().encode()
        file.write(content)
        file.flush()
        self.size += len(content)

    def close(self) -> None:
        """Let the file go."""
        if self._file is not None:
            self._file.close()
