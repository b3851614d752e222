"""Rows in bulk: each once, whatever stops it; what is refused is told. IMPORT_ROWS and IMPORT_KILLS make it large."""

import asyncio
import os
import random
import resource
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, BinaryIO, cast

import pytest
from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from app.chassis.about import project_root
from app.chassis.data.imports.check import Target, checked
from app.chassis.data.imports.reader import ImportStoppedError, Reader, facts_of
from app.chassis.data.imports.rejects import Reject, Rejects
from app.chassis.data.imports.run import Import
from app.chassis.database import WriteWork
from app.chassis.database.engine import Database
from app.chassis.database.settings import DatabaseSettings
from tests.chassis.import_program import ImportedThing, Row, bring_in, prepare, target

pytestmark = [pytest.mark.engines("sqlite", "postgresql"), pytest.mark.thorough]

ROWS = int(os.environ.get("IMPORT_ROWS", "6000"))
KILLS = int(os.environ.get("IMPORT_KILLS", "2"))
MOST_GROWTH_MIB = 50


@pytest.fixture
def url(database_url: str) -> str:
    """A database with the chassis' tables and that of the things."""
    asyncio.run(prepare(database_url))
    return database_url


def asked(url: str, statement: Any) -> list[tuple[Any, ...]]:
    """Rows of a statement."""

    async def ask() -> list[tuple[Any, ...]]:
        database = Database(DatabaseSettings(database_url=url))
        async with database.writer.begin() as connection:
            done = await connection.execute(statement)
            found = [tuple(row) for row in done.all()] if done.returns_rows else []
        await database.close()
        return found

    return asyncio.run(ask())


def things(url: str) -> dict[str, int]:
    """What is stored: size by code."""
    return dict(asked(url, select(ImportedThing.code, ImportedThing.size)))  # type: ignore[arg-type]


def rejects(path: Path) -> list[str]:
    """Lines of the file of rejects, without its head."""
    return path.with_suffix(".rejects.csv").read_text(encoding="utf-8").splitlines()[1:]


