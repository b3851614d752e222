"""`make audit`: what the running service is asked, what files are read for, and that the page says what is checked."""

import ast
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import Depends
from fastapi.security import HTTPBearer
from starlette.datastructures import State

from app.chassis.about import about, project_root
from app.chassis.audit import dependencies, operations
from app.chassis.audit.checks import Check, Finding, checklist
from app.chassis.audit.run import as_lines, exit_code, run_checks
from app.chassis.audit.target import NoAnswerError, Target
from app.chassis.http import Public, Router, Schema
from app.chassis.http.versions import FoundVersion, VersionApp
from app.chassis.settings import ChassisSettings, load_settings
from app.chassis.testing.process import ServiceProcess
from app.chassis.testing.rooms import suite_environment

CHECKS = {one.name: one for one in checklist()}
PAGE = project_root() / "docs/chassis/security.md"
TOKEN = "violet-hammer-91"
# What the chassis alone answers; the other checks judge the team's routes, folder and libraries too.
OURS = {name for name in CHECKS if name.startswith(("headers.", "limits."))} - {"limits.page_size"}
OURS |= {f"permissions.{name}" for name in ("metrics", "documentation", "methods", "forged_host")}


class WithKey(ChassisSettings):
    """Settings of a team."""

    mail_private_key_file: Path = Path("keys.pem")


def target(root: Path, service: Any = None) -> Target:
    """A service that nobody runs, with this folder around it."""
    nothing = SimpleNamespace(versions=SimpleNamespace(apps={}), routes=[])
    return Target("http://127.0.0.1:9", load_settings(WithKey), service or nothing, root)


def told(name: str, root: Path, service: Any = None) -> Finding:
    """What one check says of a folder."""
    return CHECKS[name].run(target(root, service))


@pytest.fixture(scope="module")
def production(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """A service as in production, closed as the page advises."""
    closed = {"ENVIRONMENT": "production", "OPERATIONS_TOKEN": TOKEN, "DOCS_ENABLED": "false"}
    closed |= {"SECURITY_ALLOWED_HOSTS": "api.example.com", "SECURITY_HSTS_SECONDS": "60"}
    closed |= {name: "true" for name, value in suite_environment().items() if value == "false"}  # of features
    with ServiceProcess(tmp_path_factory.mktemp("audit"), SERVER_HEADER_TIMEOUT_SECONDS="1", **closed) as process:
        yield process


def test_running_service_is_asked(production: ServiceProcess) -> None:
    """Whatever the chassis answers by itself is as it should be; what cannot be told on plain HTTP is UNKNOWN."""
    areas = [option for name in ("permissions", "headers", "limits") for option in ("--area", name)]
    done = production.run("audit", "--json", "--url", production.url, *areas)
    said = {one["name"]: one["verdict"] for one in json.loads(done.stdout)["checks"]}
    wrong = {name: said[name] for name in OURS if said[name] != "pass"}
    assert set(wrong) <= {"headers.transport_security", "limits.request_rate"}, done.stdout
    assert "FAIL" not in wrong.values()
    assert said["permissions.same_program"] == "UNKNOWN"  # its documentation is closed
    assert TOKEN not in done.stdout + done.stderr


def test_closed_service_shows_no_documentation_and_asks_for_https(production: ServiceProcess) -> None:
    """What DOCS_ENABLED and SECURITY_HSTS_SECONDS promise."""
    client = production.client()
    versions = client.request("GET", "/health").data["api_versions"]
    for path in ("/docs", *(f"/{version}/openapi.json" for version in versions)):
        answer = client.request("GET", path, headers={"Host": "api.example.com"}, check=False)
        assert answer.status == 404
        assert answer.headers["strict-transport-security"] == "max-age=60; includeSubDomains"


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--url", "http://127.0.0.1:9"), "GET /health: no answer"),
        (("--area", "kitchen"), "expected one of: permissions"),
    ],
)
def test_audit_that_cannot_begin_is_one_line(
    production: ServiceProcess, arguments: tuple[str, ...], expected: str
) -> None:
    """Exit code 2: nothing was found, and nothing was found to be good."""
    done = production.run("audit", *arguments)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert expected in done.stderr


