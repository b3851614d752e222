"""`make status`, `make baseline` and `make compare` say of a running service what is so, or that it cannot be told."""

import json
import re
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Event, Thread

import pytest
from conftest import ROOT, Render, share
from serving import ask, run, served
from tools import user_environment

ROUTES = '''"""Routes that are slow, or fail."""

import asyncio

from pydantic import BaseModel

from app.chassis.http import Router

router = Router(tags=["odd"])


class Odd(BaseModel):
    """An answer."""

    ok: bool


@router.get("/slow", summary="Slow")
async def slow() -> Odd:
    await asyncio.sleep(0.12)
    return Odd(ok=True)


@router.get("/broken", summary="Broken")
async def broken() -> Odd:
    raise RuntimeError("broken")
'''
TOKEN = {"OPERATIONS_TOKEN": "a-token-of-operations-1"}
DEPLOY = {
    "time": "2026-11-22T10:00:00+00:00",
    "who": "ada@box",
    "version": "0.1.0",
    "commit": None,
    "command": "make deploy",
    "result": "ok",
    "reason": None,
    "seconds": 1.5,
    "before": {"requests": 900, "failed": 0, "p50": 0.01, "p95": 0.02, "p99": 0.03},
    "after": {"requests": 900, "failed": 0, "p50": 0.01, "p95": 0.021, "p99": 0.03},
}


