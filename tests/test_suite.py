"""A rendered service passes its own checks and tests, keeps the sizes of the house, and notices when it is broken."""

import ast
import io
import json
import os
import subprocess
import tokenize
from pathlib import Path

import pytest
from conftest import ROOT, make, share
from tools import user_environment

CHASSIS = "src/app/chassis/"
CONFORMANCE = "tests/chassis/"


@pytest.fixture
def service(installed: Path, tmp_path: Path) -> Path:
    """Return a service of the test's own that shares the installed libraries."""
    return share(installed, tmp_path / "my service")


def test_rendered_service_passes_its_checks_and_tests(service: Path) -> None:
    """`make check` and `make test` are green as rendered."""
    for target in ("check", "test"):
        done = make(service, target)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.parametrize(
    ("contact", "told"),
    [
        ("orders@example.com", {"name": "Platform team", "email": "orders@example.com"}),
        ("https://example.com/orders", {"name": "Platform team", "url": "https://example.com/orders"}),
        ("#orders", {"name": "Platform team, #orders"}),
    ],
)
def test_contact_stands_in_the_contract_and_nothing_else_is_said(
    service: Path, contact: str, told: dict[str, str]
) -> None:
    """Whatever kind of contact was answered: FastAPI wants a library for addresses and complains without."""
    identity = json.loads((service / CHASSIS / "service.json").read_text(encoding="utf-8"))
    identity |= {"owner": "Platform team", "owner_contact": contact}
    (service / CHASSIS / "service.json").write_text(json.dumps(identity), encoding="utf-8")
    command = [".venv/bin/python", "-m", "app", "openapi"]
    done = subprocess.run(command, cwd=service, env=user_environment(PYTHONPATH="src"), capture_output=True, text=True)
    assert done.stderr == ""
    assert json.loads(done.stdout)["info"]["contact"] == told


