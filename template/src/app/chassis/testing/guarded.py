"""Servers of tests, each watched over by a process of its own. Imports nothing of the chassis.

That process starts the server in a folder of its own, says where it is, and stops it when its standard input ends: none
outlives the tests, however they end.
"""

import ctypes
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

__all__ = ["GuardedServer", "ServerMissingError", "die_with_us", "free_port", "guard", "wheel_files"]


class ServerMissingError(Exception):
    """No such server can be had here; the reason says what would help."""


class GuardedServer:
    """A server that the module of that name runs, and what was said of it."""

    def __init__(self, module: str, *arguments: str, **environment: str) -> None:
        self._guard = subprocess.Popen(  # noqa: S603  # our own program
            [sys.executable, "-m", module, *arguments],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)} | environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C is for the tests
        )
        assert self._guard.stdout is not None
        self.told = self._guard.stdout.readline().strip()
        if not self.told:
            raise ServerMissingError(self._guard.communicate()[1].strip().splitlines()[-1])

    def close(self) -> None:
        """Stop the server and remove its folder."""
        if self._guard.poll() is None:
            self._guard.communicate()


def guard(name: str, start: Callable[[Path], tuple[subprocess.Popen[bytes], str]], end: signal.Signals) -> None:
    """What the watching process does: `start` gives the server and what is to be told of it; `end` stops it."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    try:
        with tempfile.TemporaryDirectory(prefix=f"service-{name}-", ignore_cleanup_errors=True) as folder:
            server, told = start(Path(folder))
            try:
                print(told, flush=True)  # noqa: T201  # to whoever started us
                sys.stdin.read()
            finally:
                server.send_signal(end)
                server.wait(30)
    except ServerMissingError as error:
        sys.exit(str(error))


def wheel_files(package: str, pattern: str) -> list[Path]:
    """Files of an installed package, which is not imported; none if it is not there."""
    found = importlib.util.find_spec(package)
    folders = [Path(folder) for folder in (found.submodule_search_locations or ())] if found else []
    return [file for folder in folders for file in folder.glob(pattern)]


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
