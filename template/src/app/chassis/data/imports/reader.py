"""Reads the records of a CSV or JSON Lines file, one at a time, from any record on. Imports nothing of the chassis."""

import codecs
import csv
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

__all__ = ["FileFacts", "ImportStoppedError", "Reader", "Record", "expect_unchanged", "facts_of"]

MAX_RECORD_BYTES = 1_048_576
_BLOCK_BYTES = 1_048_576
_BOM = codecs.BOM_UTF8
csv.field_size_limit(MAX_RECORD_BYTES)


class ImportStoppedError(Exception):
    """The import does not begin, or ends before the file does: what was found and what was expected."""


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What a file is known by, and what would tell that it changed meanwhile."""

    sha256: str
    size: int
    changed_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """One record: the line it begins on, where the next begins, and its cells by column, or its JSON.

    `problem` says what was found and what was expected where it is neither.
    """

    line: int
    end_bytes: int
    end_line: int
    content: dict[str, str] | str
    problem: tuple[str, str] | None = None


def facts_of(file: BinaryIO) -> FileFacts:
    """Read the file to its end, once.

    Raises:
        ImportStoppedError: it is not UTF-8, and the line is told; or it changed meanwhile.
    """
    changed_ns = os.fstat(file.fileno()).st_mtime_ns  # before the first byte: no change goes unseen
    sum_, decoder, line = hashlib.sha256(), codecs.getincrementaldecoder("utf-8")(), 1
    size = 0
    while block := file.read(_BLOCK_BYTES):
        sum_.update(block)
        size += len(block)
        try:
            decoder.decode(block)
        except UnicodeDecodeError as error:
            line += block[: max(0, error.start)].count(b"\n")
            raise ImportStoppedError(f"line {line}: found bytes that are not UTF-8; expected a file in UTF-8") from None
        line += block.count(b"\n")
    try:
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        raise ImportStoppedError(f"line {line}: found a character that is cut off; expected a whole file") from None
    facts = FileFacts(sum_.hexdigest(), size, changed_ns)
    expect_unchanged(file, facts)
    return facts


def expect_unchanged(file: BinaryIO, facts: FileFacts) -> None:
    """Refuse a file that is not as long and as old as when it was read to its end.

    Raises:
        ImportStoppedError: it is not.
    """
    now = os.fstat(file.fileno())
    if (now.st_size, now.st_mtime_ns) != (facts.size, facts.changed_ns):
        raise ImportStoppedError("the file changed while it was read; expected one that is left alone")


class Reader:
    """Records of an open file. Its name says what it holds: `.csv` or `.jsonl`.

    Raises:
        ImportStoppedError: another name, or a CSV file without a head of known columns.
    """

    def __init__(self, file: BinaryIO, name: str, known: set[str], required: set[str]) -> None:
        self._file, self._bytes, self._line = file, 0, 0
        self._record = 0, 1  # byte and line at which the record begins that is read now
        suffix = Path(name).suffix.lower()
        if suffix not in (".csv", ".jsonl"):
            raise ImportStoppedError(f"found a name that ends with {suffix or 'nothing'}; expected .csv or .jsonl")
        self._columns: list[str] | None = None
        file.seek(0)
        if file.read(len(_BOM)) == _BOM:
            self._bytes = len(_BOM)
        file.seek(self._bytes)
        if suffix == ".csv":
            self._columns = self._head(known, required)

    def _head(self, known: set[str], required: set[str]) -> list[str]:
        try:
            columns = next(csv.reader(self._lines(), strict=True), [])
        except csv.Error as error:
            raise ImportStoppedError(f"line 1: {error}; expected the names of the columns") from None
        twice = sorted({name for name in columns if columns.count(name) > 1})
        unknown, missing = sorted(set(columns) - known), sorted(required - set(columns))
        for names, what in ((twice, "columns twice"), (unknown, "unknown columns"), (missing, "no columns")):
            if names:
                shown = ", ".join(repr(name)[:66] for name in names[:10])
                expected = (
                    f"{', '.join(sorted(known))}, separated by commas, of which {', '.join(sorted(required))} must be"
                )
                raise ImportStoppedError(f"line 1: found {what} {shown}; expected each once: {expected}")
        return columns

    def skip_to(self, position_bytes: int, line: int) -> None:
        """Go on behind the record that ended there."""
        if position_bytes:
            self._file.seek(position_bytes)
            self._bytes, self._line = position_bytes, line
            self._record = position_bytes, line + 1

    def __iter__(self) -> Iterator[Record]:
        return self._json_records() if self._columns is None else self._csv_records(self._columns)

    def _lines(self) -> Iterator[str]:
        while line := self._file.readline(MAX_RECORD_BYTES + 1):
            self._bytes += len(line)
            if self._bytes - self._record[0] > MAX_RECORD_BYTES:
                found = f"line {self._record[1]}: found more than {MAX_RECORD_BYTES} bytes in one record"
                raise ImportStoppedError(f"{found}; expected fewer, and an end to each quote")
            self._line += 1
            yield line.decode()  # known to be UTF-8

    def _csv_records(self, columns: list[str]) -> Iterator[Record]:
        rows = csv.reader(self._lines(), strict=True)
        while True:
            first = self._line + 1
            self._record = self._bytes, first
            try:
                cells = next(rows, None)
            except csv.Error as error:
                raise ImportStoppedError(f"line {first}: {error}; expected CSV as RFC 4180 has it") from None
            if cells is None:
                return
            if not cells:
                continue
            problem = (f"{len(cells)} cells", f"{len(columns)} cells") if len(cells) != len(columns) else None
            content = {name: cell for name, cell in zip(columns, cells, strict=False) if cell != ""}
            yield Record(first, self._bytes, self._line, content, problem)

    def _json_records(self) -> Iterator[Record]:
        for text in self._lines():
            self._record = self._bytes, self._line + 1
            if text.strip():
                yield Record(self._line, self._bytes, self._line, text)