# What breaks -> (file, as it is, broken, the tests that must notice).
MUTATIONS = {
    "validation handler": (
        "http/handlers.py",
        "    app.add_exception_handler(RequestValidationError, _validation_error)\n",
        "",
        "test_bodies.py",
    ),
    "security header": (
        "security/headers.py",
        '        (b"x-content-type-options", b"nosniff"),\n',
        "",
        "test_edge.py",
    ),
    "body limit": ("edge.py", "incoming.body_bytes > limit", "incoming.body_bytes > limit * 10**6", "test_bodies.py"),
    "chunked limit": (
        "http/incoming.py",
        "self._size > self._limit",
        "self._size > self._limit * 10**6",
        "test_bodies.py",
    ),
    "redaction by shape": ("observability/redact.py", r"\b(Bearer|Basic|Token)\s+", r"\b(Nothing)\s+", "test_logs.py"),
    "redaction by name": ("observability/redact.py", 'r"passw|', 'r"', "test_logs.py"),
    "commit": ("http/routing.py", "await finish_works(exchange, is_good=True)", "pass", "../items/test_items.py"),
    "rollback": (
        "database/work.py",
        "            if is_good:\n",
        "            if is_good or session:\n",
        "test_failures.py",
    ),
    "write lock": ("database/sqlite.py", 'begin="BEGIN IMMEDIATE"', 'begin="BEGIN"', "../items/test_service.py"),
    "row lock": ("../domains/items/queries.py", "with_for_update=True", "", "../items/test_service.py"),
    "cursor of another list": ("http/cursor.py", " or told != _sum(list_, content)", "", "test_lists.py"),
    "row after the cursor": (
        "database/keyset.py",
        "return left < right if",
        "return left <= right if",
        "test_lists.py",
    ),
    "chunk and place together": (
        "data/imports/run.py",
        "                await self._note(work, after)\n",
        "                pass\n",
        "test_imports.py",
    ),
    "dry run": ("data/imports/run.py", "finish(is_good=not self.is_dry)", "finish(is_good=True)", "test_imports.py"),
    "rows that are equal": ("database/upsert.py", "set_=changes, where=differs", "set_=changes", "test_imports.py"),
    "snapshot": ("database/postgresql.py", '"REPEATABLE READ"', '"READ COMMITTED"', "test_database.py"),
    "values of a row": (
        "database/postgresql.py",
        '    event.listen(writer.sync_engine, "handle_error", _hide_values)\n',
        "",
        "test_database.py",
    ),
    "constraint by its name": (
        "database/violations.py",
        "if found is None or found.constraint != constraint:",
        "if found is None:",
        "test_database.py",
    ),
    "commit that nobody knows of": (
        "database/work.py",
        "if not error.connection_invalidated or isinstance(error, InterfaceError):",
        "if True:",
        "test_postgresql.py",
    ),
    "another request with a key": (
        "http/idempotency.py",
        "elif kept.fingerprint == fingerprint:",
        "elif kept is not None:",
        "test_idempotency.py",
    ),
    "answer kept with the work": (
        "http/routing.py",
        "        await exchange.claim.keep(enveloped)\n",
        "        pass\n",
        "test_idempotency.py",
    ),
    "migrations by turns": ("database/migrations.py", "while not await", "if not await", "test_postgresql.py"),
    "HEAD": ("edge.py", 'if exchange.method == "HEAD":', "if False:", "test_edge.py"),
    "complete Allow": ("http/allow.py", "methods |= context.methods", "methods = context.methods", "test_routes.py"),
    "last resort": ("edge.py", 'await reply.send_error("internal")', "raise error", "test_failures.py"),
    "strict JSON": ("http/routing.py", "allow_inf_nan=False", "allow_inf_nan=True", "test_bodies.py"),
    "JSON types": ("http/schema.py", "    if kind in _ACCEPTS:", "    if kind in ():", "test_bodies.py"),
    "host check": ("edge.py", "if not self._is_allowed(incoming.host):", "if False:", "test_edge.py"),
    "retry rule": ("http/codes.py", "method in _IDEMPOTENT or has_idempotency_key", "True", "test_failures.py"),
    "parser garbage": (
        "http/protocol.py",
        'self._refuse_the_rest(self._refusal or "http_malformed")',
        'super().send_400_response("")',
        "test_edge.py",
    ),
    "drain": ("server.py", "health.is_draining = True\n            _log", "_log", "test_drain.py"),
    "request timeout": ("deadline.py", "deadline.task.cancel()", "pass", "test_edge.py"),
    "durable before the answer": (
        "http/routing.py",
        "await finish_works(exchange, is_good=True)",
        (
            "from asyncio import ensure_future, get_running_loop\n        "
            "get_running_loop().call_later(0.05, ensure_future, finish_works(exchange, is_good=True))"
        ),
        "test_durability.py",
    ),
    "recorded answers": (
        "contract/golden.py",
        "for line in differences(old, new, case.varies):",
        "for line in ():",
        "test_contract.py",
    ),
    "findings": (
        "contract/explore.py",
        "if not _is_own_rule(failure, answer, operation):",
        "if False:",
        "test_conformance.py",
    ),
    "successes that were not seen": (
        "contract/findings.py",
        'if status.startswith("2") and (one.id, int(status)) not in self.reached:',
        "if False:",
        "test_conformance.py",
    ),
    "declared codes": ("http/failures.py", "codes = {*_ANY, *own, ", "codes = {*_ANY, ", "../items/test_items.py"),
    "mock": ("contract/mock.py", "if _fits(case, wanted):", "if True:", "test_contract.py"),
    "cursor of what SQLite holds": (
        "database/keyset.py",
        'dialect.name == "sqlite"',
        "dialect.name == None",
        "test_lists.py",
    ),
    "path of a key": (
        "http/idempotency.py",
        'scope["method"], scope["path"], ',
        'scope["method"], ',
        "test_idempotency.py",
    ),
    "fit of decimals": ("database/violations.py", "state == _OVERFLOW or", "False or", "test_database.py"),
    "indexes over expressions": (
        "database/autogenerate.py",
        "_add_indexes(context, script)\n",
        "pass\n",
        "test_migrations.py",
    ),
    "references after a revision": (
        "database/applying.py",
        "after.total() > before.total()",
        "False",
        "test_applying.py",
    ),
    "tables by schema": ("data/locks/text.py", "(name.schema,))", '("", "public"))', "test_locks.py"),
    "windows all or none": (
        "rate_limit/take.lua",
        "    answer[1] = 0\n",
        "    answer[1] = argument == 2 and 0 or answer[1]\n",
        "rate_limit/test_counting.py",
    ),
    "limit in the process": (
        "rate_limit/memory.py",
        "                is_allowed = False\n",
        "                pass\n",
        "rate_limit/test_limits.py",
    ),
    "closed without the store": (
        "rate_limit/limiter.py",
        'is_open = plan.rule.when_store_is_down == "open"',
        "is_open = True",
        "rate_limit/test_shared.py",
    ),
    "proxies that are trusted": ("security/proxies.py", "[-proxies:]", "[-16:]", "test_proxies.py"),
    "answer of an audit without data": (
        "audit/dependencies.py",
        "done[0] not in (0, 1) or not number or",
        "False and",
        "test_audit.py",
    ),
    "harmless requests of an audit": (
        "audit/operations.py",
        "and not has_body and place is None:",
        "and False:",
        "test_audit.py",
    ),
    "headers of refusals": (
        "http/protocol.py",
        "for pair in security_headers(self.limits)",
        "for pair in ()",
        "test_edge.py",
    ),
    "production secrets": ("settings.py", "in weak_secrets(self)]", "in ()]", "test_settings.py"),
}
ALWAYS = ("validation handler", "security header", "body limit", "redaction by shape", "commit", "write lock")
ALWAYS += ("complete Allow", "last resort", "strict JSON", "host check", "drain")


