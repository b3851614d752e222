"""`make deploy` and `make rollback` of a rendered service: real processes behind a real proxy, and clients."""

import contextlib
import fcntl
import json
import random
import re
import resource
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import git
from deployed import ROUTES, Deployed, service
from traffic import clients

REVISION = 'revision = "0099"\ndown_revision = "0002"\n\n\ndef upgrade():\n    raise RuntimeError("planted")\n'

AT_START = """
from contextlib import asynccontextmanager

from app.chassis.app import create_app
from app.settings import Settings


@asynccontextmanager
async def lifespan(_):
    raise RuntimeError("no queue")
    yield


app = create_app(settings=Settings, api="app.api", domains="app.domains", lifespan=lifespan)
"""
TAKES_AWAY = (
    'from alembic import op\n\nrevision = "0099"\ndown_revision = "0002"\n\n\n'
    'def upgrade():\n    op.drop_column("items", "name")\n'
)
NUMBERS = (
    '{"active": "blue", "slots": {"blue": "a", "green": null}, "good": ["a"], "work": null, '
    '"releases": {"a": {"id": 1, "version": 2, "commit": 3}}}'
)


@pytest.fixture(scope="module")
def deployed(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployed]:
    """Return a service with version 0.1.0 deployed, far down, where programs cut their own words off."""
    with service(installed, tmp_path_factory.mktemp("deployed") / ("far down " * 9).strip() / "a service") as one:
        done = one.run("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        yield one


@pytest.fixture(autouse=True)
def good_again(deployed: Deployed) -> Iterator[None]:
    """Leave the repository at a version that can be deployed, and the service up."""
    yield
    deployed.be_good_again()


def test_first_deployment_is_ready_as_itself_and_recorded(deployed: Deployed) -> None:
    """Clients reach the version and the deployment that the record names; its settings are for its owner alone.

    The proxy takes more clients than the files that a shell lets a program open.
    """
    ready, (line, *_) = deployed.ready(), deployed.record()
    assert (line["result"], line["version"], line["command"]) == ("ok", "0.1.0", "make deploy")
    assert (ready["deploy_id"], ready["version"]) == (line["id"], "0.1.0")
    folder = deployed.folder / "var/deploy/releases" / line["id"]
    assert {(folder / name).stat().st_mode & 0o777 for name in (".env", "environment.json")} == {0o600}
    assert folder.stat().st_mode & 0o777 == 0o700
    master = deployed.read("var/deploy/proxy.pid").strip()
    worker = Path(f"/proc/{master}/task/{master}/children").read_text().split()[0]
    files = re.search(r"Max open files +(\d+)", Path(f"/proc/{worker}/limits").read_text())[1]
    assert int(files) == min(16384, resource.getrlimit(resource.RLIMIT_NOFILE)[1])


@pytest.mark.parametrize("a_second", [60, pytest.param(400, marks=pytest.mark.soak)])
def test_no_request_fails_through_deploy_broken_deploys_and_two_rollbacks(deployed: Deployed, a_second: int) -> None:
    """Each version is deployed, refused with its reason, or brought back, and no client notices."""
    first = deployed.ready()["version"]
    good, lines = [deployed.deploy_new("0.2.0").returncode], len(deployed.record())
    with clients(deployed.port, a_second=a_second) as answers:
        good.append(deployed.deploy_new("0.3.0").returncode)
        after = [deployed.ready()["version"]]
        refusals = []
        for version, files in (
            ("0.4.0", deployed.listing("raise RuntimeError")),
            ("0.5.0", deployed.listing("await __import__('asyncio').sleep(0.4)")),
            ("0.6.0", {"migrations/versions/0099_fails.py": REVISION}),
            ("0.7.0", {"src/app/main.py": AT_START}),
        ):
            deployed.commit(version, files)
            refusals.append(deployed.run("deploy"))
            after.append(deployed.ready()["version"])
            git(deployed.folder, "reset", "--quiet", "--hard", "HEAD~1")
        backs = [deployed.run("rollback").returncode]
        after.append(deployed.ready()["version"])
        backs.append(deployed.run("rollback").returncode)
        after.append(deployed.ready()["version"])
    assert (good, backs) == ([0, 0], [0, 0])
    assert after == ["0.3.0"] * 5 + ["0.2.0", first]
    assert [one.returncode for one in refusals] == [1] * 4
    reasons = [one.stderr for one in refusals]
    assert all(reason.startswith("not done: ") and reason.count("\n") == 1 for reason in reasons)
    assert "GET /v1/items answered 200 before, answers 500 now" in reasons[0]
    assert re.search(r"GET /v1/items is worse than before: p50 was [\d.]+ ms, is 4\d\d ms", reasons[1])
    assert "the migration failed: " in reasons[2]
    assert "planted" in reasons[2]
    assert re.search(r"it ended at its start: RuntimeError: no queue \(src/app/main\.py:\d+\)$", reasons[3])
    assert answers.failed == {}
    assert answers.total > 100
    told = [(one["version"], one["result"]) for one in deployed.record()[lines:]]
    refused = [(version, "refused") for version in ("0.4.0", "0.5.0", "0.6.0", "0.7.0")]
    assert told == [("0.3.0", "ok"), *refused, ("0.3.0", "rolled_back"), ("0.2.0", "rolled_back")]


def test_version_that_fails_under_clients_is_taken_back(deployed: Deployed) -> None:
    """What no request of ours asks is seen when clients ask it: requests go back, and one line says why."""
    before = deployed.ready()
    line = "if not item_id % 2:\n        raise RuntimeError\n"
    text = deployed.read(ROUTES)
    signature = re.search(r"async def read_item\(.*?\) -> .*?:\n", text, re.DOTALL)[0]
    deployed.commit("0.8.0", {ROUTES: text.replace(signature, f"{signature}    {line}", 1)})
    with clients(deployed.port, "/v1/items/2", a_second=100):
        done = deployed.run("deploy", DEPLOY_WATCH_SECONDS="20")
    assert done.returncode == 1, done.stdout
    assert re.fullmatch(r"not done: clients got worse answers: 0% failed then, [\d.]+% now.*\n", done.stderr)
    assert deployed.ready() == before
    assert deployed.record()[-1]["result"] == "rolled_back"


def test_taken_port_is_a_refusal(deployed: Deployed) -> None:
    """Another program has the spare slot's port: one line names it, and the version before is untouched."""
    before = deployed.ready()
    spare = next(port for port in deployed.ports if port not in _listening(deployed))
    deployed.commit("0.9.0")
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", spare))
        taken.listen()
        done = deployed.run("deploy")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert f"port {spare} is taken; expected it free" in done.stderr
    assert deployed.ready() == before


def test_revision_that_takes_away_is_refused_before_anything(deployed: Deployed) -> None:
    """What the release that runs still names would be gone: both are told, and how to do it all the same."""
    before = deployed.ready()
    deployed.commit(before["version"], {"migrations/versions/0099_größe weg.py": TAKES_AWAY})
    done = deployed.run("deploy")
    git(deployed.folder, "reset", "--quiet", "--hard", "HEAD~1")
    assert (done.returncode, done.stderr.count("\n"), deployed.ready()) == (1, 1, before)
    assert f"not done: {before['version']} ({before['deploy_id']}) could not serve the database" in done.stderr
    assert "; to do it: ARGS=--anyway (--anyway)" in done.stderr
    assert "migrations/versions/0099_größe weg.py:8: removes items.name\n" in done.stdout


def _listening(deployed: Deployed) -> list[int]:
    found = []
    for port in deployed.ports:
        with socket.socket() as one:
            found += [port] if one.connect_ex(("127.0.0.1", port)) == 0 else []
    return found


def test_two_at_once_is_one_and_a_message(deployed: Deployed) -> None:
    """The second is told who deploys since when, and changes nothing."""
    state = deployed.read("var/deploy/state.json")
    with (deployed.folder / "var/deploy/.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("somebody deploys or rolls back since noon: ada@box, process 7")
        lock.flush()
        done = [deployed.run(verb) for verb in ("deploy", "rollback", "up", "down")]
    expected = (
        1,
        "",
        "not done: somebody deploys or rolls back since noon: ada@box, process 7; expected its end first\n",
    )
    assert [(one.returncode, one.stdout, one.stderr) for one in done] == [expected] * 4
    assert deployed.read("var/deploy/state.json") == state


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("var/deploys.jsonl", '{"half": ', "var/deploys.jsonl:1: is no line of this file"),
        ("var/deploy/state.json", '{"half": ', "var/deploy/state.json: is not what `make deploy` wrote"),
        ("var/deploy/state.json", '{"active": "red"}', "var/deploy/state.json: is not what `make deploy` wrote"),
        ("var/deploy/state.json", NUMBERS, "var/deploy/state.json: is not what `make deploy` wrote"),
        ("var/deploy/state.json", None, "var/deploy/state.json: is gone, and the proxy sends requests to "),
        (".env", "PORT=7001\nDEPLOY_PORTS=7002,7003\n", "HOST, PORT or DEPLOY_PORTS is not where it runs (127.0.0.1:"),
        (".env", "PORT=many\n", "PORT: 'many' is no port"),
        (".env", "DEPLOY_PORTS=1\n", "DEPLOY_PORTS: '1' cannot be used; expected two ports, none of them PORT (8000)"),
        (".env", "DEPLOY_WATCH_SECONDS=long\n", "DEPLOY_WATCH_SECONDS: 'long' is no time"),
        (".env", "DEPLOY_DRIVER=rocket\n", "DEPLOY_DRIVER: 'rocket' is none; expected"),
        ("nötes.txt", "", "1 files are in no commit, such as nötes.txt; expected one"),
    ],
)
def test_what_cannot_be_read_is_one_message_and_nothing_is_begun(
    deployed: Deployed, name: str, text: str | None, expected: str
) -> None:
    """A record, a state, a setting, a file in no commit: exit status 2, one line, everything as it was."""
    file, state, before = deployed.folder / name, deployed.read("var/deploy/state.json"), deployed.ready()
    was = file.read_text() if file.exists() else None
    file.write_text(text) if text is not None else file.unlink()
    try:
        done = deployed.run("deploy")
    finally:
        file.write_text(was) if was is not None else file.unlink()
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"not done: {expected}")
    assert (deployed.read("var/deploy/state.json"), deployed.ready()) == (state, before)


