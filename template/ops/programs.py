"""Programs that are run to their end, or started to outlive this one. Standard library only."""

import errno
import os
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import closing, suppress
from pathlib import Path

from process import GRACE_SECONDS, end, number_in
from releases import NotDeployedError
from words import reason

STEP = Path("var/deploy/step.pid")
# Of what may be left behind by a program that was killed, words of its command line.
LEFT = ("sync --quiet", "-m app migrate")
PAUSE_SECONDS = 0.05
# Writes its number before it becomes the program: whoever started it may be gone a moment later.
SPAWN = ("sh", "-c", 'echo $$ >"$0" && exec "$@"')


def run(command: list[str], folder: Path | None, environment: dict[str, str], failed: str) -> None:
    """Run a program to its end.

    Raises:
        NotDeployedError: it failed; why, is read from what it printed.
    """
    STEP.parent.mkdir(parents=True, exist_ok=True)
    known = [*SPAWN, str(STEP.absolute()), *command]
    done = subprocess.run(known, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    STEP.unlink(missing_ok=True)
    if done.returncode:
        words = reason(done.stderr or done.stdout) or f"exit status {done.returncode}"
        raise NotDeployedError(f"{failed}: {words}")


def end_left() -> None:
    """End a step that goes on although the program that began it was killed: a migration would hold its locks."""
    for words in LEFT:
        if pid := number_in(STEP, (words,)):
            end(pid, lambda: number_in(STEP, (words,)) == pid, GRACE_SECONDS)  # noqa: B023  # it is over before the next
    STEP.unlink(missing_ok=True)


def spawn(pid: Path, command: list[str], log: Path, folder: Path, environment: dict[str, str]) -> int:
    """Start a program that outlives this one; returns its number."""
    log.parent.mkdir(exist_ok=True)
    pid.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        program = subprocess.Popen(
            [*SPAWN, str(pid.absolute()), *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            start_new_session=True,
        )
    return program.pid


def is_free(host: str, port: int) -> bool:
    """Whether nobody listens there; where it cannot be listened at all, who tries it says why."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family)) as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind((host, port))
        except OSError as error:
            return error.errno != errno.EADDRINUSE
    return True


def wait_until(condition: Callable[[], bool], seconds: float, failed: str) -> None:
    """Wait for it.

    Raises:
        NotDeployedError: it did not come.
    """
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise NotDeployedError(failed)
        time.sleep(PAUSE_SECONDS)


def environment_of_operator() -> dict[str, str]:
    """Ours, without what the `make` that may have begun this runs with: RUN, ARGS, YES are not for the commands."""
    theirs = {
        "MAKEFLAGS",
        "MFLAGS",
        "MAKELEVEL",
        "MAKEOVERRIDES",
        "MAKE_TERMOUT",
        "MAKE_TERMERR",
        "ARGS",
        "RUN",
        "SHOW",
        "YES",
    }
    return {name: value for name, value in os.environ.items() if name not in theirs}


def here(words: str) -> list[int]:
    """The numbers of the processes with these words that work in this folder, where the system tells."""
    done = subprocess.run(["ps", "-ww", "-A", "-o", "pid=,args="], capture_output=True, text=True, check=False)
    pids = [int(line.split()[0]) for line in done.stdout.splitlines() if words in line]
    found = []
    for pid in pids:
        with suppress(OSError):  # it ended, or is somebody else's
            found += [pid] if Path(f"/proc/{pid}/cwd").readlink() == Path.cwd().resolve() else []
    return found
