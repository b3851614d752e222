"""`make audit` of a rendered service: nothing wrong as rendered, and each weakness that is put in is found."""

import json
import os
import re
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from conftest import commit_all, git, make, share
from serving import served

TOKEN = "kT4mQ9xW2vB7nL5c"  # noqa: S105  # made up
NOTES = '''"""Notes."""

from pathlib import Path
from typing import Annotated

from fastapi import Depends
from fastapi.security import HTTPBearer

from app.chassis.errors import NotFoundError, UnauthenticatedError
from app.chassis.http import Public, Router, Schema

router = Router(prefix="/notes", tags=["notes"])


class NoteIn(Schema):
    text: str


def lenient(_token: Annotated[object, Depends(HTTPBearer(auto_error=False))]) -> None:
    """Asks for a token and looks at none."""


def strict(_token: Annotated[object, Depends(HTTPBearer())]) -> None:
    """Knows nobody."""
    raise UnauthenticatedError("who are you?", expected="a caller")


def done() -> dict[str, str]:
    Path("var/done").touch()
    return {}


@router.get("/closed", dependencies=[Depends(strict)])
async def closed() -> dict[str, str]:
    return {}


@router.get("/open")
async def opened(_caller: Public) -> dict[str, str]:
    return {}
'''
WEAK_NOTES = """

@router.get("/leaking", dependencies=[Depends(lenient)])
async def leaking() -> dict[str, str]:
    return {}


@router.post("", dependencies=[Depends(lenient)])
async def write_note(body: NoteIn) -> dict[str, str]:
    return done()


@router.delete("/{note_id}", dependencies=[Depends(lenient)])
async def delete_note(note_id: int) -> dict[str, str]:
    return done()


@router.post("/all", dependencies=[Depends(lenient)])
async def close_all() -> dict[str, str]:
    return done()


@router.get("/forgotten")
async def forgotten(limit: int = 20) -> dict[str, str]:
    return {}


@router.get("/debug", include_in_schema=False)
async def debug(_caller: Public) -> dict[str, str]:
    return {}


@router.get("/named/{name}")
async def named(name: str, _caller: Public) -> dict[str, str]:
    raise NotFoundError(f"no note {name}")
"""
LOGGING = """

class Logs:
    def __init__(self, app):
        self.app = app

    async def __call__(self, scope, receive, send):
        read = []

        async def again():
            return read.pop() if read else await receive()

        for name, value in scope.get("headers", ()):
            if name == b"x-api-key":
                logging.getLogger("orders").info("called with " + value.decode())
            if name == b"content-length" and len(value) < 4:
                read.append(await receive())
                logging.getLogger("orders").info("got %s", read[0]["body"])
        await self.app(scope, again, send)


app.add_middleware(Logs)
"""
DEVELOPMENT = """OPERATIONS_TOKEN=change-me
SECURITY_CORS_ORIGINS=*
SECURITY_ALLOWED_HOSTS=*
SECURITY_MAX_BODY_BYTES=1099511627776
SECURITY_MAX_URL_BYTES=1048576
SECURITY_MAX_HEADER_BYTES=1048576
SERVER_REQUEST_TIMEOUT_SECONDS=86400
"""


def edit(service: Path, name: str, old: str, new: str) -> None:
    """Replace a text that stands once in a file, whose time stays, so that make sees no change."""
    path = service / name
    text, times = path.read_text(encoding="utf-8"), path.stat()
    assert text.count(old) == 1, f"{name}: {old!r} stands {text.count(old)} times"
    path.write_text(text.replace(old, new), encoding="utf-8")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def pretend(service: Path, library: str) -> None:
    """Lock another version of a library than is installed."""
    block = re.search(rf'name = "{library}"\nversion = "(.*)"(.|\n)*?\n\n', (service / "uv.lock").read_text())
    edit(service, "uv.lock", block[0], block[0].replace(block[1], f"{block[1]}.1"))


def add_notes(service: Path, source: str) -> None:
    """Add routes of a team that knows callers."""
    folder = service / "src/app/api/v1/notes"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "routes.py").write_text(source)


def append(service: Path, name: str, text: str) -> None:
    """Add to the end of a file."""
    with (service / name).open("a", encoding="utf-8") as file:
        file.write(text)