def test_full_disk_keeps_the_version_before(deployed: Deployed) -> None:
    """A record that cannot be written takes the deployment back: what is not recorded did not happen."""
    before, state = deployed.ready(), deployed.read("var/deploy/state.json")
    deployed.commit("0.10.0")
    done = deployed.run("deploy", DEPLOYS_FILE="/dev/full")
    assert (done.returncode, done.stderr.splitlines()[-1]) == (2, "not done: [Errno 28] No space left on device")
    assert (deployed.ready(), deployed.read("var/deploy/state.json")) == (before, state)


def test_commit_that_git_does_not_have_is_unknown(deployed: Deployed) -> None:
    """As in a clone that was made anew: nobody is stuck, but it cannot be told whether the way back is safe."""
    file, was = deployed.folder / "var/deploy/state.json", deployed.read("var/deploy/state.json")
    state = deployed.state()
    state["releases"][state["good"][-1]]["commit"] = "0" * 40
    file.write_text(json.dumps(state))
    done = deployed.run("rollback", "--check", state["good"][-1])
    file.write_text(was)
    assert (done.returncode, done.stderr) == (2, "")
    assert done.stdout.endswith(": UNKNOWN\nthe commit 00000000 is not in this repository\n")


def test_release_whose_folder_is_gone_is_named(deployed: Deployed) -> None:
    """It cannot be brought back: one message says so, the version that runs goes on, another can be named."""
    assert deployed.deploy_new("0.11.0").returncode == 0
    assert deployed.deploy_new("0.12.0").returncode == 0
    assert deployed.deploy_new("0.13.0").returncode == 0
    state = deployed.state()
    cold = state["good"][-3]
    folder = deployed.folder / "var/deploy/releases" / cold
    folder.rename(deployed.folder / "var/elsewhere")
    done = deployed.run("rollback", "0.11.0")
    assert (done.returncode, deployed.ready()["version"]) == (1, "0.13.0")
    assert f"not done: 0.11.0 ({cold}) cannot be started: var/deploy/releases/{cold} is not as it was" in done.stderr
    unknown = deployed.run("rollback", "7.7.7")
    assert (unknown.returncode, "'7.7.7' is not kept here; expected one of: " in unknown.stderr) == (2, True)
    (deployed.folder / "var/elsewhere").rename(folder)
    short = git(deployed.folder, "rev-parse", "--short", "HEAD~1").strip()
    assert deployed.run("rollback", short).returncode == 0
    assert deployed.ready()["version"] == "0.12.0"


