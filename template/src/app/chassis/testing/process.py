"""The service as a process of its own, with a database of its own, on a free port of 127.0.0.1."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any, Self

from app.chassis.about import project_root
from app.chassis.testing.client import Client
from app.chassis.testing.rooms import suite_environment

__all__ = ["ServiceProcess"]

_START_SECONDS = 120.0


class ServiceProcess:
    """Starts, watches and stops the service. As a context manager it is stopped whatever happens."""

    def __init__(
        self, folder: Path, *, module: str = "app.chassis.testing.serve", command: str = "serve", **environment: str
    ) -> None:
        self.folder = folder
        self.lines: list[dict[str, Any]] = []
        self.url = ""
        self._clients: list[Client] = []
        self._listening = threading.Event()
        self._command = [sys.executable, "-m", module, *([command] if module == "app" else [])]
        self._environment = os.environ | {
            "ENVIRONMENT": "test",
            "ENV_FILE": "",
            "HOST": "127.0.0.1",
            "PORT": "0",
            "DATABASE_URL": f"sqlite+aiosqlite:///{folder}/test.db",
            "SERVER_DRAIN_SECONDS": "0",
            "PYTHONPATH": os.pathsep.join(("src", ".")),
            **suite_environment(),
            **environment,
        }

    def __enter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run `python -m app …` with the environment of this service."""
        return subprocess.run(  # noqa: S603  # our own program
            [sys.executable, "-m", "app", *arguments],
            cwd=project_root(),
            env=self._environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def start(self) -> Self:
        """Start and wait until it listens; the time limit is generous, since only a hang should meet it."""
        self._listening.clear()
        self.process = subprocess.Popen(  # noqa: S603  # our own program
            self._command,
            cwd=project_root(),
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        if not self._listening.wait(_START_SECONDS) or not self.url:
            self.stop()
            raise AssertionError(f"the service did not start: {self.lines}")
        return self

    def stop(self, number: int = signal.SIGTERM, timeout_seconds: float = 15.0) -> int:
        """Send a signal and wait; returns the exit code. Every client is closed."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            code = self.process.wait(timeout_seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            code = self.process.wait()
        for client in self._clients:
            client.close()
        self._reader.join(5.0)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return code

    def client(self, contracts: dict[str, Any] | None = None) -> Client:
        """A client of this service."""
        client = Client(self.url, contracts)
        self._clients.append(client)
        return client

    def wait_for_line(self, event: str, timeout_seconds: float = 30.0, **members: str) -> dict[str, Any]:
        """First log line with that event and these members; waits for it."""
        until = time.monotonic() + timeout_seconds
        while time.monotonic() < until:
            for line in list(self.lines):
                if line.get("event") == event and all(line.get(name) == value for name, value in members.items()):
                    return line
            time.sleep(0.01)
        raise AssertionError(f"no line {event!r} in the log: {self.lines[-20:]}")

    def _read(self) -> None:
        assert self.process.stdout is not None
        for raw in self.process.stdout:
            try:
                line = json.loads(raw)
            except ValueError:
                line = {"event": re.sub(rb"\s+$", b"", raw).decode(errors="replace"), "is_plain": True}
            self.lines.append(line)
            if line.get("event") == "listening":
                self.url = line["url"]
                self._listening.set()
        self._listening.set()