def test_killed_import_goes_on_and_stores_each_row_once(url: str, tmp_path: Path) -> None:
    """kill -9 anywhere, the same command again: each row is there once, each refused one told once, memory is flat."""
    path, bad = tmp_path / "things.csv", ROWS // 1000
    with path.open("w", encoding="utf-8") as file:
        file.write("code,size\n")
        file.writelines(f"c{number},{'x' if number % 1000 == 999 else number + 20}\n" for number in range(ROWS))
    chance = random.Random(7)  # noqa: S311  # no secret
    for _ in range(KILLS):
        with _started(url, path) as run:
            assert run.stdout is not None
            for _chunk in range(chance.randint(1, max(1, bad // KILLS - 1))):
                run.stdout.readline()
            run.kill()
    with _started(url, path) as run:
        assert run.stdout is not None
        _, grown, _, stored, _, rejected = run.stdout.read().splitlines()[-1].split()
    assert (run.returncode, int(stored), int(rejected)) == (0, ROWS - bad, bad)
    counted = select(func.count(), func.max(ImportedThing.version)).select_from(ImportedThing)
    assert asked(url, counted) == [(ROWS - bad + 1, 1)]
    assert [line.split(",")[0] for line in rejects(path)] == [str(number + 2) for number in range(999, ROWS, 1000)]
    assert int(grown) <= MOST_GROWTH_MIB


def _started(url: str, path: Path) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "tests.chassis.import_program", url, str(path)]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(("src", "."))}
    return subprocess.Popen(command, cwd=project_root(), env=environment, stdout=subprocess.PIPE, text=True)  # noqa: S603  # our own program


def test_interrupt_in_the_middle_of_a_commit_ends_the_import(url: str, tmp_path: Path) -> None:
    """The chunk is saved, the next one is not begun, and the same command goes on."""
    path = tmp_path / "a.csv"
    path.write_text("code,size\na,1\nb,2\nc,3\n", encoding="utf-8")

    once = [signal.SIGINT]  # a second one ends it whatever it does

    def interrupt(session: Session) -> None:
        if once and not session.in_nested_transaction():
            signal.raise_signal(once.pop())

    async def store(work: WriteWork, rows: Sequence[Row]) -> None:
        await target.store(work, rows)
        event.listen(work.session.sync_session, "before_commit", interrupt)

    with pytest.raises(KeyboardInterrupt):
        bring_in(url, path, chunk_rows=1, to=Target("things", Row, store))
    assert things(url) == {"a": 1}
    bring_in(url, path, chunk_rows=1)
    assert things(url) == {"a": 1, "b": 2, "c": 3}


def test_import_twice_changes_nothing(url: str, tmp_path: Path) -> None:
    """A file that is done is known by its content, under any name; read again on purpose it finds all in place."""
    path = tmp_path / "a.csv"
    path.write_text("code,size\na,1\nb,2\na,3\n", encoding="utf-8")
    bring_in(url, path)
    versions = asked(url, select(ImportedThing.code, ImportedThing.version))
    assert things(url) == {"a": 3, "b": 2}
    other = path.rename(tmp_path / "b.csv")
    assert bring_in(url, other).state.finished_at is not None
    path = tmp_path / "c.csv"
    path.write_text("code,size\nb,2\n", encoding="utf-8")
    bring_in(url, path)
    bring_in(url, path, is_again=True)
    assert asked(url, select(ImportedThing.code, ImportedThing.version)) == versions


def test_changed_file_begins_again(url: str, tmp_path: Path) -> None:
    """It is another file; what it has in common with the one before is in place already."""
    path = tmp_path / "a.csv"
    path.write_text("code,size\na,1\nb,2\n", encoding="utf-8")
    bring_in(url, path)
    path.write_text("code,size\na,1\nb,4\nc,5\n", encoding="utf-8")
    run = bring_in(url, path)
    assert run.before is not None
    assert (run.before.name, run.state.stored_rows) == ("a.csv", 3)
    assert things(url) == {"a": 1, "b": 4, "c": 5}


def test_row_that_the_database_refuses_leaves_the_others(url: str, tmp_path: Path) -> None:
    """A rule that only a table knows is told like any other, by line and column."""
    path = tmp_path / "a.csv"
    path.write_text("code,size\n" + "".join(f"c{number},{number}\n" for number in range(40)), encoding="utf-8")
    state = bring_in(url, path, chunk_rows=16).state
    assert (state.stored_rows, state.rejected_rows) == (39, 1)
    assert rejects(path)[0].startswith("15,")
    assert "c13" not in things(url)


def test_dry_run_stores_nothing_and_tells_the_same(url: str, tmp_path: Path) -> None:
    """Not even that it was there."""
    path = tmp_path / "a.csv"
    path.write_text("code,size\na,1\nb,13\nc,x\n", encoding="utf-8")
    state = bring_in(url, path, is_dry=True).state
    assert (state.stored_rows, state.rejected_rows, len(rejects(path))) == (1, 2, 2)
    assert things(url) == {}
    assert asked(url, text("SELECT 1 FROM chassis_import_files")) == []


@pytest.mark.parametrize(
    ("content", "name", "lines"),
    [
        (b"code,size\na,x\n", "a.csv", ["2,size,x,a whole number"]),
        (b"code,size\na\n", "a.csv", ["2,,1 cells,2 cells"]),
        (b"code,size\n,1\n", "a.csv", ["2,code,nothing,a value"]),
        (b'code,size\n"a\nb",1\nc,x\n', "a.csv", ["4,size,x,a whole number"]),
        (b"code,size\na\0b,1\n", "a.csv", ["2,code,a NUL character,a text without NUL characters"]),
        (b"code,size\n" + b"y" * 99 + b",1\n", "a.csv", [f"2,code,{'y' * 64},at most 40 characters"]),
        ("code,size\na,\u0663\u202e\x1b[2J\n".encode(), "a.csv", ["2,size,???[2J,a whole number"]),
        (b'{"code": "a", "size": "1"}\n', "a.jsonl", ['1,size,"""1""",a whole number']),
        (b'{"code": "a", "size": true}\n', "a.jsonl", ["1,size,true,a whole number"]),
        (b'\n{"code": "a", "colour": 1}', "a.jsonl", ["2,colour,1,only the names this service documents"]),
        (b"[1]\n{\n", "a.jsonl", ["1,,[1],a JSON object", "2,,{,a JSON object"]),
        (b'{"code": null}\n', "a.jsonl", ["1,code,null,a text"]),
        (b'{"code": "a", "size": [{"b": 1}]}\n', "a.jsonl", ['1,size,"[{""b"":1}]",a whole number']),
        (b'{"code": "\\ud800x"}\n', "a.jsonl", ['1,,"{""code"": ""\\ud800x""}",a text without lone surrogates']),
        (b'{"code": "\\u0000"}\n', "a.jsonl", ["1,code,a NUL character,a text without NUL characters"]),
        (b'{"code": "a", "size": 1e400}\n', "a.jsonl", ["1,size,Infinity,a whole number"]),
        (b'{"code": "a", "size": ' + b"9" * 30 + b"}\n", "a.jsonl", ["1,size," + "9" * 30 + ",a number that fits"]),
    ],
)
def test_row_that_is_wrong_is_told_by_line_and_field(
    url: str, tmp_path: Path, content: bytes, name: str, lines: list[str]
) -> None:
    """What was found is cut to 64 characters that a terminal can show."""
    path = tmp_path / name
    path.write_bytes(content)
    state = bring_in(url, path).state
    assert (rejects(path), state.rejected_rows) == (lines, len(lines))


@pytest.mark.engines("sqlite")  # no database is asked
@pytest.mark.parametrize(
    ("content", "name", "words"),
    [
        (b"code,size\na\xff,1\n", "a.csv", "line 2: found bytes that are not UTF-8"),
        ("code,size\n".encode("utf-16"), "a.csv", "line 1: found bytes that are not UTF-8"),
        (b"code,size\na\xc3", "a.csv", "line 2: found a character that is cut off"),
        (b"", "a.csv", "line 1: found no columns 'code'"),
        (b"size\n1\n", "a.csv", "line 1: found no columns 'code'"),
        (b"code,colour\n", "a.csv", "line 1: found unknown columns 'colour'"),
        (b"code;size\n", "a.csv", "line 1: found unknown columns 'code;size'"),
        (b"code,size,code\n", "a.csv", "line 1: found columns twice 'code'"),
        (b"code\n", "a.txt", "found a name that ends with .txt"),
        (b'code\n"a\n', "a.csv", "line 2: unexpected end of data"),
        (b'{"code": "' + b"a" * 1_100_000, "a.jsonl", "line 1: found more than 1048576 bytes"),
        (b"code\n" + b'"x\ny",' * 200_000, "a.csv", "line 2: found more than 1048576 bytes in one record"),
    ],
)
def test_file_that_cannot_be_read_is_told(url: str, tmp_path: Path, content: bytes, name: str, words: str) -> None:
    """Before the first row where that can be known."""
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ImportStoppedError) as stopped:
        bring_in(url, path)
    assert str(stopped.value).startswith(words)