STEPS = ("measure", "unpack", "build", "migrate", "start", "ask", "switch")
SMALL = {"unpack", "start", "switch"}


@pytest.mark.parametrize(
    "last", [pytest.param(step, marks=() if step in SMALL else pytest.mark.soak) for step in STEPS]
)
def test_killed_half_way_is_settled_by_the_next_command(deployed: Deployed, last: str) -> None:
    """After kill -9 behind any step clients have the version before, and the next deployment ends the matter."""
    before = deployed.ready()
    deployed.commit(f"1.{STEPS.index(last)}.0", {"good.txt": last})
    with clients(deployed.port, a_second=50) as answers:
        deployed.kill_behind(last)
        seen = deployed.ready()["version"]
        done = deployed.run("deploy")
    assert seen == before["version"] or last == "switch"
    assert (done.returncode, deployed.ready()["version"]) == (0, f"1.{STEPS.index(last)}.0"), done.stdout + done.stderr
    assert answers.failed == {}
    assert deployed.is_settled()
    assert len(deployed.serving()) == len([held for held in deployed.state()["slots"].values() if held]) == 2


@pytest.mark.soak
def test_killed_at_random_moments_the_service_goes_on(deployed: Deployed) -> None:
    """Twenty kills at any moment of a deployment or a rollback, under 400 requests a second: no client notices."""
    chance = random.Random(20261122)  # noqa: S311 - which moments, is no secret
    with clients(deployed.port) as answers:
        for number in range(20):
            deployed.commit(f"9.{number}.0", {"good.txt": str(number)})
            seconds = chance.uniform(0.05, 8.0)
            with deployed.start(chance.choice(["deploy", "deploy", "rollback"])) as program:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    program.wait(seconds)
                program.kill()
            if chance.random() < 0.5:
                assert deployed.run("deploy").returncode == 0
                assert deployed.ready()["version"] == f"9.{number}.0"
            else:
                done = deployed.run("rollback")
                assert done.returncode == 0 or "nothing to roll back to" in done.stderr
            assert deployed.ready()["ok"] is True
    assert answers.failed == {}
    ids = [line["id"] for line in deployed.record()]
    assert len(ids) == len(set(ids))