def notices(service: Path, mutation: tuple[str, str, str, str]) -> None:
    """Break one chassis file and expect the rendered suite to be red."""
    name, intact, broken, tests = mutation
    path = service / CHASSIS / name
    source = path.read_text(encoding="utf-8")
    path.write_text(source.replace(intact, broken), encoding="utf-8")
    environment = user_environment(PYTHONPATH="src", THOROUGH="1")
    command = [
        ".venv/bin/python",
        "-m",
        "pytest",
        "-q",
        "-x",
        "-p",
        "no:cacheprovider",
        os.path.normpath(CONFORMANCE + tests),
    ]
    done = subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 1, f"nothing noticed:\n{done.stdout[-3000:]}{done.stderr[-1000:]}"


@pytest.mark.parametrize("name", MUTATIONS)
def test_mutation_finds_what_it_breaks(name: str) -> None:
    """The place a mutation breaks stands once in the chassis as it is."""
    file, intact, _, _ = MUTATIONS[name]
    assert (ROOT / "template" / CHASSIS / file).read_text(encoding="utf-8").count(intact) == 1


@pytest.mark.parametrize("name", ALWAYS)
def test_broken_chassis_turns_the_suite_red(service: Path, name: str) -> None:
    """A dropped handler, header, limit, redaction, commit, lock … is noticed by the service's own tests."""
    notices(service, MUTATIONS[name])


@pytest.mark.soak
@pytest.mark.parametrize("name", sorted(set(MUTATIONS) - set(ALWAYS)))
def test_soak_broken_chassis_turns_the_suite_red(service: Path, name: str) -> None:
    """The rest of the mutations."""
    notices(service, MUTATIONS[name])


@pytest.mark.soak
def test_soak_random_requests_and_kills(service: Path) -> None:
    """What the service's own suite tries a little of, tried a lot."""
    tests = [f"tests/chassis/test_{name}.py" for name in ("random", "durability", "conformance")]
    many = {"RANDOM_CASES": "20000", "KILL_ROUNDS": "50", "CONFORMANCE_EXAMPLES": "200"}
    environment = user_environment(PYTHONPATH="src", **many)
    command = [".venv/bin/python", "-m", "pytest", "-q", *tests]
    done = subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.soak
