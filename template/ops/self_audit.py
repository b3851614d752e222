"""Starts the service on an empty database of its own, lets the audit ask it, stops it. Needs the environment.

Usage: .venv/bin/python ops/self_audit.py [what `python -m app audit` takes]
Settings are those of this folder, but for address and database; the log is var/service.log. Where a service runs
already, nothing is started: `make audit` asks that one.
Exit codes: those of the audit, 0, 1 or 2; 2 also where it does not start.
"""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path
from urllib.parse import quote

import health
import process

READY_SECONDS = "30"


def free_port() -> str:
    """A port of this machine that nobody listens on."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return str(taken.getsockname()[1])


def app(*arguments: str) -> int:
    """Exit code of a command of the service."""
    return subprocess.run([sys.executable, "-m", "app", *arguments], check=False).returncode


def main(arguments: list[str]) -> int:
    """Start, audit, stop; returns the exit code."""
    if pid := process.running():
        print(f"not started: it runs already, as process {pid}; `make audit` asks that one", file=sys.stderr)
        return 2
    with tempfile.TemporaryDirectory(prefix="self-audit-") as folder:
        os.environ["DATABASE_URL"] = f"sqlite+aiosqlite:///{quote(str(Path(folder, 'app.db')))}"
        os.environ |= {"HOST": "127.0.0.1", "PORT": free_port(), "SERVER_DRAIN_SECONDS": "0"}
        if app("migrate") or process.start():
            return 2
        try:
            if health.main(["--wait", READY_SECONDS]):
                print(f"not audited: {process.LOG} says why", file=sys.stderr)
                return 2
            return app("audit", *arguments)
        finally:
            process.stop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