@pytest.mark.parametrize(
    "url", ["localhost", "ftp://localhost", "http://", "http://localhost/api", "http://[", "http://a:b"]
)
def test_address_that_cannot_be_used_is_told(tmp_path: Path, url: str) -> None:
    """Scheme, host and port, nothing else."""
    with pytest.raises(ValueError, match=r"^--url: cannot be used; expected http://HOST:PORT"):
        Target(url, load_settings(ChassisSettings), None, tmp_path)


@pytest.mark.parametrize(
    ("allowed", "host"),
    [("127.0.0.1", "127.0.0.1:9"), ("api.example.com", "api.example.com"), ("*.example.com", "audit.example.com")],
)
def test_service_is_asked_by_a_name_it_answers_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, allowed: str, host: str
) -> None:
    """Else every answer would be about the host."""
    monkeypatch.setenv("SECURITY_ALLOWED_HOSTS", allowed)
    assert target(tmp_path).host == host


@pytest.mark.parametrize(
    ("verdicts", "code", "strict"), [("pass", 0, 0), ("pass UNKNOWN", 0, 2), ("pass UNKNOWN FAIL", 1, 1), ("", 0, 0)]
)
def test_exit_code_and_last_line_tell_what_was_found(verdicts: str, code: int, strict: int) -> None:
    """A FAIL counts most; UNKNOWN never counts as pass, and is an exit code of its own where that is asked for."""
    results: Any = [(CHECKS["headers.nosniff"], Finding(one, "p", "f")) for one in verdicts.split()]  # type: ignore[arg-type]
    assert (exit_code(results, is_strict=False), exit_code(results, is_strict=True)) == (code, strict)
    *lines, last = as_lines(results)
    assert sorted(line.split()[0] for line in lines) == sorted(verdicts.split())
    assert last.startswith(", ".join(f"{verdicts.split().count(one)} {one}" for one in ("FAIL", "UNKNOWN", "pass")))


@pytest.mark.parametrize("error", [NoAnswerError("gone"), ValueError("a secret"), OSError()])
def test_check_that_fails_is_unknown(tmp_path: Path, error: Exception) -> None:
    """Neither pass nor FAIL, and nothing of an unexpected error's text is told."""

    def run(_target: Target) -> Finding:
        raise error

    ((_, finding),) = run_checks(target(tmp_path), [Check("a.b", "a", "API8", "t", "e", "w", asks=True, run=run)])
    assert finding.verdict == "UNKNOWN"
    assert "secret" not in finding.found


class NoteIn(Schema):
    """A body."""

    text: str


def _guard(_token: Annotated[object, Depends(HTTPBearer(auto_error=False))]) -> None:
    """Lets everybody in."""


async def _route(number: int = 1) -> dict[str, int]:
    return {"number": number}


async def _body(body: NoteIn) -> NoteIn:
    return body


async def _anything(body: Any) -> Any:
    return body


async def _endless(limit: int = 20) -> dict[str, int]:
    return {"limit": limit}


async def _open(_caller: Public) -> dict[str, str]:
    return {}


def served(router: Router) -> Any:
    """A service with one version of these routes."""
    app = VersionApp(FoundVersion("v1", Path(), [router], None, None), about=about(), state=State(), docs=True)
    return SimpleNamespace(versions=SimpleNamespace(apps={"v1": app}), routes=[])


def team() -> Any:
    """A service of a team that knows callers: routes of each kind."""
    router, guarded = Router(), {"dependencies": [Depends(_guard)]}
    router.add_api_route("/read/{name}", _open, methods=["GET"], name="read", **guarded)
    router.add_api_route("/write/{name}", _body, methods=["PUT"], name="write", **guarded)
    router.add_api_route("/by-number/{number}", _route, methods=["DELETE"], name="delete", **guarded)
    router.add_api_route("/by-query", _route, methods=["POST"], name="query", **guarded)
    router.add_api_route("/all", _open, methods=["POST"], name="all", **guarded)
    router.add_api_route("/anything", _anything, methods=["POST"], name="anything", **guarded)
    router.add_api_route("/open", _open, methods=["GET"], name="open")
    router.add_api_route("/forgotten", _route, methods=["GET"], name="forgotten")
    router.add_api_route("/hidden", _open, methods=["GET"], name="hidden", include_in_schema=False)
    return served(router)


