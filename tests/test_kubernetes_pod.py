"""The service in production mode with an overlay's settings, asked over a real socket as a kubelet asks it."""

import json
import os
import re
import shlex
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cluster import Built, build, environment, probed, secret
from conftest import Render, share
from serving import ask
from tools import require, user_environment

PAGE = "docs/chassis/kubernetes.md"
TOKEN = "a-token-of-this-test-0123456789"  # noqa: S105 - opens nothing
DEADLINE_SECONDS = 30.0
# What a machine of the tests has in place of a container: another address, another place for the program and the keys.
HERE = ("HOST", "PORT", "AUTH_KEYS_FILE")


@dataclass
class Pod:
    """A service's folder, its overlay, its Secrets, and the volume of its keys."""

    folder: Path
    built: Built
    secrets: dict[str, dict[str, str]]
    keys: Path
    port: str = "0"

    def environment(self, kind: str) -> dict[str, str]:
        """What the container gets, and what a test's machine has instead."""
        told = environment(self.built, kind, self.secrets)
        assert {name for name in HERE if name in told} == set(HERE)
        here = {"HOST": "127.0.0.1", "PORT": self.port, "AUTH_KEYS_FILE": str(self.keys / "keys.json")}
        return user_environment(PYTHONPATH="src", PYTHONDONTWRITEBYTECODE="1", **(told | here))

    def run(self, kind: str) -> subprocess.CompletedProcess[str]:
        """Run the command of the Job to its end, or the server's where it does not start."""
        command = self.built.container(kind).get("command", ["python3", "-m", "app", "serve"])
        command = [".venv/bin/python", *command[1:]]
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment(kind),
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    @contextmanager
    def served(self) -> Iterator[str]:
        """Start the server, give its address, and end it as a kubelet does: within its grace period, with status 0."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        command = [".venv/bin/python", "-m", "app", "serve"]
        with (self.folder.parent / "server.log").open("w") as log:
            env = self.environment("Deployment") | {"SERVER_DRAIN_SECONDS": "0"}
            process = subprocess.Popen(command, cwd=self.folder, env=env, stdout=log, stderr=log)
            try:
                yield f"127.0.0.1:{self.port}"
            finally:
                process.send_signal(signal.SIGTERM)
                assert process.wait(self.built.pod()["terminationGracePeriodSeconds"]) == 0

    def probe(self, address: str, name: str) -> int:
        """Status of a probe's answer; 0 where nobody answers."""
        try:
            return probed(address, self.built.container()[f"{name}Probe"])
        except OSError:
            return 0

    def mount(self, number: int) -> None:
        """Bring the Secret of the keys as a kubelet does: a new folder, then the link to it is changed at once."""
        (name,) = (one["secret"]["secretName"] for one in self.built.pod()["volumes"] if "secret" in one)
        content = self.keys / f"..{number}"
        content.mkdir(parents=True)
        for key, text in self.secrets[name].items():
            (content / key).write_text(text, encoding="utf-8")
            if number == 0:
                (self.keys / key).symlink_to(f"..data/{key}")
        (self.keys / "..data_tmp").symlink_to(content.name)
        (self.keys / "..data_tmp").rename(self.keys / "..data")


def wait_for(expected: int, pod: Pod, address: str, name: str) -> None:
    """Probe until the status is the expected one."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while (found := pod.probe(address, name)) != expected:
        assert time.monotonic() < deadline, f"{name}: found {found}, expected {expected}"
        time.sleep(0.05)


@contextmanager
def server(folder: Path, module: str, *arguments: str, **environment_: str) -> Iterator[str]:
    """A server of the service's own tests; gives what it says of itself."""
    command = [".venv/bin/python", "-m", module, *arguments]
    env = user_environment(PYTHONPATH="src", **environment_)
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=folder, env=env, stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        told = process.stdout.readline().strip()
        assert told, module
        yield told


def made_by_the_page(service: Path, page: str, folder: Path) -> dict[str, dict[str, str]]:
    """The Secret that the command of a page makes, here without a cluster to send it to."""
    text = (service / page).read_text("utf-8")
    (command,) = re.findall(r"^kubectl create secret (?:.*\\\n)*.*$", text, re.MULTILINE)
    command = command.partition(" | ")[0].replace("NAME", "example-service")
    command = command.replace("/run/user/$UID", shlex.quote(str(folder)))
    command = command if "--dry-run=client" in command else f"{command} --dry-run=client --output yaml"
    env = os.environ | {"HOME": str(folder), "PATH": f"{Path(require('kubectl')).parent}:{os.environ['PATH']}"}
    done = subprocess.run(["bash", "-c", command], env=env, capture_output=True, text=True, check=True)
    return dict([secret(done.stdout)])