@pytest.fixture(scope="module")
def service(installed: Path, render: Render, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a migrated service without features, with routes that are slow or fail."""
    folder = share(installed, tmp_path_factory.mktemp("status") / "a service", render(features=[]))
    (folder / "src/app/api/v1/odd").mkdir()
    (folder / "src/app/api/v1/odd/__init__.py").touch()
    (folder / "src/app/api/v1/odd/routes.py").write_text(ROUTES)
    run(folder, ".venv/bin/python", "-m", "app", "migrate")
    return folder


@pytest.fixture(autouse=True)
def nothing_recorded(request: pytest.FixtureRequest) -> None:
    """Begin without a deployment and without a baseline."""
    if "service" in request.fixturenames:
        folder = request.getfixturevalue("service")
        (folder / "var/deploys.jsonl").unlink(missing_ok=True)
        (folder / "probes.txt").unlink(missing_ok=True)
        for path in (folder / "var").glob("baselines/*"):
            path.unlink()


def ops(folder: Path, program: str, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run one of the programs."""
    return subprocess.run(
        ["python3", f"ops/{program}.py", *arguments],
        cwd=folder, env=user_environment(**environment), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def port_of(address: str) -> str:
    """Return the port of an address."""
    return address.rpartition(":")[2]


def words(folder: Path, **environment: str) -> tuple[int, list[str]]:
    """Return the exit code of status and the word of each question."""
    done = ops(folder, "status", "--seconds", "0.2", "--json", **environment)
    told = json.loads(done.stdout)
    assert told["exit"] == done.returncode
    return done.returncode, [line["word"] for line in told["lines"]]


@contextmanager
def during(address: str, path: str, count: int = 5) -> Iterator[None]:
    """Ask a path again and again until it is left."""
    is_over = Event()

    def client() -> None:
        while not is_over.is_set():
            ask(address, path)

    with ThreadPoolExecutor(count) as pool:
        for _ in range(count):
            pool.submit(client)
        try:
            yield
        finally:
            is_over.set()


def test_service_that_is_down_is_told(service: Path) -> None:
    """NO, and 1: what cannot be asked is not known."""
    assert words(service, PORT="1") == (1, ["NO", "UNKNOWN", "UNKNOWN"])


def test_service_without_traffic_is_unknown_and_then_fast(service: Path) -> None:
    """Probes are no traffic; with requests it says how long they take, and as lines for eyes."""
    with served(service) as address:
        port = port_of(address)
        assert words(service, PORT=port) == (2, ["yes", "UNKNOWN", "UNKNOWN"])
        with during(address, "/v1/items"):
            done = ops(service, "status", "--seconds", "0.3", PORT=port)
    lines = done.stdout.splitlines()
    assert lines[0].split("  ")[0] == "is it up"
    assert " no " in lines[1]
    assert " requests a second, 0% failed" in lines[1]


def test_slow_and_failing_services_are_told(service: Path) -> None:
    """SLOW and FAILING, and 1; what is slow is a setting."""
    with served(service) as address:
        port = port_of(address)
        with during(address, "/v1/slow", 2):
            for limit, word in {"0.05": "SLOW", "2": "no"}.items():
                done = ops(service, "status", "--seconds", "1", PORT=port, STATUS_SLOW_SECONDS=limit)
                assert done.stdout.splitlines()[1].split()[3] == word
        with during(address, "/v1/broken", 2):
            assert words(service, PORT=port)[1][1] == "FAILING"


@pytest.mark.parametrize(
    ("changed", "word", "told"),
    [
        ({}, "no", "0.1.0 ok, "),
        ({"after": {**DEPLOY["after"], "p95": 0.5}}, "YES", "p95 was 20 ms, is 500 ms"),
        ({"after": {**DEPLOY["after"], "failed": 90}}, "YES", "0% failed then, 10% now"),
        ({"version": "0.2.0"}, "YES", "0.1.0 runs"),
        ({"result": "refused", "reason": "it broke"}, "REFUSED", "it broke"),
        ({"result": "rolled_back", "version": "0.2.0", "reason": "it broke"}, "no", "it broke; 0.1.0 runs"),
        ({"result": "failed", "version": "0.2.0"}, "FAILED", "no reason given"),
        ({"before": None}, "UNKNOWN", "nothing was measured on both sides of it"),
    ],
)
def test_last_deployment_is_judged_by_its_record(service: Path, changed: dict, word: str, told: str) -> None:
    """By what was measured on both sides of it, and by the version that runs."""
    (service / "var/deploys.jsonl").write_text(json.dumps(DEPLOY) + "\n" + json.dumps(DEPLOY | changed) + "\n")
    with served(service) as address:
        done = ops(service, "status", "--seconds", "0.1", "--json", PORT=port_of(address))
    line = json.loads(done.stdout)["lines"][2]
    assert (line["word"], line["is_good"]) == (word, {"no": True, "UNKNOWN": None}.get(word, False))
    assert told in line["detail"]


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ("{", "is no line of this file; expected one JSON object with after, before, command, commit, id, reason, "),
        (
            json.dumps(DEPLOY | {"result": "good"}),
            "has the result 'good'; expected one of ok, refused, rolled_back, fail",
        ),
        (json.dumps(DEPLOY | {"time": "today"}), "Invalid isoformat string: 'today'"),
        (json.dumps(DEPLOY | {"time": "2026-11-22T10:00:00"}), "has the time '2026-11-22T10:00:00'; expected one with"),
        (json.dumps(DEPLOY | {"after": {}}), "is no measure; expected requests, failed, p50, p95, p99"),
        (json.dumps(DEPLOY | {"after": DEPLOY["after"] | {"failed": "x"}}), "has failed 'x'; expected a number"),
    ],
)
def test_corrupt_record_is_one_message_with_its_line(service: Path, line: str, told: str) -> None:
    """File, line, what is expected, 2; nothing else is said."""
    (service / "var/deploys.jsonl").write_text(json.dumps(DEPLOY) + f"\n{line}\n")
    for program in ("status", "deploys"):
        done = ops(service, program, *(["--seconds", "0.1"] if program == "status" else []), PORT="1")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.startswith(f"var/deploys.jsonl:2: {told}")
        assert len(done.stderr.splitlines()) == 1