def test_what_stands_before_a_break_is_stored(url: str, tmp_path: Path) -> None:
    """A file that ends in the middle of a row."""
    path = tmp_path / "a.csv"
    path.write_text('code,size\na,1\nb,2\n"c', encoding="utf-8")
    with pytest.raises(ImportStoppedError, match="line 4"):
        bring_in(url, path)
    assert things(url) == {"a": 1, "b": 2}


def test_file_with_a_mark_and_windows_lines_is_read(url: str, tmp_path: Path) -> None:
    """As spreadsheets write it, and without a line end at its end."""
    path = tmp_path / "a.CSV"
    path.write_bytes(b"\xef\xbb\xbfcode,size\r\na,1\r\n\r\nb,2")
    bring_in(url, path, chunk_rows=1)
    assert things(url) == {"a": 1, "b": 2}


NINE = "code,size\n" + "".join(f"c{number},1\n" for number in range(9))


def test_file_that_changes_while_it_is_read_stops(url: str, tmp_path: Path) -> None:
    """What was read of it may be of neither; only what was stored before stays."""
    path = tmp_path / "a.csv"
    path.write_text(NINE, encoding="utf-8")

    def grow(_done: int) -> None:
        path.write_text(NINE + "z,1\n", encoding="utf-8")

    with pytest.raises(ImportStoppedError, match="changed while it was read"):
        bring_in(url, path, chunk_rows=2, on_progress=grow)
    assert things(url) == {"c0": 1, "c1": 1}


