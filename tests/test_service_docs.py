"""What a rendered service says of itself is true: README, docs/chassis, .env.example, make help."""

import json
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pages
import pytest
import rendered
from conftest import ROOT, Render, share
from tools import user_environment

Running = tuple[Path, dict[str, str]]


def call(service: Running, *command: str, status: int = 0) -> str:
    """Run a command in the service's folder and return what it prints."""
    folder, environment = service
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == status, done.stdout + done.stderr
    return done.stdout


def free_port() -> str:
    """Return a port nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return str(free.getsockname()[1])


@pytest.fixture(scope="module")
def service(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """Return a service that runs with an empty database, and its environment; its log is `service.log`."""
    folder = share(installed, tmp_path_factory.mktemp("docs") / "a service")
    running = folder, user_environment(PORT=free_port(), LOG_LEVEL="debug", SERVER_DRAIN_SECONDS="0")
    call(running, "make", "migrate")
    with (folder / "service.log").open("w") as log:
        command = [".venv/bin/python", "-m", "app", "serve"]
        process = subprocess.Popen(command, cwd=folder, env=running[1], stdout=log, stderr=log)
        try:
            call(running, "python3", "ops/health.py", "--wait", "120")
            yield running
        finally:
            process.terminate()
            assert process.wait(30) == 0


def page(service: Running, name: str) -> str:
    """Return the text of a file of the service."""
    return (service[0] / name).read_text(encoding="utf-8")


def of_features(service: Running) -> str:
    """Return the pages of all features, one after another."""
    pages = sorted((service[0] / "docs/chassis/features").glob("*.md"))
    return "\n".join(path.read_text(encoding="utf-8") for path in pages)


def first_cells(text: str) -> list[str]:
    """Return the code names in the first cell of each table row."""
    cells = [line.split("|")[1] for line in text.splitlines() if line.startswith("| `")]
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_readme_answers_are_what_the_service_sends(service: Running) -> None:
    """Each curl command of the README and of the features' pages prints exactly what stands below it."""
    told = f"{page(service, 'README.md')}\n{of_features(service)}"
    asked = told.replace("127.0.0.1:8000", f"127.0.0.1:{service[1]['PORT']}")
    commands = pages.commands(asked)
    assert len(commands) == 6
    assert not [problem for command in commands if (problem := pages.run(command, *service))]


def test_every_setting_is_documented_with_its_default(service: Running) -> None:
    """docs/chassis/settings.md, the features' pages and .env.example name exactly the settings there are."""
    rows = json.loads(call(service, ".venv/bin/python", "-m", "app", "settings", "--json"))
    actual = {row["variable"]: row["default"].lower() for row in rows}
    table = page(service, "docs/chassis/settings.md")
    pages = table + of_features(service)
    told = dict(re.findall(r"^\| `([A-Z_]+)` \| (?:`(.*?)`|\(none\)) \|", pages, re.MULTILINE))
    shown = dict(re.findall(r"^#([A-Z_]+)=(.*)$", page(service, ".env.example"), re.MULTILINE))
    assert {name: default.lower() for name, default in told.items()} == actual
    assert {name: default.lower() for name, default in shown.items()} == actual
    of_commands = table.partition("## Backups and rehearsals")[2]
    of_backups = {"BACKUP_FOLDER", "BACKUP_KEEP", "PG_BIN", "SCRATCH_DATABASE_URL"}
    of_deploys = {"DEPLOYS_FILE", "DEPLOY_DRIVER", "DEPLOY_PORTS", "DEPLOY_WATCH_SECONDS"}
    assert set(first_cells(of_commands)) == of_backups | of_deploys | {"STATUS_SLOW_SECONDS", "STATUS_ERROR_PERCENT"}


def test_database_page_helps_to_a_url_and_a_server(service: Running) -> None:
    """A password is written as the page says; the tests' PostgreSQL starts by hand, and its programs are found."""
    blocks = re.findall(r"```sh\n(.*?)```", page(service, "docs/chassis/database.md"), re.DOTALL)
    encoding, serving, programs = (block.strip() for block in blocks[1:])

    def said(command: str, typed: str) -> str:
        done = subprocess.run(
            ["sh", "-c", command], cwd=service[0], env=service[1], input=typed, capture_output=True, text=True,
            check=True, start_new_session=True,
        )  # fmt: skip
        return done.stdout.strip()

    assert said(encoding, "p@ss/word\n").endswith("p%40ss%2Fword")
    assert re.fullmatch(r"postgresql\+asyncpg://postgres:\w+@127\.0\.0\.1:\d+/postgres", said(serving, ""))
    for program in ("pg_dump", "pg_restore", "psql"):
        assert "(PostgreSQL)" in said(f'{programs}; "$PG_BIN/{program}" --version', "")