def keys(pod: Pod, *arguments: str) -> None:
    """Change the keys in a file outside, as the page says, and make their Secret of it."""
    outside = pod.folder.parent
    command = [".venv/bin/python", "-m", "app", "keys", *arguments]
    env = user_environment(PYTHONPATH="src", AUTH_KEYS_FILE=str(outside / "keys.json"))
    subprocess.run(command, cwd=pod.folder, env=env, check=True, capture_output=True)
    pod.secrets |= made_by_the_page(pod.built.service, "docs/chassis/features/auth.md", outside)


@pytest.fixture(scope="module")
def pod(installed: Path, render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pod]:
    """Return what a pod of production has, beside a PostgreSQL without a table and a Valkey."""
    service, outside = render("everything"), tmp_path_factory.mktemp("pod")
    folder = share(installed, outside / "service", service)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    with (
        server(folder, "app.chassis.testing.postgresql") as url,
        server(folder, "app.chassis.redis.testing.server", port, VALKEY_PASSWORD=TOKEN),
    ):
        given = {"DATABASE_URL": url, "OPERATIONS_TOKEN": TOKEN, "REDIS_URL": f"redis://:{TOKEN}@127.0.0.1:{port}/0"}
        (outside / "production.env").write_text("".join(f"{name}={value}\n" for name, value in given.items()))
        secrets = made_by_the_page(service, PAGE, outside)
        assert list(secrets.values()) == [given]
        yield Pod(folder, Built(service, build(service, "production")), secrets, outside / "volume")


def changed_files(folder: Path) -> dict[str, int]:
    """Each file of the service and when it was written."""
    return {
        str(path): path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file() and ".venv" not in path.parts
    }


def test_pod_without_signing_keys_says_what_it_expects(pod: Pod) -> None:
    """The Secret of the keys is optional for the cluster, and the service itself asks for them, in the Job too."""
    shutil.rmtree(pod.keys, ignore_errors=True)
    for kind in ("Deployment", "Job"):
        done = pod.run(kind)
        assert done.returncode == 2
        assert re.search(r"AUTH_KEYS_FILE: .+ is not there; expected keys", done.stderr)


def test_pod_is_ready_once_the_job_has_migrated(pod: Pod) -> None:
    """A release that comes before its Job lives and waits; then it serves its hosts, and sees keys mounted anew."""
    shutil.rmtree(pod.keys, ignore_errors=True)
    keys(pod, "new")
    pod.mount(0)
    before = changed_files(pod.folder)
    with pod.served() as address:
        wait_for(200, pod, address, "startup")
        assert pod.probe(address, "liveness") == 200
        assert pod.probe(address, "readiness") == 503
        migrated = pod.run("Job")
        assert migrated.returncode == 0, migrated.stderr
        wait_for(200, pod, address, "readiness")
        host = pod.built.one("ConfigMap")["data"]["SECURITY_ALLOWED_HOSTS"]
        assert ask(address, "/v1/items", Host=host)[0] == 200
        assert ask(address, "/v1/items", Host="10.244.1.7:8000")[0] == 400
        assert ask(address, "/metrics", Host="10.244.1.7:8000")[0] == 401
        assert ask(address, "/metrics", Host="10.244.1.7:8000", Authorization=f"Bearer {TOKEN}")[0] == 200
        first = json.loads(ask(address, "/.well-known/jwks.json", Host=host)[2])["keys"]
        keys(pod, "new")
        pod.mount(1)
        deadline = time.monotonic() + DEADLINE_SECONDS
        while len(json.loads(ask(address, "/.well-known/jwks.json", Host=host)[2])["keys"]) == len(first):
            assert time.monotonic() < deadline, "a new key was mounted and not seen"
            time.sleep(0.05)
    assert "for all processes together" in (pod.folder.parent / "server.log").read_text("utf-8")
    assert changed_files(pod.folder) == before, "something is written outside of /tmp"
    assert re.fullmatch(r"team: (\d+) -> \1\n", pod.run("Job").stdout), "nothing is left to migrate"