SOAKED = [pytest.param(number, marks=pytest.mark.soak) for number in (signal.SIGINT, signal.SIGHUP)]


@pytest.mark.parametrize("number", [signal.SIGTERM, *SOAKED])
def test_interrupted_deployment_is_taken_back_at_once(deployed: Deployed, number: signal.Signals) -> None:
    """Ctrl-C, a stop, a terminal that goes away: it is as it was before, and recorded as failed."""
    before, state = deployed.ready(), deployed.state()
    deployed.commit(f"2.0.{number}")
    with deployed.start("deploy") as program:
        for line in program.stdout:
            if line.startswith("migrate"):
                break
        program.send_signal(number)
        rest = program.stdout.read()
    assert (program.returncode, rest.splitlines()[-1]) == (1, "not done: interrupted; it is as it was before")
    assert (deployed.ready(), deployed.state()) == (before, state)
    assert deployed.record()[-1]["result"] == "failed"


def test_machine_that_was_down_is_up_again_with_the_settings_of_the_release(deployed: Deployed) -> None:
    """All processes gone at once: `up` starts what was deployed, as it was deployed, whatever `.env` says by now."""
    before = deployed.ready()
    for pid in deployed.processes():
        subprocess.run(["kill", "-KILL", str(pid)], check=False)
    file = deployed.folder / ".env"
    was = file.read_text()
    file.write_text(was + "DOCS_ENABLED=false\n")
    record, lines = deployed.folder / "var/deploys.jsonl", deployed.read("var/deploys.jsonl")
    record.write_text(lines + '{"half": ')  # so it may be after a machine lost its power
    done = deployed.run("up")
    record.write_text(lines)
    assert (done.returncode, deployed.ready()) == (0, before), done.stderr
    assert _status(deployed, "/docs") == 200
    assert deployed.run("deploy").returncode == 0
    assert _status(deployed, "/docs") == 404
    assert deployed.run("rollback").returncode == 0
    assert _status(deployed, "/docs") == 200
    file.write_text(was)