HEADERS, BANNER = "src/app/chassis/security/headers.py", "src/app/chassis/server.py"
# The check that must find it -> what is put in. `.env` and the routes hold several.
WEAKNESSES: dict[str, Callable[[Path], None]] = {
    "permissions.authentication": lambda service: add_notes(service, NOTES + WEAK_NOTES),
    "permissions.access": lambda _service: None,  # with the routes above
    "permissions.inventory": lambda _service: None,
    "permissions.metrics": lambda service: edit(
        service, "src/app/chassis/health.py", "    if expected is None:\n", "    if True:\n"
    ),
    "permissions.forged_host": lambda service: (service / ".env").write_text(DEVELOPMENT) and None,
    "secrets.strength": lambda _service: None,  # with the settings above
    "secrets.env_mode": lambda service: (service / ".env").chmod(0o644),
    "secrets.env_committed": lambda service: git(service, "add", "--force", ".env") and None,
    "secrets.committed": lambda service: append(service, "deploy/packages.txt", f"# api_token: {TOKEN}\n"),
    "secrets.echo": lambda _service: None,
    "headers.nosniff": lambda service: edit(service, HEADERS, '(b"x-content-type-options", b"nosniff"),', ""),
    "headers.content_policy": lambda service: edit(service, HEADERS, "default-src 'none'; ", ""),
    "headers.no_store": lambda service: edit(service, HEADERS, '(b"cache-control", b"no-store"),', ""),
    "headers.no_banner": lambda service: edit(service, BANNER, "server_header=False", "server_header=True"),
    "headers.cross_origin": lambda _service: None,
    "limits.body_size": lambda _service: None,
    "limits.url_size": lambda _service: None,
    "limits.header_size": lambda _service: None,
    "limits.running": lambda _service: None,
    "limits.page_size": lambda _service: None,
    "logging.planted_secret": lambda service: append(service, "src/app/main.py", f"import logging\n{LOGGING}"),
    "dependencies.advisories": lambda _service: None,  # what the advisories below say
    "dependencies.lock": lambda service: edit(service, "pyproject.toml", '"typer>=0.29,', '"typer>=0.28,'),
    "dependencies.installed": lambda service: pretend(service, "click"),
    "container.user": lambda service: edit(service, "Dockerfile", "USER 10001:10001", "USER root"),
    "container.base": lambda service: edit(service, "Dockerfile", "uv:0.13.8 AS", "uv:latest AS"),
    "container.baked": lambda service: edit(
        service, "Dockerfile", "PORT=8000 ", "SMTP_PASSWORD=hunter2hunter2 PORT=8000 "
    ),
    "container.healthcheck": lambda service: edit(service, "Dockerfile", "HEALTHCHECK --interval", "# --interval"),
    "container.privileges": lambda service: edit(
        service,
        "compose.yaml",
        "data:/srv/var\n    init: true\n    read_only",
        "data:/srv/var\n    init: true\n    privileged",
    ),
}


class Advisories(BaseHTTPRequestHandler):
    """A stand-in for osv.dev that knows one bad library; it is spoken to by the real uv."""

    def do_POST(self) -> None:
        """Say of each library asked for what is known."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["queries"]
        known = {"vulns": [{"id": "GHSA-made-up", "modified": "2026-01-01T00:00:00Z"}]}
        self.answer({"results": [known if one["package"]["name"] == self.server.bad else {} for one in asked]})

    def do_GET(self) -> None:
        """Tell about the one."""
        self.answer({"id": "GHSA-made-up", "modified": "2026-01-01T00:00:00Z", "summary": "made up", "affected": []})

    def answer(self, told: dict) -> None:
        """Send JSON."""
        body = json.dumps(told).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def advisories(bad: str = "") -> Iterator[str]:
    """Give the address of advisories in which one library is bad."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Advisories) as server:
        server.bad = bad
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def service(installed: Path, tmp_path: Path) -> Path:
    """Return a service of the test's own, migrated and committed."""
    folder = share(installed, tmp_path / "my service")
    (folder / "var").mkdir(exist_ok=True)
    assert make(folder, "migrate").returncode == 0
    commit_all(folder, "render")
    return folder


def audit(service: Path, address: str, *arguments: str, **environment: str) -> tuple[str, dict]:
    """Run `make audit` and return how it ended, and what each check says."""
    options = " ".join(("--json", "--log service.log", *arguments))
    done = make(service, "audit", f"ARGS={options}", PORT=address.rpartition(":")[2], **environment)
    ending = re.search(r"Error (\d)", done.stderr)
    assert done.stdout, done.stderr
    return ending[1] if ending else "0", {one["name"]: one for one in json.loads(done.stdout)["checks"]}


def verdicts(checks: dict, verdict: str) -> set[str]:
    """Return the names of the checks that say so."""
    return {name for name, one in checks.items() if one["verdict"] == verdict}


def test_service_as_rendered_has_nothing_wrong(service: Path) -> None:
    """No FAIL; what cannot be told in development is UNKNOWN, among it advisories nobody can be asked for."""
    with served(service) as address:
        ending, checks = audit(service, address, "--advisories http://127.0.0.1:9")
        assert (ending, verdicts(checks, "FAIL")) == ("0", set())
        assert verdicts(checks, "UNKNOWN") == {
            "permissions.metrics",
            "permissions.documentation",
            "secrets.strength",
            "headers.transport_security",
            "dependencies.advisories",
        }
        assert audit(service, address, "--advisories http://127.0.0.1:9", "--strict")[0] == "2"
        with advisories() as mirror:
            assert audit(service, address, "--area dependencies", f"--advisories {mirror}")[0] == "0"
            _, checks = audit(service, address, "--area dependencies", f"--advisories {mirror}")
            assert checks["dependencies.advisories"]["verdict"] == "pass"