def test_every_metric_is_documented(service: Running) -> None:
    """docs/chassis/observability.md and the features' pages name the metrics the service exposes, with their kinds."""
    exposed = call(service, "curl", "-s", f"http://127.0.0.1:{service[1]['PORT']}/metrics")
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)$", exposed, re.MULTILINE))
    foreign = re.compile(r"process_|python_|.*_created$")
    own = {name: kind for name, kind in kinds.items() if not foreign.match(name)}
    table = page(service, "docs/chassis/observability.md").split("## Log lines")[0] + of_features(service)
    assert dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", table, re.MULTILINE)) == own


def test_every_member_of_an_access_line_is_documented(service: Running) -> None:
    """What stands in the one line of a request stands in docs/chassis/observability.md."""
    call(service, "python3", "ops/health.py", "--show", "/no-such-path", "--request-id", "documented-1", status=1)
    lines: list[dict[str, object]] = []
    deadline = time.monotonic() + 30
    while not lines and time.monotonic() < deadline:  # a line is written by another thread, after the answer
        every = [json.loads(line) for line in page(service, "service.log").splitlines(keepends=True) if "\n" in line]
        lines = [line for line in every if line["logger"] == "access" and line["request_id"] == "documented-1"]
        time.sleep(0.05)
    table = page(service, "docs/chassis/observability.md").split("## Log lines")[1]
    (line,) = lines
    assert set(line) | {"error", "trace", "query"} == set(first_cells(table))


def test_limits_name_the_codes_and_statuses_of_the_one_table(service: Running) -> None:
    """Every code docs/chassis/limits.md names has the status it says, by the chassis' own table."""
    program = "from app.chassis.http.codes import TABLE; [print(c, r.status) for c, r in TABLE.items()]"
    actual = dict(line.split() for line in call(service, ".venv/bin/python", "-c", program).splitlines())
    table = page(service, "docs/chassis/limits.md")
    rows = re.findall(r"^\| [^|]+ \| ([\d, ]+) \| ([^|]+) \|", table, re.MULTILINE)
    assert len(rows) > 20
    for statuses, codes in rows:
        named = [code for code in re.findall(r"`(\w+)`", codes) if code in actual]
        assert {actual[code] for code in named} <= set(statuses.split(", ")), codes


def test_walk_names_the_files_a_request_enters_in_order(service: Running, render: Render, tmp_path: Path) -> None:
    """docs/chassis/walk.md is the recorded call of `POST /v1/items` without any feature, at most 60 lines long."""
    plain = shutil.copytree(render(features=[]), tmp_path / "plain", ignore=shutil.ignore_patterns(".git"))
    (plain / ".venv").symlink_to(service[0] / ".venv", target_is_directory=True)
    traced = (plain, {**service[1], "PORT": free_port(), "LOG_LEVEL": "info", "PYTHONPATH": "src"})
    call(traced, ".venv/bin/python", "-m", "app", "migrate")
    walk = page(traced, "docs/chassis/walk.md")
    told = re.findall(r"\*\*`([\w/]+\.py)`\*\*", walk)
    body = '{"name": "Brass plumb bob", "contact_email": "ada@example.com"}'
    command = [".venv/bin/python", str(ROOT / "tests/trace_request.py"), "POST", "/v1/items", body]
    recorded = [line for line in call(traced, *command).splitlines() if not line.startswith("{")]
    assert told == recorded
    assert len(walk.splitlines()) <= 60


def test_files_name_only_targets_that_exist(service: Running) -> None:
    """Every `make` target a page or a comment names is one `make help` shows."""
    shown = set(re.findall(r"^  make ([a-z-]+)", call(service, "make", "help"), re.MULTILINE))
    texts = [rendered.text(service[0] / path) or "" for path in rendered.files(service[0])]
    words = re.findall(
        r"(?:`|^\$ |^|run: |- )make ((?:[a-z-]+ ?)+?)(?=`|\n|  | [A-Z#])", "\n".join(texts), re.MULTILINE
    )
    named = {target for group in words for target in group.split()}
    assert {"setup", "run", "migration", "check"} <= named
    assert len(texts) > 100
    assert named <= shown, named - shown


def test_links_lead_somewhere(service: Running) -> None:
    """Every relative link of a page, in a service and in this repository, leads to a file."""
    roots = [service[0], ROOT / "docs"]
    pages = [path for root in roots for path in root.rglob("*.md") if ".venv" not in path.parts]
    for path in pages:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", path.read_text(encoding="utf-8")):
            assert (path.parent / target).exists(), f"{path}: {target}"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        ((), 0),
        (("--show", "/health"), 0),
        (("--show", "/no-such-path"), 1),
        (("--url", "http://127.0.0.1:9/readyz"), 1),
        (("--url", "nowhere"), 2),
        (("--wait", "long"), 2),
    ],
)
def test_health_script_says_what_it_found_by_its_status(
    service: Running, arguments: tuple[str, ...], status: int
) -> None:
    """0 is ready, 1 is not ready or not there, 2 is wrong use."""
    call(service, "python3", "ops/health.py", *arguments, status=status)