def _status(deployed: Deployed, path: str) -> int:
    with socket.create_connection(("127.0.0.1", deployed.port), timeout=10) as one:
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        return int(one.makefile("rb").readline().split()[1])


@pytest.mark.parametrize(
    ("request_bytes", "status", "code"),
    [
        (b"no http at all\r\n\r\n", 400, "http_malformed"),
        (b"GET / HTTP/2.0\r\nHost: localhost\r\nConnection: close\r\n\r\n", 400, "http_malformed"),
        (
            b"POST / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: odd\r\nConnection: close\r\n\r\n",
            400,
            "http_malformed",
        ),
        (b"GET /-proxy/503 HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 404, "route_not_found"),
        (
            b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
            431,
            "headers_too_large",
        ),
        (b"GET /" + b"a" * 12_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n", 414, "url_too_long"),
    ],
)
def test_proxy_answers_in_the_services_envelope(
    deployed: Deployed, request_bytes: bytes, status: int, code: str
) -> None:
    """What the service would have refused it refuses still; what is no HTTP the proxy refuses, in the same words."""
    with socket.create_connection(("127.0.0.1", deployed.port), timeout=10) as one:
        one.sendall(request_bytes)
        head, _, body = one.makefile("rb").read().partition(b"\r\n\r\n")
    answer = json.loads(body)
    assert (int(head.split()[1]), answer["error"]["code"], answer["error"]["status"]) == (status, code, status)
    assert set(answer["error"]) == {
        "type", "code", "title", "status", "detail", "expected", "retryable", "retry_after", "fields",
    }  # fmt: skip
    assert b"default-src 'none'" in head
    assert re.search(rb"x-request-id: (\S*)", head, re.IGNORECASE)[1].decode() == answer["meta"]["request_id"]


def test_service_without_a_slot_is_503_in_the_envelope(deployed: Deployed) -> None:
    """The slot's process is killed, and the proxy's: clients are told to come again, and `up` brings both back."""
    active = deployed.state()["active"]
    numbers = [deployed.read(f"var/deploy/{name}.pid").strip() for name in (active, "proxy")]
    subprocess.run(["kill", "-KILL", *numbers], check=True)  # what the proxy left answers still, and keeps the port
    deployed.ready()  # this one may find the connection that the process had
    error = deployed.ready()
    assert (error["code"], error["retry_after"], error["expected"]) == ("unavailable", 2, "another try")
    assert deployed.run("up").returncode == 0
    assert deployed.ready()["ok"] is True


def test_client_address_is_the_clients(deployed: Deployed) -> None:
    """Limits and logs see who asks, not the proxy: it is trusted where nothing else was said."""
    with socket.create_connection(("127.0.0.1", deployed.port), timeout=10, source_address=("127.0.0.7", 0)) as one:
        one.sendall(b"GET /no HTTP/1.1\r\nHost: localhost\r\nX-Request-ID: asked-by-7\r\nConnection: close\r\n\r\n")
        one.makefile("rb").read()
    done = threading.Event()
    for _ in range(100):
        lines = [line for line in deployed.read("var/service.log").splitlines() if "asked-by-7" in line]
        if lines or done.wait(0.05):
            break
    assert json.loads(lines[-1])["client"] == "127.0.0.7"