def test_request_to_a_guarded_operation_can_do_no_work(tmp_path: Path) -> None:
    """A body or value that is refused before the route runs; where there is none, the operation is not asked."""
    asked = {one.name: one.request for one in operations.guarded_operations(target(tmp_path, team()))}
    assert asked == {
        "GET /v1/read/{name}": ("/v1/read/1", {}, None),
        "PUT /v1/write/{name}": ("/v1/write/1", {"Content-Type": "application/json"}, b'"audit"'),
        "DELETE /v1/by-number/{number}": ("/v1/by-number/~", {}, None),
        "POST /v1/by-query": ("/v1/by-query?number=~", {}, None),
        "POST /v1/all": None,
        "POST /v1/anything": None,
    }


def test_route_that_says_nothing_of_callers_is_found(tmp_path: Path) -> None:
    """Where some operation knows callers, every other has to say that anybody may call it."""
    finding = told("permissions.access", tmp_path, team())
    assert (finding.verdict, finding.found) == ("FAIL", "GET /v1/forgotten")
    finding = told("permissions.inventory", tmp_path, team())
    assert (finding.verdict, finding.found) == ("FAIL", "/v1/hidden")


def test_list_without_a_bound_is_found(tmp_path: Path) -> None:
    """A `limit` that the contract does not bound."""
    router = Router()
    router.add_api_route("/endless", _endless, methods=["GET"], name="endless")
    finding = told("limits.page_size", tmp_path, served(router))
    assert (finding.verdict, finding.found) == ("FAIL", "GET /endless has no maximum")


@pytest.mark.parametrize(("mode", "verdict"), [(0o600, "pass"), (0o640, "FAIL"), (0o604, "FAIL")])
def test_settings_that_others_may_read_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: int, verdict: str
) -> None:
    """Of the file that the service reads, and of one with keys; without them there is nothing to read."""
    monkeypatch.delenv("ENV_FILE", raising=False)
    assert told("secrets.env_mode", tmp_path).verdict == "pass"
    for name in (".env", "keys.pem"):
        (tmp_path / name).touch()
        (tmp_path / name).chmod(mode)
        assert told("secrets.env_mode", tmp_path).verdict == verdict
        (tmp_path / name).unlink()


SECRETS = {
    "a key": "-----BEGIN PRIVATE " + f"KEY-----\n{'MIIEvQIBADANBgkq' * 4}\n",
    "a token of a provider": "see ghp_" + "a1B2" * 9,
    "a token that signs in": "eyJhbGciOiJIUzI1NiJ9" + ".eyJzdWIiOiIxMjM0NTYifQ.dQw4w9WgXcQdQw4w9WgXcQ",
    "a password with a name": "SMTP_PASSWORD=k2Lw9" + "PqR7sT4vX1z",
    "a member of JSON": '{"api_key": "k2Lw9' + 'PqR7sT4vX1z"\n}',
    "our own": f"it is {TOKEN}",
    "a password of an address": "it is copper-lantern-77",
    "a key of a set": '"d": "' + "k2Lw9PqR" * 5 + '"',
}
HARMLESS = [
    "token = request.headers[name]",
    "password=change-me-to-your-own1",
    "OPERATIONS_TOKEN=",
    "secret: str = field",
]