def test_second_run_at_once_stops_the_first(url: str, tmp_path: Path) -> None:
    """Of two that bring in one content, under two names, one goes on, and its rows are counted once."""
    path, other = tmp_path / "a.csv", tmp_path / "b.csv"
    path.write_text(NINE, encoding="utf-8")
    other.write_text(NINE, encoding="utf-8")
    others: list[Import] = []

    def overtake(_done: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            others.append(pool.submit(bring_in, url, other).result())

    with pytest.raises(ImportStoppedError, match="another run"):
        bring_in(url, path, chunk_rows=2, on_progress=overtake)
    assert others[0].state.stored_rows == len(things(url)) == 9


def test_file_of_rejects_is_never_written_over_another(url: str, tmp_path: Path) -> None:
    """Nor taken for one that an import that goes on has lost."""
    path = tmp_path / "a.csv"
    other = path.with_suffix(".rejects.csv")
    path.write_text("code,size\na,x\n" + "".join(f"c{number},1\n" for number in range(9)) + '"', encoding="utf-8")
    other.write_text("my own", encoding="utf-8")
    with pytest.raises(ImportStoppedError, match="found another file"):
        bring_in(url, path)
    assert other.read_text(encoding="utf-8") == "my own"
    other.unlink()
    with pytest.raises(ImportStoppedError, match="unexpected end"):
        bring_in(url, path, chunk_rows=2)
    other.unlink()
    with pytest.raises(ImportStoppedError, match="found no file of the rows rejected so far"):
        bring_in(url, path)


def test_rejects_of_a_chunk_that_was_not_saved_are_told_once(url: str, tmp_path: Path) -> None:
    """A kill between the rejects and the commit leaves lines that the next run takes back."""
    path = tmp_path / "a.csv"
    path.write_text("code,size\na,x\nb,1\nc,x\nd,1\n", encoding="utf-8")

    def stop(_done: int) -> None:
        raise RuntimeError

    with pytest.raises(RuntimeError):
        bring_in(url, path, chunk_rows=2, on_progress=stop)
    with path.with_suffix(".rejects.csv").open("a", encoding="utf-8") as file:
        file.write("4,size,x,a whole number\n5,si")
    bring_in(url, path, chunk_rows=2)
    assert rejects(path) == ["2,size,x,a whole number", "4,size,x,a whole number"]
    assert things(url) == {"b": 1, "d": 1}


def test_database_that_is_none_is_told(database_url: str, tmp_path: Path) -> None:
    """One that lacks the tables, and one that is not there: in a line, before the first row."""
    path = tmp_path / "a.csv"
    path.write_text(NINE, encoding="utf-8")
    with pytest.raises(ImportStoppedError, match=r"import, .*team not migrated; run `make migrate`"):
        bring_in(database_url, path)
    with pytest.raises(ImportStoppedError, match="the database does not answer"):
        bring_in("postgresql+asyncpg://nobody@127.0.0.1:1/nothing", path)


@pytest.mark.parametrize("statement", ["DROP TABLE probe_things", "DROP TABLE chassis_import_files"])
def test_table_that_is_gone_stops_the_import(url: str, tmp_path: Path, statement: str) -> None:
    """A mistake of the program or of an operator is told without a trace."""
    path = tmp_path / "a.csv"
    path.write_text(NINE, encoding="utf-8")
    asked(url, text(statement))
    with pytest.raises(ImportStoppedError, match="the database refuses to work"):
        bring_in(url, path)


HALF_BAD = "code,size\n" + "".join(f"c{number},{'x' if number % 2 else 1}\n" for number in range(20))


def test_second_run_of_one_file_is_refused_and_takes_nothing(url: str, tmp_path: Path) -> None:
    """While the first one has the file of rejects, nobody shortens it."""
    path, refused = tmp_path / "a.csv", []
    path.write_text(HALF_BAD, encoding="utf-8")

    def interfere(_done: int) -> None:
        with ThreadPoolExecutor(1) as pool:
            refused.append(str(pool.submit(bring_in, url, path).exception()))

    assert bring_in(url, path, chunk_rows=4, on_progress=interfere).state.rejected_rows == 10
    assert [line.split(",")[0] for line in rejects(path)] == [str(number) for number in range(3, 22, 2)]
    assert "another run writes to it; expected one at a time" in refused[0]


def test_file_of_rejects_is_whole_until_the_first_write(tmp_path: Path) -> None:
    """A run that ends before it has written took nothing away; one at a time has the file."""
    path, bad = tmp_path / "rejects.csv", [Reject(2, "size", "x", "a whole number")]
    first = Rejects(path, 0)
    first.write(first.lines_of(bad))
    with pytest.raises(ImportStoppedError, match="another run writes to it"):
        Rejects(path, 0)
    first.close()
    content = path.read_bytes()
    second = Rejects(path, first.size)
    assert path.read_bytes() == content
    second.write(second.lines_of(bad))
    second.close()
    third = Rejects(path, first.size)
    assert path.read_bytes() == content + content.partition(b"\n")[2]
    third.write(b"")
    third.close()
    assert path.read_bytes() == content


def test_file_of_rejects_on_a_full_disk_is_told(tmp_path: Path) -> None:
    """By its name, and once."""
    path, before = tmp_path / "rejects.csv", resource.getrlimit(resource.RLIMIT_FSIZE)
    kept = Rejects(path, 0)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40, before[1]))
    try:
        with pytest.raises(ImportStoppedError, match=r"rejects\.csv: File too large; expected a file that can be"):
            kept.write(b"x" * 99)
        kept.close()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert not path.exists()


