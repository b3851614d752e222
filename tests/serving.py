"""Runs a rendered service as a process of its own and asks it. Imports tools and the standard library only."""

import ctypes
import http.client
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import user_environment


def run(service: Path, *command: str, **environment: str) -> str:
    """Run a command in the service and return what it prints."""
    done = subprocess.run(
        command,
        cwd=service,
        env=user_environment(PYTHONPATH="src", **environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@contextmanager
def served(service: Path, **environment: str) -> Iterator[str]:
    """Run the service and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    whole = user_environment(PYTHONPATH="src", PORT=port, SERVER_DRAIN_SECONDS="0", **environment)
    with (service / "service.log").open("w") as log:
        command = [".venv/bin/python", "-m", "app", "serve"]
        process = subprocess.Popen(command, cwd=service, env=whole, stdout=log, stderr=log)
        try:
            run(service, "python3", "ops/health.py", "--wait", "120", PORT=port)
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(120) == 0


def ask(address: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (names in lower case) and body of a GET."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def signal_thread(process: subprocess.Popen, number: int) -> None:
    """Send a signal to the newest thread of a process: what its first thread waits for is not ended by it."""
    threads = sorted(int(each.name) for each in Path(f"/proc/{process.pid}/task").iterdir())
    assert len(threads) > 1
    assert ctypes.CDLL(None).tgkill(process.pid, threads[-1], number) == 0
