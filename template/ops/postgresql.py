"""A session of psql that is asked one thing after the other. Standard library only.

A password goes to it in the environment, never in a command; what it says of an error is told without its rows.
"""

import os
import re
import secrets
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from types import TracebackType
from typing import IO, Self
from urllib.parse import parse_qsl, unquote

from copies import BLOCK_BYTES, NotDoneError
from postgresql_programs import program, reason

EXPECTED = "expected postgresql+asyncpg://USER:PASSWORD@HOST:5432/NAME"
# The service's own reading of a URL is SQLAlchemy's.
URL = re.compile(
    r"postgresql\+asyncpg://(?:(?P<PGUSER>[^:/]*)(?::(?P<PGPASSWORD>[^@]*))?@)?"
    r"(?:(?:\[(?P<v6>[^/?]+)\]|(?P<PGHOST>[^/:?]+))?(?::(?P<PGPORT>[^/?]*))?)?(?:/(?P<PGDATABASE>[^?]*))?(?:\?(?P<query>.*))?"
)
# What a value looks like as text must not depend on who asks, and no limit of the service holds.
SESSION = {
    "datestyle": "ISO",
    "intervalstyle": "postgres",
    "timezone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "statement_timeout": "0",
    "idle_in_transaction_session_timeout": "0",
    "lock_timeout": "10s",
}
ESCAPES = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def environment_of(url: str, application: str) -> dict[str, str]:
    """What PostgreSQL's programs are told about a database.

    Raises:
        NotDoneError: the URL cannot be read; it is not shown, for it may hold a password.
    """
    found = URL.fullmatch(url)
    if found is None or "${" in url or not found["PGDATABASE"]:
        raise NotDoneError(f"the database's URL cannot be used; {EXPECTED}", 2)
    parts = {name: found[name] for name in ("PGHOST", "PGPORT") if found[name]}
    parts |= {name: unquote(found[name]) for name in ("PGUSER", "PGPASSWORD", "PGDATABASE") if found[name]}
    options = dict(parse_qsl(found["query"] or "", keep_blank_values=True))
    if found["v6"]:
        parts["PGHOST"] = found["v6"]
    if host := options.get("host"):
        name, _, port = host.partition(":") if not host.startswith("/") else (host, "", "")
        parts |= {"PGHOST": name} | ({"PGPORT": port} if port else {})
    if mode := options.get("ssl"):
        parts["PGSSLMODE"] = mode
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("PGSERVICE", "PGOPTIONS", "PGHOSTADDR", "PGTZ", "PGDATESTYLE")
    }
    fixed = {
        "PGAPPNAME": application,
        "PGCLIENTENCODING": "UTF8",
        "PGCONNECT_TIMEOUT": "10",
        "PGOPTIONS": " ".join(f"-c {name}={value}" for name, value in SESSION.items()),
        "LC_ALL": "C",
    }
    return kept | fixed | parts


class Session:
    """One connection of psql."""

    def __init__(self, environment: dict[str, str]) -> None:
        command = [
            program("psql"),
            *("--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--no-password"),
            *("--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose"),
        ]
        self._told = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the session
        self._process = subprocess.Popen(
            command, env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._told
        )
        assert self._process.stdin is not None  # noqa: S101  # for the type checker
        assert self._process.stdout is not None  # noqa: S101
        self.input, self._output = self._process.stdin, self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        """End; what was not committed is taken back by the server."""
        with suppress(OSError):  # it may have ended before
            self.input.close()
        self._output.close()
        self._process.wait()
        self._told.close()

    def ask(self, statement: str) -> Iterator[bytes]:
        """Lines that psql prints for a statement, or a command of its own; to be read to the end before the next one.

        Raises:
            NotDoneError: in the words of the server.
        """
        marker = f"end-{secrets.token_hex(16)}"
        try:
            self.input.write(f"{statement}{'' if statement[0] == chr(92) else ';'}\n\\echo {marker}\n".encode())
            self.input.flush()
        except OSError:
            raise self.failure() from None
        end = f"{marker}\n".encode()
        for line in self._output:
            if line == end:
                return
            yield line
        raise self.failure()

    def run(self, *statements: str) -> None:
        """Statements whose answers nobody needs."""
        for statement in statements:
            for _ in self.ask(statement):
                pass

    def rows(self, query: str) -> list[list[str]]:
        """Rows of a query, all values as text; NULL is an empty one."""
        found = []
        for line in self.ask(f"COPY ({query}) TO STDOUT"):
            cells = [b"" if cell == rb"\N" else cell for cell in line.rstrip(b"\n").split(b"\t")]
            found.append([re.sub(rb"\\(.)", _unescaped, cell).decode() for cell in cells])
        return found

    def feed(self, script: IO[bytes]) -> None:
        """Hand over a script of pg_restore. An older server does not know the setting that a newer one writes first."""
        block = script.read(BLOCK_BYTES).replace(b"SET transaction_timeout = 0;\n", b"", 1)
        try:
            while block:
                self.input.write(block)
                block = script.read(BLOCK_BYTES)
            self.input.flush()
        except OSError:
            raise self.failure() from None

    def failure(self) -> NotDoneError:
        """Why psql ended."""
        self._process.wait()
        self._told.seek(0)
        return NotDoneError(f"PostgreSQL: {reason(self._told.read().decode(errors='replace'))}")


def _unescaped(found: re.Match[bytes]) -> bytes:
    return ESCAPES.get(found[1], found[1])
