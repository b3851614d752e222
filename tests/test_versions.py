"""docs/chassis/versions.md as a team would live it: v2 beside v1, v1 announced to end, v1 deleted."""

import http.client
import json
import re
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import ROOT, Render
from tools import require, user_environment

PAGE = (ROOT / "template/docs/chassis/versions.md").read_text(encoding="utf-8")


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


@pytest.fixture(scope="module")
def service(render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service with a v2 that was begun from v1, and a v1 that is announced to end."""
    require("make"), require("uv")
    folder = tmp_path_factory.mktemp("versions") / "a service"
    shutil.copytree(render(), folder, ignore=shutil.ignore_patterns(".git"))
    run(folder, "make", "migrate")
    said = run(folder, ".venv/bin/python", "-m", "app", "api", "new-version")
    assert said.splitlines()[0] == "wrote src/app/api/v2/__init__.py"
    (code,) = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    with (folder / "src/app/api/v1/__init__.py").open("a") as file:
        file.write("\n" + code)
    return folder


@contextmanager
def served(service: Path) -> Iterator[str]:
    """Run the service and give its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    environment = user_environment(PYTHONPATH="src", PORT=port, SERVER_DRAIN_SECONDS="0")
    with (service / "service.log").open("w") as log:
        command = [".venv/bin/python", "-m", "app", "serve"]
        process = subprocess.Popen(command, cwd=service, env=environment, stdout=log, stderr=log)
        try:
            run(service, "python3", "ops/health.py", "--wait", "30", PORT=port)
            yield f"127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            assert process.wait(30) == 0


def ask(address: str, path: str, **headers: str) -> tuple[int, dict[str, str], bytes]:
    """Return status, headers (names in lower case) and body of a GET."""
    connection = http.client.HTTPConnection(address, timeout=10)
    try:
        connection.request("GET", path, headers={name.replace("_", "-"): value for name, value in headers.items()})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def test_two_versions_answer_and_the_old_one_says_it_ends(service: Path) -> None:
    """Path or header chooses; v1 tells when it ends and what is next, in every answer and in its contract."""
    with served(service) as address:
        for old in (
            ask(address, "/v1/items"),
            ask(address, "/items"),
            ask(address, "/v1/items/9"),
            ask(address, "/v1/nothing"),
        ):
            headers = old[1]
            assert headers["x-api-version"] == "v1"
            assert headers["deprecation"] == "@1893456000"
            assert headers["sunset"] == "Mon, 01 Jul 2030 00:00:00 GMT"
            assert '</v2>; rel="successor-version"' in headers["link"]
        for new in (ask(address, "/v2/items"), ask(address, "/items", X_API_Version="v2")):
            assert (new[0], new[1]["x-api-version"], "deprecation" in new[1]) == (200, "v2", False)
        assert b'api_deprecated_requests_total{api_version="v1"} 4.0' in ask(address, "/metrics")[2]
        contracts = [json.loads(ask(address, f"/{name}/openapi.json")[2]) for name in ("v1", "v2")]
        marked = [contract["paths"]["/items"]["get"].get("deprecated", False) for contract in contracts]
        assert marked == [True, False]
    lines = [json.loads(line) for line in (service / "service.log").read_text().splitlines()]
    assert len([line for line in lines if line["event"] == "deprecated API version used"]) == 1


def test_service_holds_with_both_and_after_the_old_one_is_deleted(service: Path) -> None:
    """Checks and tests are green with two versions; deleting a folder ends a version, and nothing else."""
    run(service, "make", "check")
    run(service, "make", "test", "ARGS=-q tests/items tests/chassis/test_routes.py tests/chassis/test_versions.py")
    shutil.rmtree(service / "src/app/api/v1")
    run(service, "make", "check")
    run(service, "make", "test", "ARGS=-q")
    with served(service) as address:
        status, _, body = ask(address, "/v1/items")
        error = json.loads(body)["error"]
        assert (status, error["code"], error["expected"]) == (410, "api_version_sunset", "one of: v2")
        assert ask(address, "/items")[1]["x-api-version"] == "v2"
