"""A container engine for the tests: Docker with Compose, started in .work and taken down again, touching nothing else.

Only who may make namespaces can start it; anybody else uses the engine that already answers them, if there is one.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tools import ENGINE, TOOLS, lost, may_run_containers, require

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ROOT / ".work/engine"
# The firewall of the machine is left as it is: containers see each other by name and publish ports, and nothing beyond.
DAEMON = (
    *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"),
    *("--config-file", os.devnull, "--default-ulimit", "nofile=1024:4096"),
)


# What a user's shell may hold and Compose would read.
NOT_PASSED = re.compile(r"DOCKER_|COMPOSE_|(VERSION|PORT)$")


@dataclass(frozen=True)
class Engine:
    """An engine that answers: its client and what that must be told, a scratch folder, and a build's network."""

    client: str
    environment: dict[str, str]
    folder: Path
    build_network: str

    @property
    def is_users(self) -> bool:
        """Whether it was there before the tests, and has a registry."""
        return self.build_network != "host"

    def docker(self, *arguments: str, folder: Path | None = None, status: int | None = 0, **more: str) -> str:
        """Run docker and return what it printed, both streams; `status=None` takes any exit status."""
        done = subprocess.run(
            [self.client, *arguments],
            cwd=folder,
            env={**self.environment, **more},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
        assert status in {None, done.returncode}, f"docker {' '.join(arguments)}: {done.returncode}\n{done.stdout}"
        return done.stdout


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Give an engine: one of the tests' own, else the user's; with neither, skip and say what is lost."""
    if not may_run_containers() or not (ENGINE / "bin/dockerd").exists():
        yield _users_engine()
        return
    programs = [require(name) for name in ("dockerd", "runc", "iptables", "mmdebstrap")]
    _sweep()
    FOLDERS.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=f"{os.getpid()}-", dir=FOLDERS))
    try:
        with _daemon(programs[0], folder) as ours:
            yield ours
    finally:
        _remove(folder)


def _users_engine() -> Engine:
    client = shutil.which("docker")
    asked = [[client, "info"], [client, "compose", "version"]] if client else [["false"]]
    if any(subprocess.run(command, capture_output=True, check=False).returncode for command in asked):
        pytest.skip(lost(TOOLS["dockerd"]))
    known = {name: value for name, value in os.environ.items() if name.startswith("DOCKER_")}
    return Engine(str(client), {**_environment(), **known}, Path(), "default")


@contextmanager
def _daemon(program: str, folder: Path) -> Iterator[Engine]:
    (folder / "config").mkdir()
    (folder / "config/cli-plugins").symlink_to(ENGINE / "cli-plugins")
    kept = _environment()
    kept["PATH"] = os.pathsep.join([str(ENGINE / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
    sockets = _sockets(folder)
    sockets.mkdir()
    environment = {**kept, "DOCKER_HOST": f"unix://{sockets}/sock", "DOCKER_CONFIG": str(folder / "config")}
    places = {"--data-root": folder / "data", "--pidfile": folder / "pid", "--exec-root": sockets}
    options = ["--host", environment["DOCKER_HOST"], *(f"{option}={place}" for option, place in places.items())]
    ours = Engine(str(ENGINE / "bin/docker"), environment, folder, "host")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, *options, *DAEMON],
            env=kept,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt at the terminal is the tests' to handle
            preexec_fn=_end_with_us,
        )
    try:
        _await(ours, process, folder / "log")
        yield ours
    finally:
        if process.poll() is None and (left := ours.docker("ps", "--all", "--quiet", status=None).split()):
            ours.docker("rm", "--force", "--volumes", *left, status=None)
        ours.docker("network", "prune", "--force", status=None)
        process.terminate()
        process.wait(90)


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not NOT_PASSED.match(name)}


def _sockets(folder: Path) -> Path:
    """Say where an engine's sockets lie: their paths may have 107 characters, and a clone's may have more."""
    return Path("/run", f"plumbline-{folder.name}")


def _end_with_us() -> None:
    """Have the kernel stop the engine, and it its containers, should the tests be killed."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def _await(ours: Engine, process: subprocess.Popen, log: Path) -> None:
    deadline = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < deadline:
        if "Server:" in ours.docker("version", status=None) and not ours.docker("ps", status=None).startswith("Cannot"):
            return
        time.sleep(0.1)
    raise RuntimeError(f"found no engine that answers, expected one:\n{log.read_text()[-4000:]}")


def _sweep() -> None:
    """Remove what a run that was killed has left."""
    for folder in FOLDERS.glob("*"):
        if not Path("/proc", folder.name.partition("-")[0]).exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    networks = folder / "data/network/files/local-kv.db"
    for bridge in set(re.findall(rb"br-[0-9a-f]{12}", networks.read_bytes() if networks.exists() else b"")):
        if shutil.which("ip") and Path("/sys/class/net", bridge.decode()).exists():  # of a run that was killed
            subprocess.run(["ip", "link", "delete", bridge.decode()], check=False)
    for place in (folder, _sockets(folder)):
        mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
        for mount in reversed([mount for mount in mounts if Path(mount).is_relative_to(place)]):
            subprocess.run(["umount", "--lazy", mount], check=False)
        shutil.rmtree(place, ignore_errors=True)
