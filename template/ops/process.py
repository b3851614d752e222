"""Starts and stops the service as a process of this machine. Standard library only.

Usage: python3 ops/process.py start    its log goes to var/service.log, its number to var/service.pid
       python3 ops/process.py stop     asks it to end, waits as long as it may take, then ends it
Where `make deploy` put it behind its proxy, these are `python3 ops/deploy.py up` and `down`.
A number in var/service.pid counts only while it is a process of this service in this folder.
Exit codes: 0 done, or there was nothing to stop; 1 it runs already, or another program answers there; 2 wrong use.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from health import ask, default_url
from settings import setting

PID, LOG = Path("var/service.pid"), Path("var/service.log")
DEPLOYED = Path("var/deploy/state.json")
SERVE = ("-m", "app", "serve")
GRACE_SECONDS, PAUSE_SECONDS = 10.0, 0.1


def number_in(path: Path, words: tuple[str, ...]) -> int | None:
    """The number in a file, while it is a process with these words that works in this folder or below it.

    `var` may lie elsewhere: releases work below it.
    """
    try:
        pid = int(path.read_text(encoding="ascii"))
        asked = ["ps", "-ww", "-o", "args=", "-p", str(pid)]  # as wide as it is, whatever COLUMNS says
        command = subprocess.run(asked, capture_output=True, text=True, check=False)
    except (OSError, ValueError):
        return None
    try:
        cwd = Path(f"/proc/{pid}/cwd").readlink()
        is_here = any(cwd.is_relative_to(one.resolve()) for one in (Path(), PID.parent))
    except (FileNotFoundError, ProcessLookupError):
        is_here = not Path("/proc/self").exists()  # else it ended a moment ago
    return pid if is_here and " ".join(words) in command.stdout and "<defunct>" not in command.stdout else None


def running() -> int | None:
    """The number of the service's process; None if it does not run by itself."""
    return number_in(PID, SERVE)


def end(pid: int, is_there: Callable[[], bool], seconds: float) -> str:
    """End a process and say how; it is killed where that takes longer, and with it whatever it started."""
    word, until = "stopped", time.monotonic() + seconds
    with suppress(ProcessLookupError):  # it ended a moment ago
        os.kill(pid, signal.SIGTERM)
        os.kill(pid, signal.SIGCONT)  # one that is held can end, too
    while is_there():
        if time.monotonic() > until:
            word, until = "killed, as it did not end", time.monotonic() + GRACE_SECONDS
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(PAUSE_SECONDS)
    with suppress(ProcessLookupError, PermissionError):  # a child that lives on would keep the port
        os.killpg(pid, signal.SIGKILL)
    return word


def answers() -> bool:
    """Whether anybody answers at the service's address."""
    try:
        ask(default_url(), {})
    except Exception:  # noqa: BLE001  # nobody answers as HTTP does: the port is free, or the log says why not
        return False
    return True


def start() -> int:
    """Start it, unless something answers already; returns the exit code."""
    if pid := running():
        print(f"it runs already: process {pid}", file=sys.stderr)
        return 1
    if answers():
        print(f"another process answers at {default_url()}; expected nobody there", file=sys.stderr)
        return 1
    LOG.parent.mkdir(exist_ok=True)
    with LOG.open("ab") as log:
        process = subprocess.Popen(
            [".venv/bin/python", *SERVE], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    PID.write_text(f"{process.pid}\n", encoding="ascii")
    print(f"started: process {process.pid}")
    return 0


def stop() -> int:
    """Stop it; returns the exit code."""
    pid = running()
    if pid is None:
        PID.unlink(missing_ok=True)
        print("not running")
        return 0
    seconds = (
        float(setting("SERVER_DRAIN_SECONDS", "5.0"))
        + float(setting("SERVER_SHUTDOWN_SECONDS", "30.0"))
        + GRACE_SECONDS
    )
    word = end(pid, lambda: running() == pid, seconds)
    PID.unlink(missing_ok=True)
    print(f"{word}: process {pid}")
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Start or stop; returns the exit code."""
    parser = argparse.ArgumentParser(description="Start or stop the service on this machine.")
    parser.add_argument("verb", choices=("start", "stop"))
    options = parser.parse_args(arguments)
    if DEPLOYED.exists():
        verb = "up" if options.verb == "start" else "down"
        return subprocess.run(
            [sys.executable, str(Path(__file__).with_name("deploy.py")), verb], check=False
        ).returncode
    try:
        return start() if options.verb == "start" else stop()
    except (OSError, ValueError) as error:
        print(f"not done: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