@pytest.mark.skipif(shutil.which("git") is None, reason="git is not on PATH")
def test_secrets_in_git_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By shape and by value, in what is tracked; settings in any commit. The place is told, never the secret."""
    monkeypatch.setenv("OPERATIONS_TOKEN", TOKEN)
    monkeypatch.setenv("DATABASE_URL", "postgresql+asyncpg://app:copper-lantern-77@127.0.0.1/app")
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.invalid", "-c", "commit.gpgsign=false"]

    def git(*arguments: str) -> None:
        subprocess.run(  # noqa: S603  # made up here
            ["git", *identity, *arguments],  # noqa: S607
            cwd=tmp_path,
            check=True,
            capture_output=True,
        )

    git("init", "--quiet")
    assert told("secrets.committed", tmp_path).verdict == "UNKNOWN"
    for number, text in enumerate(HARMLESS):
        (tmp_path / f"harmless{number}.py").write_text(f"{text}\n")
    git("add", "--all")
    git("commit", "--quiet", "--message", "harmless")
    assert told("secrets.committed", tmp_path).verdict == "pass"
    assert told("secrets.env_committed", tmp_path).verdict == "pass"
    for number, text in enumerate(SECRETS.values()):
        (tmp_path / f"secret{number}.txt").write_text(f"first line\n{text}\n")
    (tmp_path / "deploy.env").touch()
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message", "secrets")
    finding = told("secrets.committed", tmp_path)
    assert finding.found == "; ".join(f"secret{number}.txt:2" for number in range(len(SECRETS)))
    git("rm", "--quiet", "deploy.env")
    git("commit", "--quiet", "--message", "too late")
    assert told("secrets.env_committed", tmp_path).found == "deploy.env"


def _advice(number: int, *found: str) -> str:
    vulnerabilities = [{"dependency": {"name": name, "version": "1"}, "id": "X"} for name in found]
    return json.dumps(
        {"summary": {"audited_packages": number}, "vulnerabilities": vulnerabilities, "adverse_statuses": []}
    )


@pytest.mark.parametrize(
    ("done", "verdict"),
    [
        ((0, _advice(9), ""), "pass"),
        ((1, _advice(9, "click"), ""), "FAIL"),
        ((0, _advice(0), ""), "UNKNOWN"),
        ((0, "", "no network"), "UNKNOWN"),
        ((0, "[]", ""), "UNKNOWN"),
        ((1, _advice(9), ""), "UNKNOWN"),
        ((2, _advice(9), ""), "UNKNOWN"),
        (None, "UNKNOWN"),
    ],
)
def test_advice_that_says_nothing_is_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, done: tuple[int, str, str] | None, verdict: str
) -> None:
    """Only an answer about packages that were asked for passes; the real uv is run by the next test."""
    monkeypatch.setattr(dependencies, "_uv", lambda *_: done)
    assert told("dependencies.advisories", tmp_path).verdict == verdict


def test_advisories_that_cannot_be_reached_are_unknown() -> None:
    """Whether uv is here or not: without data nothing passes."""
    one = target(project_root())
    one.advisories = "http://127.0.0.1:9"
    assert CHECKS["dependencies.advisories"].run(one).verdict == "UNKNOWN"


def test_lock_file_that_does_not_hold_is_found(tmp_path: Path) -> None:
    """A file without a hash, another version than the installed one, no lock file at all."""
    (tmp_path / "pyproject.toml").touch()
    assert told("dependencies.lock", tmp_path).verdict == "FAIL"
    assert told("dependencies.installed", tmp_path).verdict == "UNKNOWN"
    package = '[[package]]\nname = "typer"\nversion = "0.0.1"\nsource = {{ registry = "https://x/simple" }}\n{}'
    (tmp_path / "uv.lock").write_text(package.format('wheels = [{ url = "https://x/typer.whl" }]'))
    finding = told("dependencies.lock", tmp_path)
    assert (finding.verdict, "typer: a file without a hash" in finding.found) == ("FAIL", True)
    assert "typer" in told("dependencies.installed", tmp_path).found


def test_python_has_an_end() -> None:
    """A Python is told with the last month of its fixes, or not judged at all."""
    finding = told("dependencies.python", project_root())
    assert re.fullmatch(r"fixes until 20\d\d-\d\d|its end is not known here", finding.found)


FINE = "FROM python:3.13-slim AS build\nFROM python:${V}-slim\nENV PORT=1 \\\n  A=b\nUSER app\nHEALTHCHECK CMD x\n"
COMPOSE = (
    "services:\n  app:\n    build: .\n    read_only: true\n    cap_drop:\n      - ALL\n"
    "    security_opt:\n      - no-new-privileges:true\n  db:\n    image: postgres:18\n    privileged: true\n"
)


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "verdict"),
    [
        ("user", "Dockerfile", "", "", "pass"),
        ("user", "Dockerfile", "USER app\n", "", "FAIL"),
        ("user", "Dockerfile", "USER app", "USER app\nUSER 0:0", "FAIL"),
        ("user", "Dockerfile", FINE, "", "UNKNOWN"),
        ("base", "Dockerfile", "", "", "pass"),
        ("base", "Dockerfile", "python:3.13-slim AS", "python:latest AS", "FAIL"),
        ("base", "Dockerfile", "python:3.13-slim AS", "python AS", "FAIL"),
        ("base", "Dockerfile", "python:3.13-slim AS", "r.example:5000/python AS", "FAIL"),
        ("base", "Dockerfile", "python:3.13-slim AS", "python@sha256:ab AS", "pass"),
        ("base", "Dockerfile", "FROM python:${V}-slim", "FROM build", "pass"),
        ("baked", "Dockerfile", "", "", "pass"),
        ("baked", "Dockerfile", "A=b", "API_KEY=b", "FAIL"),
        ("baked", ".dockerignore", "*", "*.md", "FAIL"),
        ("healthcheck", "Dockerfile", "", "", "pass"),
        ("healthcheck", "Dockerfile", "HEALTHCHECK CMD x", "HEALTHCHECK NONE", "FAIL"),
        ("privileges", "compose.yaml", "", "", "pass"),
        ("privileges", "compose.yaml", "    read_only: true\n", "", "FAIL"),
        ("privileges", "compose.yaml", "      - ALL", "      - CHOWN", "FAIL"),
        ("privileges", "compose.yaml", "no-new-privileges:true", "label:x", "FAIL"),
        ("privileges", "compose.yaml", "    build: .\n", "", "UNKNOWN"),
        ("privileges", "compose.override.yaml", "", "services:\n  app:\n    privileged: true\n", "FAIL"),
        ("privileges", "compose.override.yaml", "", "services:\n  db:\n    user: root\n", "pass"),
    ],
)
def test_container_files_are_read(tmp_path: Path, name: str, file: str, old: str, new: str, verdict: str) -> None:
    """What an image or a container should not be is found; what is not there is UNKNOWN."""
    texts = {"Dockerfile": f"ARG V=3.13\n{FINE}", ".dockerignore": "*\n", "compose.yaml": COMPOSE}
    if old == FINE:
        texts["Dockerfile"] = ""
    else:
        texts[file] = texts[file].replace(old, new) if old else texts.get(file, "") + new
    for path, text in texts.items():
        (tmp_path / path).write_text(text)
    assert told(f"container.{name}", tmp_path).verdict == verdict


def test_page_tells_every_check_and_what_proves_it() -> None:
    """One row a check of docs/chassis/security.md, word for word; each names a test that is there."""
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in PAGE.read_text(encoding="utf-8").splitlines()]
    told = {row[0].strip("`"): row[1:] for row in rows if len(row) == 6 and re.fullmatch(r"`\w+\.\w+`", row[0])}
    assert {name: row[:4] for name, row in told.items()} == {
        name: [one.title, one.owasp, one.expected, one.where] for name, one in CHECKS.items()
    }
    for row in told.values():
        for file, test in re.findall(r"`([\w/]+\.py)::(\w+)`", row[4]) or [("", "")]:
            source = (project_root() / "tests/chassis" / file).read_text(encoding="utf-8")
            assert test in {getattr(node, "name", "") for node in ast.parse(source).body}, f"{file}::{test}"