class Stranger(BaseHTTPRequestHandler):
    """Answers what is no page of metrics."""

    def do_GET(self) -> None:
        """Answer."""
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b"# HELP a\na 1\n<html>\n")

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def test_page_that_is_not_the_services_is_one_message(service: Path) -> None:
    """Address, line, what is expected; and a token that is missing is told as that."""
    server = HTTPServer(("127.0.0.1", 0), Stranger)
    Thread(target=server.serve_forever, daemon=True).start()
    port = str(server.server_address[1])
    for program in ("status", "baseline"):
        done = ops(service, program, "--seconds", "0.1", PORT=port)
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr == f"http://127.0.0.1:{port}/metrics:3: is no metric; expected NAME{{LABELS}} NUMBER\n"
    server.shutdown(), server.server_close()
    with served(service, **TOKEN) as address:
        done = ops(service, "status", "--seconds", "0.1", PORT=port_of(address))
        assert done.returncode == 2
        assert "asks for a token; expected the service's OPERATIONS_TOKEN" in done.stderr
        assert words(service, PORT=port_of(address), **TOKEN)[1][0] == "yes"


PAGE = """app_start_time_seconds {start}
app_build_info{{version="0.1.0"}} 1
http_request_duration_seconds_count{{method="GET",route="/v1/items",status="200"}} {good}
http_request_duration_seconds_count{{method="GET",route="/v1/items",status="500"}} {bad}
"""


def test_restart_between_two_looks_is_no_answer_taken_back(tmp_path: Path) -> None:
    """Counters that begin anew count from there; a threshold that is no number is refused."""
    looks = [PAGE.format(start=1, good=50, bad=50), PAGE.format(start=2, good=160, bad=40)] * 2

    class Restarted(Stranger):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write((looks.pop(0) if self.path == "/metrics" else '{"data": {"ok": true}}').encode())

    with HTTPServer(("127.0.0.1", 0), Restarted) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        known = {"PORT": str(server.server_address[1])}
        command = ["python3", str(ROOT / "template/ops/status.py"), "--seconds", "0.1"]
        told = []
        for more in ({}, {"STATUS_ERROR_PERCENT": "nan"}):
            environment = user_environment(**known, **more)
            told.append(
                subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
            )
        server.shutdown()
    assert "FAILING" in told[0].stdout
    assert "20% failed" in told[0].stdout
    assert told[1].stderr == "STATUS_ERROR_PERCENT: 'nan' is no number; expected such as 1\n"


def test_numbers_that_are_none_are_refused(service: Path) -> None:
    """Setting and command line."""
    with served(service) as address, during(address, "/v1/items"):
        done = ops(service, "status", "--seconds", "0.3", PORT=port_of(address), STATUS_SLOW_SECONDS="fast")
    assert (done.returncode, done.stderr) == (2, "STATUS_SLOW_SECONDS: 'fast' is no number; expected such as 0.5\n")
    for program in ("status", "baseline", "health"):
        done = ops(service, program, PORT="http")
        assert (done.returncode, done.stdout) == (2, "")
        assert done.stderr.endswith("PORT: 'http' is no port; expected such as 8000\n")
    done = ops(service, "baseline", "--seconds", "0", PORT="1")
    assert (done.returncode, "--seconds must be 0.1 to 3600" in done.stderr) == (2, True)


