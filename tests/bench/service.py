"""Renders the default service once, makes it ready, and starts what is measured. Standard library only."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

__all__ = ["BENCH", "PROGRAMS", "ROOT", "CannotMeasureError", "Server", "environment", "prepare", "run", "working_tree"]

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / ".work" / "bench"
PROGRAMS = Path(__file__).resolve().parent / "programs"
_START_SECONDS = 30.0
# What would change a measurement: another environment, no compiled modules, another setting of the service.
_DROPPED = {"VIRTUAL_ENV", "PYTHONHOME", "PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "CI"}
_DROPPED |= {"MAKEFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "MFLAGS", "ARGS"}  # `make bench ARGS=…` is its own
_DROPPED |= {"HOST", "PORT", "DATABASE_URL", "REDIS_URL", "LOG_LEVEL", "LOG_FORMAT", "ENV_FILE", "ENVIRONMENT"}


class CannotMeasureError(Exception):
    """Something a measurement stands on does not work; the program leaves with 2."""


def environment(**more: str) -> dict[str, str]:
    """Build the environment of whatever is started: tools of `make` first on PATH, nothing else active."""
    kept = {name: value for name, value in os.environ.items() if name not in _DROPPED}
    kept["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    return kept | {"COPIER_CACHE_DIR": str(BENCH / "copier")} | more


def run(*command: str | Path, cwd: Path, limit_seconds: float = 300.0, **more: str) -> str:
    """Run a program and return what it prints.

    Raises:
        CannotMeasureError: it failed or took too long.
    """
    words = [str(word) for word in command]
    try:
        done = subprocess.run(
            words, cwd=cwd, env=environment(**more), capture_output=True, text=True, timeout=limit_seconds, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotMeasureError(f"{' '.join(words)}: {error}") from None
    if done.returncode:
        raise CannotMeasureError(f"{' '.join(words)}: exit {done.returncode}\n{(done.stdout + done.stderr)[-2000:]}")
    return done.stdout


def working_tree(target: Path) -> Path:
    """Copy the template as it lies here, what is not committed included, to a folder without history."""
    shutil.rmtree(target, ignore_errors=True)
    names = run("git", "ls-files", "-z", "-co", "--exclude-standard", "copier.yml", "template", cwd=ROOT)
    for name in filter(None, names.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)
    return target


def prepare() -> Path:
    """Render the default service into `.work/bench/service`, add the measured routes and the bare app, set it up."""
    service = BENCH / "service"
    shutil.rmtree(service, ignore_errors=True)
    template = working_tree(BENCH / "template")
    run(sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", template, service, cwd=BENCH)
    routes = service / "src/app/api/v1/bench"
    routes.mkdir()
    (routes / "__init__.py").write_text('"""The measured routes."""\n', encoding="utf-8")
    for name in ("routes.py", "models.py"):
        shutil.copy2(PROGRAMS / name, routes / name)
    stored = service / "src/app/api/v1/stored"
    stored.mkdir()
    (stored / "__init__.py").write_text('"""The measured routes that ask the database."""\n', encoding="utf-8")
    shutil.copy2(PROGRAMS / "stored.py", stored / "routes.py")
    bare = shutil.copytree(PROGRAMS, service / "bare", ignore=shutil.ignore_patterns("__pycache__"))
    run("make", "setup", cwd=service, limit_seconds=600)
    python = service / ".venv/bin/python"
    run(python, "-m", "compileall", "-q", "src", "bare", ".venv", cwd=service)
    (bare / "modules.txt").write_text(_loaded_modules(service), encoding="utf-8")
    return service


def _loaded_modules(service: Path) -> str:
    """List every module, not its own, that the service has loaded when it starts to listen."""
    code = (
        "import sys; sys.path.insert(0, 'src'); import app.main, app.chassis.cli, app.chassis.server, uvloop\n"
        "print('\\n'.join(n for n in sys.modules if n.split('.')[0] not in ('app', '__main__')))"
    )
    return run(service / ".venv/bin/python", "-c", code, cwd=service)


@dataclass
class Server:
    """A program that answers HTTP on a port of this machine."""

    name: str
    port: int
    process: subprocess.Popen[bytes]

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @classmethod
    @contextmanager
    def started(cls, name: str, service: Path, *, probe: str = "/livez", **more: str) -> Iterator["Server"]:
        """Start `service` (the rendered one) or `bare`, wait for its first 200, stop it in the end."""
        server = cls.spawn(name, service, **more)
        try:
            server.wait_for(probe)
            yield server
        finally:
            server.stop()

    @classmethod
    def spawn(cls, name: str, service: Path, **more: str) -> "Server":
        """Start it and return at once. What it writes goes to a file, as a container runtime would keep it."""
        port, python = free_port(), str(service / ".venv/bin/python")
        program = "bare/bare_stored.py" if name == "bare_stored" else "bare/bare.py"
        command = [python, program] if name.startswith("bare") else [python, "-m", "app", "serve"]
        variables = environment(
            PYTHONPATH="src", HOST="127.0.0.1", PORT=str(port), BENCH_PORT=str(port), SERVER_DRAIN_SECONDS="0",
            RATE_LIMIT_DEFAULT="1000000/minute", **more,  # counted like any other, never refused
        )  # fmt: skip
        with (BENCH / f"{name}.log").open("wb") as log:
            process = subprocess.Popen(command, cwd=service, env=variables, stdout=log, stderr=subprocess.STDOUT)
        return cls(name, port, process)

    def wait_for(self, path: str) -> None:
        """Ask until the answer is 200.

        Raises:
            CannotMeasureError: it ended, or did not answer in time.
        """
        wait_for_200(self.port, path, self.process)

    def stop(self) -> None:
        """Ask it to stop, then insist."""
        stop(self.process)


def free_port() -> int:
    """Return a port nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for_200(port: int, path: str, process: subprocess.Popen[bytes], limit_seconds: float = _START_SECONDS) -> None:
    """Ask every few milliseconds until the answer is 200.

    Raises:
        CannotMeasureError: the process ended, or there was no such answer in time.
    """
    request = f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n".encode("ascii")
    until = time.monotonic() + limit_seconds
    while time.monotonic() < until:
        if process.poll() is not None:
            raise CannotMeasureError(f"found a server that ended with {process.returncode}, expected {path} to answer")
        try:
            with socket.create_connection(("127.0.0.1", port), 1.0) as connection:
                connection.sendall(request)
                if connection.recv(64).startswith(b"HTTP/1.1 200"):
                    return
        except OSError:
            pass
        time.sleep(0.005)
    raise CannotMeasureError(f"found no 200 from {path} within {limit_seconds:g} seconds")


def stop(process: subprocess.Popen[bytes], *, is_group: bool = False) -> None:
    """Ask a process this program started (or the group it leads) to stop, then insist."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        if process.poll() is None:
            os.killpg(process.pid, number) if is_group else process.send_signal(number)
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            continue
        return