@pytest.mark.parametrize("lines", [3, 1])
def test_file_of_rejects_that_was_shortened_stops_the_import(url: str, tmp_path: Path, lines: int) -> None:
    """Its lines would be gone without a word; what is left of it stays."""
    path = tmp_path / "a.csv"
    path.write_text(HALF_BAD + '"', encoding="utf-8")
    with pytest.raises(ImportStoppedError, match="unexpected end"):
        bring_in(url, path, chunk_rows=2)
    told = path.with_suffix(".rejects.csv")
    kept = b"".join(told.read_bytes().splitlines(keepends=True)[:lines])
    told.write_bytes(kept)
    with pytest.raises(ImportStoppedError, match=f"found {len(kept)} bytes that were changed; expected .* or --again"):
        bring_in(url, path, chunk_rows=2)
    assert told.read_bytes() == kept
    with pytest.raises(ImportStoppedError, match="unexpected end"):
        bring_in(url, path, is_again=True)
    assert len(rejects(path)) == 10


def test_file_of_rejects_that_cannot_be_written_is_told_first(url: str, tmp_path: Path) -> None:
    """Before the first row; without rejects none is left, nor an old one."""
    path = tmp_path / "a.csv"
    path.write_text(NINE, encoding="utf-8")
    with pytest.raises(FileNotFoundError):
        bring_in(url, path, rejects=tmp_path / "nowhere" / "x.csv")
    with pytest.raises(IsADirectoryError):
        bring_in(url, path, rejects=tmp_path)
    assert things(url) == {}
    path.with_suffix(".rejects.csv").write_text("line,field,found,expected\n2,,a,b\n", encoding="utf-8")
    bring_in(url, path)
    assert not path.with_suffix(".rejects.csv").exists()


def test_finished_import_is_known_without_its_rejects(url: str, tmp_path: Path) -> None:
    """Under another name, and after the operator took them away: it is only told when it was done, and as what."""
    path = tmp_path / "a.csv"
    path.write_text(HALF_BAD, encoding="utf-8")
    bring_in(url, path)
    other = path.rename(tmp_path / "b.csv")
    state = bring_in(url, other, rejects=tmp_path / "nowhere" / "x.csv").state
    assert (state.name, state.rejected_rows, state.finished_at is None) == ("a.csv", 10, False)
    assert not other.with_suffix(".rejects.csv").exists()
    assert len(rejects(path)) == 10


