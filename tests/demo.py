"""`make demo`: renders the default service, starts it, shows three answers, stops it. Standard library only.

Everything lies in .work/demo; the service listens on a free port of 127.0.0.1. Exit 0: the answers were as
expected, 1: one was not, 2: the service did not start.
"""

import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
SERVICE = ROOT / ".work" / "demo"
LOG = ROOT / ".work" / "demo.log"
START_SECONDS = 60
SHOWN_HEADERS = ("content-type", "x-request-id", "link", "www-authenticate")

# What is asked, with which body, and the status it must get.
REQUESTS = [
    ("one success", "GET", "/v1/items", None, 200),
    ("one error", "POST", "/v1/accounts", {"email": "ada", "password": "short"}, 422),
    ("the door", "POST", "/v1/items", {}, 401),
    ("the health answer", "GET", "/health", None, 200),
]


def step(shown: str, command: list[str], **options: object) -> None:
    """Run one command of the demonstration and print it with its seconds; what it says goes to the log."""
    began = time.monotonic()
    with LOG.open("a") as log:
        done = subprocess.run(command, stdout=log, stderr=log, check=False, **options)
    print(f"$ {shown:<58} {time.monotonic() - began:5.1f} s", flush=True)
    if done.returncode != 0:
        give_up(f"found exit code {done.returncode}, expected 0")


def give_up(problem: str) -> None:
    """Say what went wrong with the end of the log, and leave with 2."""
    print("\n".join(LOG.read_text().splitlines()[-30:]), file=sys.stderr)
    print(f"{problem}; the whole log: {LOG}", file=sys.stderr)
    sys.exit(2)


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def ask(port: int, method: str, path: str, body: object = None) -> tuple[http.client.HTTPResponse, bytes]:
    """Send one request and return the response with its body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    sent = None if body is None else json.dumps(body)
    connection.request(method, path, sent, {"content-type": "application/json"} if sent else {})
    response = connection.getresponse()
    return response, response.read()


def wait_until_ready(port: int, server: subprocess.Popen) -> None:
    """Return when /readyz answers 200; give up when the server ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        try:
            if ask(port, "GET", "/readyz")[0].status == http.HTTPStatus.OK:
                return
        except OSError:
            time.sleep(0.1)
    give_up("found no service that is ready, expected one within a minute")


def show(title: str, port: int, method: str, path: str, body: object) -> int:
    """Print one request and its answer as curl -i would, the body indented; return the status."""
    response, content = ask(port, method, path, body)
    data = "" if body is None else f" -H 'Content-Type: application/json' -d '{json.dumps(body)}'"
    print(f"\n{title}:\n$ curl -i{data} http://127.0.0.1:{port}{path}")
    print(f"HTTP/1.1 {response.status} {response.reason}")
    for name in SHOWN_HEADERS:
        if value := response.headers.get(name):
            print(f"{name}: {value}")
    print("\n" + json.dumps(json.loads(content), indent=2, ensure_ascii=False), flush=True)
    return response.status


def stop(server: subprocess.Popen) -> None:
    """End the server and everything it started: politely, then for good."""
    for how in (signal.SIGTERM, signal.SIGKILL):
        try:
            os.killpg(server.pid, how)
            server.wait(timeout=15)
        except ProcessLookupError:
            return
        except subprocess.TimeoutExpired:
            continue
        return


def main() -> int:
    """Show the default service and return the exit code."""
    shutil.rmtree(SERVICE, ignore_errors=True)
    SERVICE.parent.mkdir(exist_ok=True)
    LOG.write_text("")
    port = free_port()
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    path = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", os.defpath)])
    environment = {**kept, "PATH": path, "HOST": "127.0.0.1", "PORT": str(port), "SERVER_DRAIN_SECONDS": "0"}
    copy = [
        sys.executable,
        "-m",
        "copier",
        "copy",
        "--defaults",
        "--vcs-ref",
        "HEAD",
        str(ROOT),
        str(SERVICE),
    ]
    step("copier copy --defaults . .work/demo", copy)
    step("cd .work/demo && make setup", ["make", "setup"], cwd=SERVICE, env=environment)
    print(f"$ make run PORT={port}", flush=True)
    with LOG.open("a") as log:
        server = subprocess.Popen(
            ["make", "run"], cwd=SERVICE, env=environment, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until_ready(port, server)
        wrong = [title for title, *request, status in REQUESTS if show(title, port, *request) != status]
    finally:
        stop(server)
    print(f"\nstopped; found {', '.join(wrong)} otherwise than expected" if wrong else "\nstopped; all as expected")
    print("Your own: make new DEST=../orders")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