def test_every_seeded_weakness_is_found(service: Path) -> None:
    """Each by its own check, none by another; what is asked changes nothing, even where no guard holds."""
    for seed in WEAKNESSES.values():
        seed(service)
    commit_all(service, "weaken")
    assert stat.S_IMODE((service / ".env").stat().st_mode) == 0o644
    with served(service) as address, advisories("starlette") as mirror:
        ending, checks = audit(service, address, f"--advisories {mirror}")
    assert verdicts(checks, "FAIL") == set(WEAKNESSES)
    assert ending == "1"
    assert not (service / "var/done").exists()
    found = {name: one["found"] for name, one in checks.items()}
    assert "/v1/notes/forgotten" in found["permissions.access"]
    assert "/v1/notes/open" not in found["permissions.access"]
    assert found["permissions.inventory"] == "/v1/notes/debug"
    for guarded in ("GET /v1/notes/leaking", "POST /v1/notes ", "DELETE /v1/notes/{note_id}"):
        assert guarded in found["permissions.authentication"]
    assert "/v1/notes/closed" not in found["permissions.authentication"]
    assert "starlette" in found["dependencies.advisories"]
    assert found["logging.planted_secret"].endswith(": X-Api-Key, the body")
    assert TOKEN not in json.dumps(checks)
    assert "change-me" not in json.dumps(checks)


def test_production_is_judged_as_production(service: Path) -> None:
    """What development may leave open is a FAIL there; with it closed, nothing is."""
    add_notes(service, NOTES)
    production = {"ENVIRONMENT": "production", "OPERATIONS_TOKEN": TOKEN, "SECURITY_ALLOWED_HOSTS": "api.example.com"}
    weak = production | {"LOG_FORMAT": "text", "DOCS_ENABLED": "true"}
    with served(service, **weak) as address:
        _, checks = audit(service, address, **weak)
        assert verdicts(checks, "FAIL") == {"permissions.documentation", "logging.access_line"}
    good = production | {"DOCS_ENABLED": "false"}
    with served(service, **good) as address:
        _, checks = audit(service, address, **good)
        assert verdicts(checks, "FAIL") == set()
        for name in (
            "permissions.metrics",
            "permissions.documentation",
            "permissions.authentication",
            "secrets.strength",
        ):
            assert checks[name]["verdict"] == "pass", checks[name]


def test_service_that_runs_something_else_is_found(service: Path) -> None:
    """A process that was started before the code changed does not speak for the code."""
    with served(service) as address:
        edit(service, "src/app/api/v1/items/routes.py", "List items, newest first", "List them")
        _, checks = audit(service, address, "--area permissions")
        assert verdicts(checks, "FAIL") == {"permissions.same_program"}


def test_secret_of_the_service_in_a_tracked_file_is_found(service: Path) -> None:
    """By its value, whatever stands around it; the place is told, the value is not."""
    append(service, "README.md", "\nuse violet-hammer-91 to look\n")
    commit_all(service, "tell")
    environment = {"OPERATIONS_TOKEN": "violet-hammer-91"}
    with served(service, **environment) as address:
        _, checks = audit(service, address, "--area secrets", **environment)
    assert re.fullmatch(r"README\.md:\d+", checks["secrets.committed"]["found"])


def test_audit_without_the_service_cannot_tell(service: Path) -> None:
    """Nobody there, and somebody else there, is exit code 2 and one line; checks of files need nobody."""
    done = make(service, "audit", PORT="9")
    assert "not audited: GET /health: no answer" in done.stderr
    assert "Error 2" in done.stderr
    with advisories() as other:
        done = make(service, "audit", f"ARGS=--url {other}")
        assert "expected that service" in done.stderr
        assert "Error 2" in done.stderr
    done = make(service, "audit", "ARGS=--area container", PORT="9")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "0 FAIL, 0 UNKNOWN, 5 pass")
    done = make(service, "audit", "ARGS=--area kitchen")
    assert "expected one of: permissions, secrets" in done.stderr


def test_advisory_without_a_fix_may_be_left_out(service: Path) -> None:
    """As docs/chassis/security.md says; no service runs, since only files are read."""
    with advisories("starlette") as mirror:
        options = f"--area dependencies --advisories {mirror}"
        _, checks = audit(service, ":9", options)
        assert verdicts(checks, "FAIL") == {"dependencies.advisories"}
        left = '[tool.uv.audit]\nignore-until-fixed = ["GHSA-made-up"]\n\n[tool.uv]\n'
        edit(service, "pyproject.toml", "[tool.uv]\n", left)
        assert verdicts(audit(service, ":9", options)[1], "FAIL") == set()
