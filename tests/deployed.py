"""A service that is deployed by its own programs, as a team does it."""

import http.client
import json
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from conftest import commit_all, git, share
from tools import require, user_environment

ROUTES = "src/app/api/v1/items/routes.py"
LISTING = re.compile(r"(async def list_items.*?:\n)(?=    return)", re.DOTALL)
SETTINGS = ("PORT", "HOST", "DATABASE_URL", "DEPLOYS_FILE", "DEPLOY_DRIVER", "DEPLOY_PORTS", "DEPLOY_WATCH_SECONDS")


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on, each once."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


@dataclass
class Deployed:
    """The service's folder, its operator's environment, and the port of its proxy."""

    folder: Path
    environment: dict[str, str]
    port: int
    ports: list[int]

    def run(self, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run ops/deploy.py to its end."""
        command = ["python3", "ops/deploy.py", *arguments]
        env = self.environment | environment
        return subprocess.run(command, cwd=self.folder, env=env, capture_output=True, text=True, timeout=300)

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Run ops/deploy.py beside the test; its lines come as they are printed."""
        command = ["python3", "ops/deploy.py", *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(
            command, cwd=self.folder, env=self.environment, stdout=pipe, stderr=subprocess.STDOUT, text=True
        )

    def commit(self, version: str, files: dict[str, str] | None = None) -> None:
        """Commit a version, with files that are new or other than before."""
        for name, text in (files or {}).items():
            (self.folder / name).write_text(text)
        project, lock = self.folder / "pyproject.toml", self.folder / "uv.lock"
        was = re.search(r'^version = "(.*)"', project.read_text(), re.MULTILINE)[1]
        for file, name in ((project, "version"), (lock, 'name = "example-service"\nversion')):
            if file.exists():
                file.write_text(file.read_text().replace(f'{name} = "{was}"', f'{name} = "{version}"', 1))
        commit_all(self.folder, version)

    def deploy_new(self, version: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Commit a good version and deploy it."""
        self.commit(version, {"good.txt": f"{version} {time.monotonic()}"})
        return self.run("deploy", **environment)

    def be_good_again(self) -> None:
        """Leave the repository at a version that can be deployed."""
        git(self.folder, "checkout", "--quiet", "--force", "HEAD")
        git(self.folder, "clean", "--quiet", "--force", "-d")
        good = git(self.folder, "log", "--format=%H", "-1", "--", "good.txt").strip() or "HEAD"
        git(self.folder, "reset", "--quiet", "--hard", good)

    def kill_behind(self, step: str) -> None:
        """Deploy, and end the program without a warning once it has said that a step is done."""
        with self.start("deploy") as program:
            for line in program.stdout:
                if line.startswith(step):
                    break
            program.send_signal(signal.SIGKILL)

    def state(self) -> dict:
        """Return what stands in the state."""
        return json.loads(self.read("var/deploy/state.json"))

    def is_settled(self) -> bool:
        """Say whether nothing is under way, no release is kept that is not known, none was recorded twice."""
        ids, state = [line["id"] for line in self.record()], self.state()
        kept = {path.name for path in (self.folder / "var/deploy/releases").iterdir()}
        return (state["work"], kept, len(ids)) == (None, set(state["releases"]), len(set(ids)))

    def read(self, name: str) -> str:
        """Return the text of a file."""
        return (self.folder / name).read_text()

    def listing(self, line: str) -> dict[str, str]:
        """Return the routes with a line of the test's own in the first of them, the list of items."""
        return {ROUTES: LISTING.sub(rf"\1    {line}\n", self.read(ROUTES), count=1)}

    def ready(self, port: int | None = None) -> dict[str, str]:
        """Return what `/readyz` says to clients, or past the proxy."""
        connection = http.client.HTTPConnection("127.0.0.1", port or self.port, timeout=10)
        connection.request("GET", "/readyz")
        found = json.loads(connection.getresponse().read())
        connection.close()
        return found.get("data") or found["error"]

    def record(self) -> list[dict]:
        """Return the lines of the record."""
        return [json.loads(line) for line in self.read("var/deploys.jsonl").splitlines()]

    def processes(self) -> set[int]:
        """Return the numbers of all processes that work in the folder or below it."""
        found = set()
        for path in Path("/proc").glob("[0-9]*/cwd"):
            try:
                if path.resolve().is_relative_to(self.folder):
                    found.add(int(path.parent.name))
            except OSError:
                continue
        return found

    def serving(self) -> set[int]:
        """Return the numbers of those that are the service itself."""
        return {pid for pid in self.processes() if b"serve" in Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")}


def ready_to_deploy(folder: Path, environment: dict[str, str], **settings: str) -> Deployed:
    """Give a folder settings and commit it."""
    port, *others = free_ports(3)
    told = {"PORT": str(port), "DEPLOY_PORTS": ",".join(map(str, others)), "DEPLOY_WATCH_SECONDS": "0"}
    told |= {"RATE_LIMIT_ENABLED": "false", "SERVER_DRAIN_SECONDS": "0.2", **settings}
    (folder / ".env").write_text("".join(f"{name}={value}\n" for name, value in told.items()))
    commit_all(folder, "render")
    kept = {name: value for name, value in environment.items() if name not in SETTINGS}
    return Deployed(folder.resolve(), kept, port, others)


@contextmanager
def service(installed: Path, folder: Path, **settings: str) -> Iterator[Deployed]:
    """Give a committed service whose programs find nginx; whatever it started is stopped afterwards."""
    require("nginx"), require("uv"), require("git")
    share(installed, folder)
    one = ready_to_deploy(folder, user_environment(), **settings)
    try:
        yield one
    finally:
        one.run("down")
        for pid in one.processes():
            subprocess.run(["kill", "-KILL", str(pid)], check=False)