def test_baseline_is_of_clients_where_they_ask_and_of_probes_where_not(service: Path) -> None:
    """The routes of the contract are asked, or those of probes.txt; what is worse is told, and 1."""
    with served(service) as address:
        port = port_of(address)
        made = ops(service, "baseline", "--seconds", "0.1", PORT=port)
        assert made.returncode == 0, made.stderr
        assert "  GET /v1/items: 50 requests, 0% failed, p50 " in made.stdout
        assert "  GET /v1/broken: 50 requests, 100% failed, " in made.stdout
        (path,) = (service / "var/baselines").glob("*.json")
        same = ops(service, "baseline", "compare", "--seconds", "0.1", PORT=port)
        assert re.search(r"^ok    GET /v1/slow: p95 \d+ ms -> \d+ ms$", same.stdout, re.MULTILINE), same.stdout
        found = json.loads(path.read_text())
        found["requests"]["GET /v1/slow"] |= {"p50": 0.02, "p95": 0.02, "p99": 0.02}
        found["requests"]["GET /v1/broken"]["failed"] = 0
        path.write_text(json.dumps(found))
        worse = ops(service, "baseline", "compare", "--seconds", "0.1", PORT=port)
        assert worse.returncode == 1
        assert "WORSE GET /v1/slow: p50 was 20 ms, is " in worse.stdout
        assert "WORSE GET /v1/broken: 0% failed then, 100% now" in worse.stdout
        found["queries"] = {"items.item_by_id on sqlite": {"ms": -6.0, "plans": ["SCAN items"]}}
        path.write_text(json.dumps(found))
        queries = ops(service, "baseline", "compare", str(path), "--seconds", "0.1", "--plans", PORT=port)
        assert re.search(
            r"WORSE query items\.item_by_id on sqlite: -6\.0 ms -> \d.* another plan: SEARCH items", queries.stdout
        )
        (service / "probes.txt").write_text("# ours\nGET /v1/items?limit=3\n\nGET /v1/items/1 # one\n")
        own = ops(service, "baseline", "--seconds", "0.1", PORT=port)
        assert [line.split(":")[0] for line in own.stdout.splitlines()[-3:-1]] == [
            "  GET /v1/items?limit=3",
            "  GET /v1/items/1",
        ]
        with during(address, "/v1/items"):
            clients = ops(service, "baseline", "--seconds", "0.5", PORT=port)
        assert "version 0.1.0, clients\n  GET /v1/items: " in clients.stdout


@pytest.mark.parametrize(
    ("probes", "baseline", "told"),
    [
        ("GET v1/items\n", None, "probes.txt:1: 'GET v1/items' is no request; expected such as GET /v1/items?limit=20"),
        ("POST /v1/items\n", None, "probes.txt:1: 'POST /v1/items' is no request"),
        ("# none\n", None, "probes.txt: is not there, and no contract names a route"),
        (None, "", "var/baselines: has no baseline; expected one, `make baseline` makes it"),
        (None, "[]", "var/baselines/1.json: is no baseline ("),
        (
            None,
            '{"requests": {}, "queries": {}, "time": "", "version": "", "traffic": "probes"}',
            "the two: measure other requests",
        ),
    ],
)
def test_what_cannot_be_measured_or_compared_is_one_message(
    service: Path, probes: str | None, baseline: str | None, told: str
) -> None:
    """File, line, what is expected, and 2."""
    if probes:
        (service / "probes.txt").write_text(probes)
    if baseline:
        (service / "var/baselines").mkdir(exist_ok=True)
        (service / "var/baselines/1.json").write_text(baseline)
    with served(service) as address:
        verb = ["compare"] if baseline is not None else []
        done = ops(service, "baseline", *verb, "--seconds", "0.1", PORT=port_of(address))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert done.stderr.startswith(told)


def test_recorded_deployment_is_read_again(service: Path) -> None:
    """Whoever deploys by other means records it; its age is told."""
    assert ops(service, "deploys", "record", "--version", "0.1.0", "--result", "ok").returncode == 0
    assert ops(service, "deploys").stdout.split()[1:3] == ["0.1.0", "ok"]
    (line,) = (service / "var/deploys.jsonl").read_text().splitlines()
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat(timespec="seconds")
    (service / "var/deploys.jsonl").write_text(json.dumps(json.loads(line) | {"time": old}) + "\n")
    done = ops(service, "status", "--seconds", "0.1", PORT="1")
    assert "0.1.0 ok, 3 days ago; nothing was measured on both sides of it" in done.stdout
