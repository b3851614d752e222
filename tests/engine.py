"""A container engine for the tests: Docker with Compose, started in .work and taken down again, touching nothing else.

Its base images are made of Debian's packages and uv's wheel, so no image registry is needed. Only who may make
namespaces can start it; anybody else uses the engine that already answers them, if there is one. Tests and tools only.
"""

import ctypes
import hashlib
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from tools import ENGINE, INSTALLED, TOOLS, lost, may_run_containers, require

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ROOT / ".work/engine"
PYTHON_VERSION = "3.13"  # Debian trixie's; the Dockerfile's base image is trixie too
PACKAGES = ("python3", "ca-certificates")
UNREAD = ("man", "doc", "info", "locale", "lintian")

# The firewall of the machine is left as it is: containers see each other by name and publish ports, and nothing beyond.
DAEMON = (
    *("--iptables=false", "--ip6tables=false", "--ip-forward=false", "--ip-masq=false", "--bridge=none"),
    *("--config-file", os.devnull, "--default-ulimit", "nofile=1024:4096"),
)


@dataclass(frozen=True)
class Engine:
    """An engine that answers: its client, what the client must be told, and how a build reaches the package index."""

    client: str
    environment: dict[str, str]
    build_network: str

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

    def base(self, name: str) -> None:
        """Make a base image as the Dockerfile names it, unless a registry gives it; `haproxy` is Debian's."""
        if self.build_network != "host" or self.docker("images", "--quiet", name):
            return
        if "/uv:" in name:
            files = subprocess.run(["tar", "-C", INSTALLED, "-c", "uv"], capture_output=True, check=True).stdout
            subprocess.run(
                [self.client, "import", "-", name], input=files, env=self.environment, capture_output=True, check=True
            )
        elif name.startswith("python:"):
            changes = [f"ENV {variable}={value}" for variable, value in _index().items()]
            options = [option for change in changes for option in ("--change", change)]
            self.docker("import", *options, str(_debian()), name)
        else:
            self._install(name, package=name.rsplit("/", 1)[-1].partition(":")[0])

    def _install(self, name: str, package: str) -> None:
        python = f"python:{PYTHON_VERSION}-slim-trixie"
        self.base(python)
        install = f"apt-get update -qq && apt-get install -qq --yes --no-install-recommends {package}"
        lines = f"FROM {python}\nRUN {install} >/dev/null && rm -rf /var/lib/apt/lists/*\n"
        folder = Path(self.environment["DOCKER_CONFIG"]).parent / package
        folder.mkdir()
        (folder / "Dockerfile").write_text(lines, encoding="utf-8")
        self.docker("build", "--quiet", "--network", "host", "--tag", name, str(folder))


def bases(dockerfile: Path) -> list[str]:
    """Name the images a Dockerfile begins with, its own stages left out."""
    text = dockerfile.read_text(encoding="utf-8")
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE):
        text = text.replace(f"${{{name}}}", value)
    stages = set(re.findall(r" AS (\w+)$", text, re.MULTILINE))
    return [name for name in dict.fromkeys(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) if name not in stages]


@contextmanager
def running_engine() -> Iterator[Engine]:
    """Give an engine: one of the tests' own, else the user's; with neither, skip and say what is lost."""
    if not may_run_containers() or not (ENGINE / "bin/dockerd").exists():
        yield _users_engine()
        return
    programs = [require(name) for name in ("dockerd", "runc", "iptables", "mmdebstrap")]
    _sweep()
    folder = FOLDERS / str(os.getpid())
    folder.mkdir(parents=True)
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
    environment = {name: value for name, value in os.environ.items() if not name.startswith("COMPOSE_")}
    return Engine(str(client), environment, "default")


@contextmanager
def _daemon(program: str, folder: Path) -> Iterator[Engine]:
    (folder / "config").mkdir()
    (folder / "config/cli-plugins").symlink_to(ENGINE / "cli-plugins")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DOCKER_", "COMPOSE_"))}
    kept["PATH"] = os.pathsep.join([str(ENGINE / "bin"), os.environ["PATH"], "/usr/sbin", "/sbin"])
    address = f"unix://{folder}/sock"
    environment = {**kept, "DOCKER_HOST": address, "DOCKER_CONFIG": str(folder / "config")}
    places = {"--data-root": "data", "--exec-root": "exec", "--pidfile": "pid"}
    options = [f"{option}={folder / name}" for option, name in places.items()]
    ours = Engine(str(ENGINE / "bin/docker"), environment, "host")
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            [program, "--host", address, *options, *DAEMON],
            env=kept,
            stdout=log,
            stderr=log,
            start_new_session=True,  # an interrupt at the terminal is the tests' to handle
            preexec_fn=_end_with_us,
        )
    try:
        _await(ours, process, folder / "log")
        yield ours
        if left := ours.docker("ps", "--all", "--quiet").split():
            ours.docker("rm", "--force", "--volumes", *left)
    finally:
        process.terminate()
        process.wait(90)


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


def _index() -> dict[str, str]:
    """Tell uv in a container what it is told here: which index, and whom to trust."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
    told = {name: os.environ[name] for name in names if name in os.environ}
    return {"SSL_CERT_FILE": "/etc/ssl/certs/ca-certificates.crt", **told}


def _debian() -> Path:
    """Return Debian trixie with Python as an archive, made once for the packages and certificates it holds."""
    trusted = Path(os.environ.get("SSL_CERT_FILE", "/etc/ssl/certs/ca-certificates.crt"))
    sources = sorted((ENGINE / "sources.d").iterdir())
    held = [str(PACKAGES), str(UNREAD), *(path.read_text(encoding="utf-8") for path in (trusted, *sources))]
    key = hashlib.sha256("\0".join(held).encode()).hexdigest()[:12]
    archive = ENGINE / f"debian-{key}.tar"
    if not archive.exists():
        new = archive.with_suffix(f".{os.getpid()}.tar")
        command = [
            *(require("mmdebstrap"), "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNREAD),
            f"--customize-hook=upload '{trusted}' /etc/ssl/certs/ca-certificates.crt",
            *("trixie", str(new), *map(str, sources)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        new.replace(archive)
    return archive


def _sweep() -> None:
    """Remove what a run that was killed has left."""
    for folder in FOLDERS.glob("*"):
        if not Path("/proc", folder.name).exists():
            _remove(folder)


def _remove(folder: Path) -> None:
    mounts = [line.split()[1] for line in Path("/proc/mounts").read_text().splitlines()]
    for mount in reversed([mount for mount in mounts if Path(mount).is_relative_to(folder)]):
        subprocess.run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(folder, ignore_errors=True)
