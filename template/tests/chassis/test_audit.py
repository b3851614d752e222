"""`make audit`: what the running service is asked, what files are read for, and that the page says what is checked."""

import ast
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.security import HTTPBearer
from starlette.datastructures import State

from app.chassis.about import about, project_root
from app.chassis.audit import dependencies, limits, operations
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
        (("--url", ""), "--url: cannot be used"),
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
    "url",
    [
        *("localhost", "ftp://localhost", "http://", "http://localhost/api", "http://[", "http://a:b", "http://a?b=c"),
        *("http://a#b", "http://a?", "http://me@a", "http://me:hunter2@a", ""),
    ],
)
def test_address_that_cannot_be_used_is_told(tmp_path: Path, url: str) -> None:
    """Scheme, host and port, nothing else."""
    with pytest.raises(ValueError, match=r"^--url: cannot be used; expected http://HOST:PORT") as told:
        Target(url, load_settings(ChassisSettings), None, tmp_path)
    assert "hunter2" not in str(told.value)


Answers = Callable[[BaseHTTPRequestHandler, bytes], tuple[int, dict[str, str], bytes]]


@contextmanager
def stranger(answers: Answers) -> Iterator[str]:
    """Another server than the service: the address of one that answers as a test says."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, headers, body = answers(self, self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_OPTIONS = do_GET  # noqa: N815  # as http.server wants it

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    "body", [b'{"data":[1]}', b'{"data": null}', b"[" * 100_000, b'{"data":' * 100_000, b"[]", b"1", b"", b"\xff"]
)
def test_server_that_is_not_the_service_is_told(tmp_path: Path, body: bytes) -> None:
    """Whatever it answers to GET /health."""
    with stranger(lambda *_: (200, {}, body)) as url:
        trouble = Target(url, load_settings(ChassisSettings), None, tmp_path).trouble()
    assert trouble is not None
    assert trouble.endswith("expected that service")


def test_limit_that_answers_says_what_to_do(tmp_path: Path) -> None:
    """UNKNOWN, and the finding itself says how to know."""
    check = CHECKS["headers.no_banner"]
    with stranger(lambda *_: (429, {}, b"")) as url:
        ((_, finding),) = run_checks(Target(url, load_settings(ChassisSettings), team(), tmp_path), [check])
    assert finding.verdict == "UNKNOWN"
    assert "audit again later, or where limits are off" in finding.found


LISTED = "https://listed.example.com"
ORIGINS: dict[str, tuple[Callable[[str], bool], str, str]] = {
    "the listed ones": (lambda origin: origin == LISTED, "pass", "not allowed"),
    "null": (lambda origin: origin == "null", "FAIL", "allows null"),
    "all that begin so": (lambda origin: origin.startswith(LISTED), "FAIL", f"allows {LISTED} with a suffix"),
    "as it came": (lambda _: True, "FAIL", "allows an origin that nobody listed"),
}


@pytest.mark.parametrize("rule", ORIGINS)
def test_origin_that_is_not_listed_is_tried_in_three_ways(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rule: str
) -> None:
    """One that nobody knows, that of a page without an origin, and one that looks like a listed one."""
    monkeypatch.setenv("SECURITY_CORS_ORIGINS", LISTED)
    allows, verdict, found = ORIGINS[rule]

    def answers(asked: BaseHTTPRequestHandler, _body: bytes) -> tuple[int, dict[str, str], bytes]:
        origin = asked.headers["Origin"]
        return 404, {"Access-Control-Allow-Origin": origin} if allows(origin) else {}, b""

    with stranger(answers) as url:
        finding = CHECKS["headers.cross_origin"].run(Target(url, load_settings(ChassisSettings), None, tmp_path))
    assert finding.verdict == verdict
    assert found in finding.found


@pytest.mark.parametrize(
    ("headers", "verdict"),
    [
        ({}, "FAIL"),
        ({"RateLimit": '"a";r=1'}, "pass"),
        ({"RateLimit-Policy": '"a";q=100;w=60'}, "pass"),
        ({"RateLimit-Policy": '"a";q=1000000;w=1'}, "FAIL"),
        ({"RateLimit-Policy": '"a";q=1000000;w=1, "b"; w=1; q=2000'}, "FAIL"),
        ({"RateLimit-Policy": '"a";q=1000000;w=1, "b";q=10000;w=3600'}, "pass"),
    ],
)
def test_limit_that_limits_nothing_is_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, headers: dict[str, str], verdict: str
) -> None:
    """One window that holds is enough."""
    monkeypatch.setattr(limits, "FEATURES", ("rate_limit",))
    with stranger(lambda *_: (200, headers, b"")) as url:
        one = Target(url, load_settings(ChassisSettings), team(), tmp_path)
        assert CHECKS["limits.request_rate"].run(one).verdict == verdict


@pytest.mark.parametrize(
    ("banner", "verdict"), [("", "pass"), ("nginx", "pass"), ("nginx/1.29", "FAIL"), ("uvicorn", "FAIL")]
)
def test_banner_of_nginx_may_say_its_name_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, banner: str, verdict: str
) -> None:
    """The proxy of `make deploy` cannot leave out its name; a version, and whatever else, is found."""
    answer = SimpleNamespace(header=lambda name: banner if name == "server" else "")
    monkeypatch.setattr("app.chassis.audit.headers._answers", lambda _target: {"GET /livez": answer})
    assert told("headers.no_banner", tmp_path).verdict == verdict


@pytest.mark.parametrize(("leak", "verdict"), [(b"", "pass"), (b"body", "FAIL")])
def test_secret_of_a_body_in_the_log_is_found(tmp_path: Path, leak: bytes, verdict: str) -> None:
    """A service that logs what it is sent."""
    log = tmp_path / "service.log"
    log.touch()

    def answers(asked: BaseHTTPRequestHandler, body: bytes) -> tuple[int, dict[str, str], bytes]:
        with log.open("ab") as file:
            file.write(asked.headers["X-Request-ID"].encode() + b" " + (body if leak else b"") + b"\n")
        return 404, {}, b""

    with stranger(answers) as url:
        one = Target(url, load_settings(ChassisSettings), team(), tmp_path)
        one.log = log
        finding = CHECKS["logging.planted_secret"].run(one)
    assert (finding.verdict, finding.found) == (verdict, f"found: {'the body' if leak else 'none'}")


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
    service, main = team(), FastAPI(openapi_url=None, docs_url=None, redoc_url=None)
    main.add_api_route("/with-guard", _route, dependencies=[Depends(_guard)])
    main.add_api_route("/without", _route)
    service.routes = main.routes
    assert told("permissions.access", tmp_path, service).found == "GET /v1/forgotten; GET /without"
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
    "a key in JSON": '{"key": "-----BEGIN RSA PRIVATE ' + f"KEY-----\\n{'MIIEvQIBADANBgkq' * 4}\\n" + '"}',
    "an encrypted key": "-----BEGIN RSA PRIVATE " + "KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,0123\n\n"
    f"{'MIIEvQIBADANBgkq' * 4}\n",
    "an address with a password": "url = 'postgresql://app:S3cr3t" + "pass@db/app'",
    "an address without a user": "redis://:S3cr3t" + "pass@cache",
    "an argument": 'connect(password="S3cr3t' + 'Passw0rd987", host="db")',
    "a member amid others": '{"user": "app", "password": "S3cr3t' + 'Passw0rd987", "port": 1}',
    "a member of a flow map": "db: {user: app, password: S3cr3t" + "Passw0rd987, port: 1}",
    "a member at the end of a flow map": "db: {user: app, password: S3cr3t" + "Passw9}",
    "a key with a hyphen": "x-api-key: k2Lw9" + "PqR7sT4vX1z",
    "a quoted value": 'PASSWORD="S3cr3t' + 'Passw0rd!987"',
    "a default": 'smtp_password: SecretStr = SecretStr("S3cr3t' + 'Passw0rd!987")',
    "a token of a project": "see sk-proj-" + "k2Lw9PqR" * 3,
    "another token": "see sk-ant-api03-" + "k2Lw9PqR" * 3,
    "a hook": "https://hooks.slack.com/services/" + "T0A1B2C3D/B0A1B2C3D/k2Lw9PqR7sT4vX1zk2Lw9PqR",
}
HARMLESS = [
    "token = request.headers[name]",
    "password=change-me-to-your-own1",
    "OPERATIONS_TOKEN=",
    "secret: str = field",
    "postgresql+asyncpg://USER:PASSWORD@HOST/NAME",
    "postgresql://app:${DB_PASSWORD}@db/app, redis://:{password}@cache, redis://me:<password>@cache",
    "postgresql://app:app@localhost/app http://localhost:8000/notes@2 https://me:password@localhost",
    "redis://[[username]:[password]]@localhost:6379/0",
    'password="change-me-1234", token="<your-token-12>", secret="${SECRET_V2_OF_APP}", api_key = "DB_API_KEY_2"',
    "password_file: /run/secrets/password1, token_url='urn:ietf:oauth:2.0', token_seconds: 1234567890a",
    "password_encryption = scram-sha-256",
    "see https://badges.invalid/a.svg?token=E0Q0YBSINS",
    'secret_of_app = "nine brass plumb bobs 9"',
    "token: bearer, secret: {name: app-v1-2345, key: password}",
]
HARMLESS_CODE = [
    "private_key: x25519.X25519PrivateKey",
    "password=form.password_2nd, token=tokens_by_name2[name]",
    'if token == f"{name}1234567":',
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
    for number, text in enumerate([*HARMLESS, *HARMLESS_CODE]):
        (tmp_path / f"harmless{number}.py").write_text(f"{text}\n")
        (tmp_path / f"harmless{number}.yaml").write_text(f"{text}\n" if text in HARMLESS else "")
    (tmp_path / "contract").mkdir()
    (tmp_path / "contract/recorded.json").write_text(SECRETS["a member amid others"])
    (tmp_path / ".env.example").touch()
    git("add", "--all")
    git("commit", "--quiet", "--message", "harmless")
    assert told("secrets.committed", tmp_path).verdict == "pass"
    assert told("secrets.env_committed", tmp_path).verdict == "pass"
    for number, text in enumerate(SECRETS.values()):
        (tmp_path / f"secret{number:02}.txt").write_text(f"first line\n{text}\n")
    for name in ("deploy.env", ".env.production"):
        (tmp_path / name).touch()
    git("add", "--all", "--force")
    git("commit", "--quiet", "--message", "secrets")
    finding = told("secrets.committed", tmp_path)
    places = [f"secret{number:02}.txt:2" for number in range(len(SECRETS))]
    assert finding.found == "; ".join(places[:20]) + f" and {len(places) - 20} more"
    git("rm", "--quiet", "deploy.env")
    git("commit", "--quiet", "--message", "too late")
    assert told("secrets.env_committed", tmp_path).found == ".env.production; deploy.env"


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
    finding = told("dependencies.advisories", tmp_path)
    assert finding.verdict == verdict
    assert ("--advisories URL" in finding.found) == (verdict == "UNKNOWN")


def test_advisories_that_cannot_be_reached_are_unknown() -> None:
    """Whether uv is here or not: without data nothing passes."""
    one = target(project_root())
    one.advisories = "http://me:hunter2@127.0.0.1:9"
    finding = CHECKS["dependencies.advisories"].run(one)
    assert finding.verdict == "UNKNOWN"
    assert "hunter2" not in finding.probed + finding.found


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
SHARED = COMPOSE.replace("app:", "app: &app") + "  blue:\n    <<: *app\n    build: ./blue\n"


@pytest.mark.parametrize(
    ("name", "file", "old", "new", "verdict"),
    [
        ("user", "Dockerfile", "", "", "pass"),
        ("user", "Dockerfile", "USER app\n", "", "FAIL"),
        ("user", "Dockerfile", "USER app", "USER app\nUSER 0:0", "FAIL"),
        ("user", "Dockerfile", FINE, "", "UNKNOWN"),
        ("user", "Dockerfile", "USER app", "USER 00", "FAIL"),
        ("user", "Dockerfile", "USER app", "USER +0", "FAIL"),
        ("user", "Dockerfile", "USER app", "user ${APP_USER:-root}", "FAIL"),
        ("user", "Dockerfile", "USER app", "ARG APP_USER=root\nUSER $APP_USER", "FAIL"),
        ("user", "Dockerfile", "USER app", "ARG APP_USER\nUSER $APP_USER", "UNKNOWN"),
        ("user", "Dockerfile", "USER app", "USER ${APP_USER:-10001}:0", "pass"),
        ("base", "Dockerfile", "", "", "pass"),
        ("base", "Dockerfile", "python:3.13-slim AS", "python:latest AS", "FAIL"),
        ("base", "Dockerfile", "python:3.13-slim AS", "python AS", "FAIL"),
        ("base", "Dockerfile", "python:3.13-slim AS", "r.example:5000/python AS", "FAIL"),
        ("base", "Dockerfile", "python:3.13-slim AS", "python@sha256:ab AS", "pass"),
        ("base", "Dockerfile", "FROM python:${V}-slim", "FROM build", "pass"),
        ("baked", "Dockerfile", "", "", "pass"),
        ("baked", "Dockerfile", "A=b", "API_KEY=b", "FAIL"),
        ("baked", "Dockerfile", "USER app", "ENV API_KEY S3cr3t", "FAIL"),
        ("baked", "Dockerfile", "USER app", "ENV URL=postgresql://app:S3cr3tpass@db/app", "FAIL"),
        (
            "baked",
            "Dockerfile",
            "USER app",
            "ENV API_KEY_FILE=/run/secrets/key TOKEN_SECONDS=900 TOKEN_TTL=15m API_KEY=",
            "pass",
        ),
        ("baked", "Dockerfile", "USER app", "COPY src/ .env ./", "FAIL"),
        ("baked", "Dockerfile", "USER app", 'COPY ["deploy/.env.production", "./"]', "FAIL"),
        ("baked", "Dockerfile", "USER app", "ADD --chown=app ./keys.pem /srv/", "FAIL"),
        ("baked", "Dockerfile", "USER app", "COPY .env.example settings.py ./", "pass"),
        ("baked", ".dockerignore", "*", "*.md", "FAIL"),
        ("baked", ".dockerignore", "", "!**/.env\n", "FAIL"),
        ("baked", ".dockerignore", "", "!keys.pem\n", "FAIL"),
        ("baked", ".dockerignore", "", "!src/\n# !.env\n!.env.example\n", "pass"),
        ("baked", ".dockerignore", "*", "**/.env*\n*.pem\nvar/", "pass"),
        ("baked", "compose.yaml", "", "    environment:\n      API_KEY: k2Lw9\n", "pass"),  # of what is not ours
        ("baked", "compose.yaml", "    build: .", "    build: .\n    environment:\n      API_KEY: k2Lw9", "FAIL"),
        ("baked", "compose.yaml", "    build: .", "    build: .\n    environment:\n      - API_KEY=k2Lw9", "FAIL"),
        ("baked", "compose.yaml", "    build: .", "    build: .\n    environment:\n      K: a://b:k2Lw9P@c", "FAIL"),
        ("baked", "compose.yaml", "    build: .", "    build: .\n    environment: {API_KEY: '${K:-k2Lw9}'}", "FAIL"),
        ("baked", "compose.yaml", "    build: .", "    build: .\n    environment:\n      API_KEY: ${K:?none}", "pass"),
        ("baked", "compose.yaml", "    build: .", "    build: .\n    environment: [API_KEY, A_TOKEN=$T]", "pass"),
        ("healthcheck", "Dockerfile", "", "", "pass"),
        ("healthcheck", "Dockerfile", "HEALTHCHECK CMD x", "HEALTHCHECK NONE", "FAIL"),
        ("healthcheck", "Dockerfile", "HEALTHCHECK CMD x", "HEALTHCHECK none", "FAIL"),
        ("privileges", "compose.yaml", "", "", "pass"),
        ("privileges", "compose.yaml", "    read_only: true\n", "", "FAIL"),
        ("privileges", "compose.yaml", "      - ALL", "      - CHOWN", "FAIL"),
        ("privileges", "compose.yaml", "no-new-privileges:true", "label:x", "FAIL"),
        ("privileges", "compose.yaml", "    build: .\n", "", "UNKNOWN"),
        ("privileges", "compose.yaml", COMPOSE, SHARED, "pass"),
        ("privileges", "compose.yaml", COMPOSE, SHARED.replace("<<: *app", "labels: {}"), "FAIL"),
        ("privileges", "compose.yaml", COMPOSE, SHARED.replace("- ALL", "- CHOWN"), "FAIL"),
        ("privileges", "compose.yaml", COMPOSE, f"{SHARED}    privileged: true\n", "FAIL"),
        ("privileges", "compose.yaml", "no-new-privileges:true", "no-new-privileges:false", "FAIL"),
        *(
            ("privileges", "compose.override.yaml", "", f"services:\n  app:\n    {taken}\n", "FAIL")
            for taken in (
                *("privileged: true", 'privileged: "true"', "ipc: host", "userns_mode: 'host'", "user: ${U:-0}"),
                *("volumes: ['/var/run/docker.sock:/d']", "volumes:\n      - /run/docker.sock:/d:ro"),
                *(
                    "volumes:\n      - /:/host",
                    "volumes:\n      - type: bind\n        source: /\n        target: /host",
                ),
                *("security_opt:\n      - seccomp:unconfined", 'security_opt: ["apparmor=unconfined"]'),
            )
        ),
        *(
            ("privileges", "compose.override.yaml", "", f"services:\n  app:\n    volumes:\n      - {kept}\n", "pass")
            for kept in ("./a:/b", "${HOME}/:/b", "~/:/b", "/srv/a/:/b")
        ),
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