class _Meddled:
    """A file that somebody writes to, of the same length, while it is read."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path

    def read(self, size: int) -> bytes:
        """A block; then its first byte is another."""
        block = self._file.read(size)
        if block:
            self._path.write_bytes(b"X" + block[1:])
            os.utime(self._path, ns=(0, 0))
        return block

    def fileno(self) -> int:
        """That of the file."""
        return self._file.fileno()


@pytest.mark.engines("sqlite")
def test_file_that_changes_while_its_sum_is_made_is_told(tmp_path: Path) -> None:
    """Its rows would be stored under the sum of others."""
    path = tmp_path / "a.csv"
    path.write_text(NINE, encoding="utf-8")
    with path.open("rb") as file, pytest.raises(ImportStoppedError, match="changed while it was read"):
        facts_of(cast("BinaryIO", _Meddled(file, path)))


def test_chunk_ends_by_bytes_too(url: str, tmp_path: Path) -> None:
    """Thirty rows of nearly 1 MiB are never in the memory at once."""
    path, done = tmp_path / "a.jsonl", []
    with path.open("w", encoding="utf-8") as file:
        file.writelines(f'{{"code": "{"y" * 1_000_000}{number}"}}\n' for number in range(30))
    state = bring_in(url, path, on_progress=done.append).state
    assert (len(done), state.rejected_rows) == (4, 30)


class _Deep(Row):
    more: dict[str, Any]


class _Nested(Row):
    tags: tuple[str, ...] | None = None
    deep: _Deep | None = None
    anything: Any = None


@pytest.mark.engines("sqlite")
@pytest.mark.parametrize(
    ("member", "field"),
    [
        (r'"tags": ["a", "\u0000"]', "tags.1"),
        (r'"anything": {"b": [1, {"c": "\u0000"}]}', "anything.b.1.c"),
        (r'"anything": {"\u0000": 1}', "anything.\0"),
        (r'"deep": {"code": "b", "more": {"d": "e\u0000"}}', "deep.more.d"),
        (r'"anything": "\\u0000"', None),
    ],
)
def test_nul_at_any_depth_rejects_its_row(tmp_path: Path, member: str, field: str | None) -> None:
    """PostgreSQL stores it nowhere, and would stop the whole import."""
    path = tmp_path / "a.jsonl"
    path.write_text('{"code": "a", ' + member + "}\n", encoding="utf-8")
    target = Target("nested", _Nested, _nothing)
    with path.open("rb") as file:
        rows, bad = checked(target, list(Reader(file, path.name, set(target.columns), {"code"})))
    told = [(one.line, one.field, one.expected) for one in bad]
    assert (len(rows), told) == ((1, []) if field is None else (0, [(1, field, "a text without NUL characters")]))


async def _nothing(_work: WriteWork, _rows: Sequence[Row]) -> None:
    """Stores nothing."""


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file", "/x"), SystemExit(0), KeyError("x")])
def test_store_that_fails_stops_the_import_and_is_named(url: str, tmp_path: Path, error: BaseException) -> None:
    """Whatever it raises is its own, and nothing of the file of rejects'."""
    path = tmp_path / "a.csv"
    path.write_text(NINE, encoding="utf-8")

    async def store(_work: WriteWork, _rows: Sequence[Row]) -> None:
        raise error

    with pytest.raises(ImportStoppedError, match=f"{type(error).__name__}") as stopped:
        bring_in(url, path, to=Target("things", Row, store))
    assert "rejects" not in str(stopped.value)


def test_name_that_is_not_utf_8_is_taken(url: str, tmp_path: Path) -> None:
    """Old file systems have such names; the table gets it as far as it can be written."""
    path = tmp_path / os.fsdecode(b"a\xff.csv")
    path.write_text(NINE, encoding="utf-8")
    assert bring_in(url, path).state.name == "a?.csv"