def test_soak_thousand_kills_do_it_once(service: Path) -> None:
    """Requests with a key through 500 kill -9 on each engine, three under way at each: no duplicate, none lost."""
    tests = "tests/chassis/test_idempotency.py"
    environment = user_environment(PYTHONPATH="src", THOROUGH="1", KILL_ROUNDS="500")
    runs = [
        subprocess.Popen(
            [".venv/bin/python", "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, "-k", f"killed and {engine}"],
            cwd=service,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for engine in ("postgresql", "not postgresql")
    ]
    said = [run.communicate()[0] for run in runs]
    assert [run.returncode for run in runs] == [0, 0], "\n".join(one[-3000:] for one in said)


@pytest.mark.soak
def test_soak_import_of_a_million_rows(service: Path) -> None:
    """On both engines, killed five times: each row once, memory flat."""
    environment = user_environment(PYTHONPATH="src", THOROUGH="1", IMPORT_ROWS="1000000", IMPORT_KILLS="5")
    command = [".venv/bin/python", "-m", "pytest", "-q", "tests/chassis/test_imports.py", "-k", "killed"]
    done = subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


@pytest.mark.soak
def test_soak_rotation_refuses_no_good_token(service: Path) -> None:
    """Ten thousand requests by tokens of keys that come and go."""
    environment = user_environment(PYTHONPATH="src", ROTATION_TOKENS="10000")
    command = [".venv/bin/python", "-m", "pytest", "-q", "tests/chassis/auth/test_keys.py", "-k", "no_good_token"]
    done = subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


# Limits of design §3 as decisions 9 to 18 count them: lines of code, without blanks, comments and docstrings.
CORE_LINES, CONTRACT_LINES, TOOLS_LINES, FILE_LINES, FUNCTION_LINES, SAMPLE_LINES = 4_400, 600, 1_530, 200, 40, 350
DATA_LINES = 2_510  # tools that look at the data, no part of a running service: decisions 14, 15 and 20
AUDIT_LINES = 900  # the checklist of `make audit`, no part of a running service: decision 17
DATA_COMMANDS = {"cli/imports.py", "cli/migrations.py", "cli/plans.py"}
FEATURES = {"auth": 1_000, "rate_limit": 450}  # decision 18 says why auth is two rooms large
CONTRACT = {
    f"http/{name}.py" for name in ("catalogue", "deprecation", "docs", "failures", "names", "openapi", "recordings")
} | {"cli/versions.py"}


def code_lines(path: Path) -> int:
    """Count the lines that hold code."""
    source = path.read_text(encoding="utf-8")
    words = {
        line
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        for line in range(node.lineno, (node.end_lineno or node.lineno) + 1)
    }
    quiet = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}
    tokens = [token for token in tokenize.generate_tokens(io.StringIO(source).readline) if token.type not in quiet]
    return len({line for token in tokens for line in range(token.start[0], token.end[0] + 1)} - words)


def python_files(*folders: str) -> list[Path]:
    """Return the template's Python files below the folders, test support left out."""
    found = (path for folder in folders for path in (ROOT / "template" / folder).rglob("*.py"))
    return sorted(path for path in found if not {"testing", "testing.py"} & set(path.parts))


def test_chassis_keeps_its_size() -> None:
    """The core is small enough to be read in an afternoon; no file and no function is a hiding place."""
    files = {path.relative_to(ROOT / "template" / CHASSIS).as_posix(): path for path in python_files(CHASSIS)}
    contract = [files.pop(name) for name in CONTRACT]
    tools = [files.pop(name) for name in list(files) if name.startswith("contract/") or name == "cli/contract.py"]
    data = [files.pop(name) for name in list(files) if name.startswith("data/") or name in DATA_COMMANDS]
    for feature, most in FEATURES.items():
        room = [files.pop(name) for name in list(files) if name.startswith(f"{feature}/")]
        assert sum(map(code_lines, room)) <= most, feature
    audit = [files.pop(name) for name in list(files) if name.startswith("audit/") or name == "cli/audit.py"]
    assert sum(map(code_lines, audit)) <= AUDIT_LINES
    assert sum(map(code_lines, data)) <= DATA_LINES
    assert sum(map(code_lines, tools)) <= TOOLS_LINES
    assert sum(map(code_lines, contract)) <= CONTRACT_LINES
    assert sum(map(code_lines, files.values())) <= CORE_LINES
    for path in python_files("src/app"):
        assert len(path.read_text(encoding="utf-8").splitlines()) <= FILE_LINES, path
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert (node.end_lineno or 0) - node.lineno < FUNCTION_LINES, f"{path}: {node.name}"


def test_sample_keeps_its_size() -> None:
    """Domain and routes of the sample fit on a few screens."""
    assert sum(map(code_lines, python_files("src/app/api", "src/app/domains"))) <= SAMPLE_LINES
