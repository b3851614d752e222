"""A rendered service run by its own Dockerfile and compose.yaml, as a team deploys it."""

import http.client
import json
import mmap
import shutil
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml
from engine import Engine
from images import PYTHON_VERSION, bases, provide
from serving import run

# 16 characters or more, and such as nothing else holds: a test looks for it in the image.
SECRET = "planted-Zq7-secret-of-operations"  # noqa: S105 - a test's

# One answer sheet for all that is built, so that the engine has each layer of its image already.
ANSWERS = {"python_version": PYTHON_VERSION, "service_name": "Plumbline Container Test"}
# What a team would write. The health check asks often, so that nobody waits; the short drain likewise.
OVERRIDE = """
services:
  app:
    build:
      network: {network}
    environment:
      LOG_LEVEL: debug
      SERVER_DRAIN_SECONDS: "2"
    healthcheck:
      interval: 1s
  neighbour:
    image: {slug}:${{VERSION:-dev}}
    profiles: [neighbour]
    command: ["python3", "/srv/ops/health.py", "--url", "http://app:8000/readyz"]
"""


@dataclass(frozen=True)
class Composed:
    """A service's folder, what runs it, and the port it publishes on this machine."""

    engine: Engine
    folder: Path
    port: int

    def compose(self, *arguments: str, status: int | None = 0, **environment: str) -> str:
        """Run docker compose in the service's folder and return what it printed."""
        return self.engine.docker("compose", *arguments, folder=self.folder, status=status, **environment)

    def up(self, *arguments: str, **environment: str) -> str:
        """Start the service as the runbook says and wait until it is healthy."""
        return self.compose("up", "--detach", "--wait", *arguments, **environment)

    def inside(self, command: str, status: int | None = 0) -> str:
        """Run a shell command in the running container."""
        return self.compose("exec", "--no-TTY", "app", "sh", "-c", command, status=status)

    def state(self) -> dict:
        """Return what the engine says of the container, stopped or not."""
        identity = self.compose("ps", "--all", "--quiet", "app").strip()
        return json.loads(self.engine.docker("inspect", identity))[0]

    def ask(self, method: str, path: str, body: dict | None = None, token: str = "") -> tuple[int, dict]:
        """Ask through the published port; return status and parsed body."""
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body) if body else None, headers)
            answer = connection.getresponse()
            return answer.status, json.loads(answer.read())
        finally:
            connection.close()

    def await_ready(self) -> None:
        """Wait from this machine, with the service's own program, until requests are answered."""
        run(self.folder, "python3", "ops/health.py", "--wait", "120", PORT=str(self.port), HOST="127.0.0.1")

    def settings(self, **lines: str) -> None:
        """Write `.env`: what production asks for, and what is given."""
        hosts = "localhost,127.0.0.1,app"
        known = {"OPERATIONS_TOKEN": SECRET, "SECURITY_ALLOWED_HOSTS": hosts, "PORT": str(self.port), **lines}
        text = "".join(f"{name}={value}\n" for name, value in known.items())
        (self.folder / ".env").write_text(text, encoding="utf-8")


def image_holds(engine: Engine, image: str, folder: Path, text: str) -> bool:
    """Say whether a text stands in a layer of an image, or in a line of its history."""
    archive = folder / "image.tar"
    engine.docker("save", "--output", str(archive), image)
    with archive.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as layers:
        assert layers.find(b"Asks the service whether it is ready") > 0  # so layers can be read as they lie
        found = layers.find(text.encode()) != -1
    archive.unlink()
    return found or text in engine.docker("history", "--no-trunc", image)


@contextmanager
def composed(engine: Engine, rendered: Path, folder: Path) -> Iterator[Composed]:
    """Give a copy of a rendered service, ready to be built; take its containers, volumes and images away."""
    shutil.copytree(rendered, folder, ignore=shutil.ignore_patterns(".git"))
    slug = yaml.safe_load((folder / "compose.yaml").read_text(encoding="utf-8"))["name"]
    override = OVERRIDE.format(network=engine.build_network, slug=slug)
    (folder / "compose.override.yaml").write_text(override, encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        service = Composed(engine, folder, free.getsockname()[1])
    service.settings()
    for name in bases(folder / "Dockerfile"):
        provide(engine, name)
    try:
        yield service
    finally:
        service.compose("down", "--volumes", "--timeout", "1", "--remove-orphans", status=None)
        if images := engine.docker("images", "--quiet", slug).split():
            engine.docker("rmi", "--force", *images)
