"""`fleet show` and `fleet update`: many services at once, each told for itself, and nothing of a team's is touched."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import copier
import pages
import pytest
import yaml
from conftest import ROOT, commit_all, copy_service, git, release
from fleet_list import read_list, services
from fleet_page import as_markdown
from fleet_programs import Programs, base_environment
from fleet_report import MEANS, as_json, shown_table, updated_table
from fleet_said import headline
from fleet_service import Workshop
from fleet_template import notes_of, order, releases_of
from fleet_work import unknown, untold
from serving import signal_thread
from test_drift import edit
from tools import require, user_environment
from updating import NEWEST, VERSIONS, released

FLEET = str(ROOT / "hooks/fleet.py")
NEEDED = (
    ".gitignore",
    ".gitattributes",
    "copier.yml",
    "template",
    ".env.example",
    "Makefile",
    "README",
    "pyproject",
    "{{_copier_conf",
)
BRANCH = "chassis-update-1.1.0"
# A gate that says that it runs, and ends when it is told to.
WAITS = "gate:\n\t@touch '{0}/runs'; until test -e '{0}/go'; do sleep 0.1; done\n"
Fleet = Callable[..., subprocess.CompletedProcess[str]]


pytestmark = pytest.mark.usefixtures("update_tools")


@pytest.fixture
def own_template(own_template: Path) -> Path:
    """Return a template of few files: what is known of updates comes from this repository, not from the services."""
    for path in (*own_template.iterdir(), *(own_template / "template").iterdir()):
        if not path.name.startswith(NEEDED):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    (own_template / "template/ops").mkdir()
    (own_template / "template/ops/health.py").write_text("WAIT = 3\n")
    (own_template / "template/ops/alerts.py").write_text("NONE = 0\n")
    release(own_template, "1.0.0")  # a repository with few objects, for Copier clones it seven times an update
    return own_template


@pytest.fixture
def grown(own_template: Path, tmp_path: Path) -> Callable[[int], list[Path]]:
    """Return a maker of committed services called one, two, … at release 1.0.0, of a template that has 1.1.0."""

    def _grown(count: int) -> list[Path]:
        first = copy_service(own_template, tmp_path / "fleet" / "s00")
        (first / "service.mk").write_text("gate:\n\t@echo passed\n")
        commit_all(first, "render")
        others = [first.with_name(f"s{number:02}") for number in range(1, count)]
        for other in others:
            shutil.copytree(first, other, symlinks=True)
        newer(own_template)
        return [first, *others]

    return _grown


@pytest.fixture
def fleet(tmp_path: Path) -> Fleet:
    """Return a runner of the program, in a folder of its own."""

    def _fleet(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, FLEET, *map(str, arguments)]
        env = user_environment(**environment)
        return subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, check=False)

    return _fleet


NOTES = """
[[release]]
version = "1.0.0"
sees = ["The first."]
manual = ["Not told: it was done long ago."]

[[release]]
version = "1.1.0"
sees = ["Health waits longer."]
manual = ["Wait | twice."]
"""
TOLD = """\
- 1.1.0: BY HAND: Wait | twice.
- drift: `Makefile` is edited
- settings added: `SERVER_PAUSE_SECONDS`
- settings removed: `SERVER_DRAIN_SECONDS`
- 1.1.0: Health waits longer.
"""


def newer(template: Path) -> None:
    """Release 1.1.0: a line more, a file less, a setting for another, a step to be done by hand."""
    (template / "docs").mkdir(exist_ok=True)
    (template / "docs/releases.toml").write_text(NOTES)
    edit(template / "template/.env.example.jinja", "SERVER_DRAIN_SECONDS", "SERVER_PAUSE_SECONDS")
    edit(template / "template/ops/health.py", "WAIT = 3", "WAIT = 4")
    (template / "template/ops/alerts.py").unlink()
    release(template, "1.1.0")


def change(service: Path, path: str, text: str) -> None:
    """Write a file of a service, and commit it."""
    (service / path).write_text(text)
    commit_all(service, f"change {path}")


def made_from(service: Path, source: str) -> None:
    """Say in the answers that its template is elsewhere."""
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    change(service, ".copier-answers.yml", yaml.safe_dump(answers | {"_src_path": source}))


def state(service: Path) -> tuple[str, ...]:
    """Return what is checked out, what differs from it, and which worktrees there are."""
    asked = (
        ["rev-parse", "HEAD"],
        ["branch", "--show-current"],
        ["status", "--short", "--ignored"],
        ["worktree", "list"],
    )
    return tuple(git(service, *arguments) for arguments in asked)


def rows(folder: Path) -> dict[str, dict]:
    """Return the rows of the report in JSON, by service."""
    found = json.loads((folder / "fleet-update/report.json").read_text())["services"]
    return {row["service"]: row for row in found}


@pytest.mark.parametrize("count", [6, pytest.param(50, marks=pytest.mark.soak)])
def test_soak_all_are_updated_but_those_that_need_somebody(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path, count: int
) -> None:
    """One conflicts, one fails its gate, the rest is done: one commit on a branch each, and every folder as it was."""
    found = grown(count)
    change(found[1], "ops/health.py", "WAIT = 9\n")
    change(found[2], "service.mk", "gate:\n\t@echo first; echo 'it | breaks'; exit 3\n")
    before = [state(one) for one in found]
    done = fleet("update", *found, "--gate", "help", "--gate", "gate")
    assert done.returncode == 1, done.stderr
    assert [state(one) for one in found] == before
    told = rows(tmp_path)
    begun = [line for line in done.stderr.splitlines() if line.endswith(": begun")]
    assert sorted(begun) == [f"{one.name}: begun" for one in found]
    assert done.stderr.startswith(begun[0])
    assert {name: row["state"] for name, row in told.items()} == {
        one.name: {1: "conflict", 2: "gate"}.get(number, "good") for number, one in enumerate(found)
    }
    for one in found:
        row = told[one.name]
        assert git(one, "rev-parse", BRANCH).strip() == row["commit"]
        assert git(one, "rev-list", "--count", f"HEAD..{BRANCH}") == "1\n"
        assert set(row["changed"]) == {".copier-answers.yml", ".env.example", "ops/alerts.py", "ops/health.py"}
        assert (row["from"], row["to"], row["branch"]) == ("1.0.0", "1.1.0", BRANCH)
    assert told["s01"]["conflicts"] == ["ops/health.py"]
    assert "<<<<<<< before updating" in git(found[1], "show", f"{BRANCH}:ops/health.py")
    assert told["s02"]["gate"]["target"] == "gate"
    assert told["s02"]["gate"]["tail"][:2] == ["first", "it | breaks"]
    log = told["s02"]["gate"]["log"]
    assert f"    make gate fails: it | breaks (all of it: {log})\n" in done.stdout
    assert (tmp_path / "fleet-update" / log).read_text().partition("\nfirst\n")[2].startswith("it | breaks\n")
    assert len(done.stderr.splitlines()) == 2 * count
    agree((tmp_path / "fleet-update/report.md").read_text(), told)


def agree(page: str, told: dict[str, dict]) -> None:
    """The report in Markdown has the rows of that in JSON, and a section for each."""
    cells = [re.split(r" \| ", line.strip("| ")) for line in page.splitlines() if re.match(r"\| s\d", line)]
    assert [cell[:5] + cell[8:] for cell in cells] == [
        [row["service"], row["from"], row["to"], row["branch"], row["commit"][:12], row["state"], str(row["seconds"])]
        for row in told.values()
    ]
    for name, row in told.items():
        section = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0]
        for path in row["conflicts"]:
            assert f"- conflict: `{path}`" in section
        for line in (row["gate"] or {"tail": []})["tail"]:
            assert f"        {line}" in section


def test_good_says_what_is_left_to_the_team(grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path) -> None:
    """Steps to be done by hand, edits of ours that `make drift` names, settings, what the releases passed say."""
    (service,) = grown(1)
    change(service, "Makefile", (service / "Makefile").read_text() + "# mine\n")
    done = fleet("update", service, "--gate", "gate")
    assert done.returncode == 0, done.stdout
    head, cells, last = (line.split() for line in done.stdout.splitlines())
    assert head == ["service", "from", "to", "files", "drift", "manual", "seconds", "result"]
    assert (cells[:6], cells[7]) == (["s00", "1.0.0", "1.1.0", "4", "1", "1"], "good")
    assert " ".join(last).endswith("report.json beside it; manual steps: 1")
    row = rows(tmp_path)["s00"]
    notes = {"version": "1.1.0", "sees": ["Health waits longer."], "manual": ["Wait | twice."]}
    assert (row["notes"], row["drift"]) == ([notes], [{"path": "Makefile", "what": "edited"}])
    assert (row["settings_added"], row["settings_removed"]) == (["SERVER_PAUSE_SECONDS"], ["SERVER_DRAIN_SECONDS"])
    assert TOLD in (tmp_path / "fleet-update/report.md").read_text()
    assert row["ejected"] == []
    told = as_markdown([row | {"ejected": ["ops/health.py"]}, row | {"notes": None}], ["gate"], "today")
    assert "- ejected, and other in this release: `ops/health.py`\n" in told
    assert told.count("- drift: `Makefile` is edited\n") == 2, "also where the template tells nothing"
    assert "- notes of the releases: not to be had from the template\n" in told
    assert notes_of("[[release]]\nversion = '2'\nsees = 'One.'") == ({"version": "2", "sees": ["One."], "manual": []},)
    journal = tmp_path / "fleet-update/journal.jsonl"
    journal.write_text(journal.read_text().replace('"form": 2', '"form": 1'))
    again = fleet("update", "--resume")
    assert (again.returncode, "found a run of another version of this program" in again.stderr) == (2, True)


@pytest.mark.parametrize(
    ("said", "line"),
    [
        (
            "F401 [*] `os` imported but unused\n --> a.py:1:8\n  |\n[*] 1 fixable with `--fix`.",
            "F401 [*] `os` imported but unused --> a.py:1:8",
        ),
        (
            "unformatted: File would be reformatted\n --> x.py:3:1\n1 file would be reformatted\nmake: *** Error 1",
            "unformatted: File would be reformatted --> x.py:3:1",
        ),
        ('looking\na.py:3: error: No "x"  [name]\nFound 1 error in 1 file', 'a.py:3: error: No "x"  [name]'),
        ("ValueError: logged\nFAILED tests/test_a.py::test_b - 1", "FAILED tests/test_a.py::test_b - 1"),
        ("E   assert 1 == 2\nFAILED tests/test_a.py::test_b - 1\n1 failed", "FAILED tests/test_a.py::test_b - 1"),
        ("Traceback (most recent call last):\n  File\nValueError: no\nended\nmake[1]: *** Error 1", "ValueError: no"),
        ("one\n\nlast\nmake: *** [Makefile:3: gate] Error 3", "last"),
        ("make: *** No rule to make target 'gate'.  Stop.", "make: *** No rule to make target 'gate'.  Stop."),
        ("", "it said nothing"),
    ],
    ids=["ruff", "format", "mypy", "logged", "pytest", "python", "else the last", "make alone", "nothing"],
)
def test_of_a_gate_the_line_that_says_why_is_told(said: str, line: str) -> None:
    """The first that looks like a fault, whichever program it is of, and not its last words or make's."""
    assert headline(said.splitlines()) == line


def begin(tmp_path: Path, *arguments: object) -> subprocess.Popen:
    """Start an update and return it once the gate that waits runs."""
    command = [sys.executable, FLEET, "update", *map(str, arguments), "--gate", "gate", "--jobs", "1"]
    program = subprocess.Popen(
        command, cwd=tmp_path, env=user_environment(), stdout=subprocess.PIPE, stderr=subprocess.STDOUT
    )
    while not (tmp_path / "runs").exists():
        assert program.poll() is None, program.stdout.read()
    return program


def end(program: subprocess.Popen, number: int) -> str:
    """End it by a signal, whichever thread the system gives it to; return what it said."""
    signal_thread(program, number)
    said = program.communicate()[0].decode()
    assert program.returncode == (-number if number == signal.SIGKILL else 2), said
    return said


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_interrupted_update_goes_on_with_what_is_not_done(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path, number: int
) -> None:
    """The one that was done keeps its row, the one whose gate ran keeps its commit, the last is begun."""
    found = grown(3)
    change(found[1], "service.mk", WAITS.format(tmp_path))
    before = [state(one) for one in found]
    said = end(begin(tmp_path, *found), number)
    if number == signal.SIGINT:
        assert [rows(tmp_path)[one.name]["state"] for one in found] == ["good", "left", "left"]
        page = (tmp_path / "fleet-update/report.md").read_text()
        assert ("Services: 1 good, 2 left." in page, "- not done" in page) == (True, False)
        assert re.findall(r"\| (\?) \| (\?) \| (\?) \| left \|", page) == [("?", "?", "?")] * 2  # 0 would be untrue
        assert [state(one) for one in found] == before
    made = [git(one, "branch", "--list", "--format=%(objectname)", BRANCH).strip() for one in found]
    assert [bool(commit) for commit in made] == [True, True, False]
    journal = (tmp_path / "fleet-update/journal.jsonl").read_text()
    (done,) = [json.loads(line) for line in journal.splitlines() if '"done"' in line]
    (tmp_path / "go").touch()
    refused = fleet("update", *found, "--gate", "gate")
    assert (refused.returncode, "expected --resume to go" in " ".join(refused.stderr.split())) == (2, True)
    shown = re.search(r"^not done: interrupted; (.*) goes on$", said, re.MULTILINE)
    assert bool(shown) == (number == signal.SIGINT)
    on = subprocess.run(["sh", "-c", shown[1]], cwd=tmp_path, env=user_environment()) if shown else None
    assert (on or fleet("update", "--resume")).returncode == 0
    told = rows(tmp_path)
    assert [told[one.name]["state"] for one in found] == ["good"] * 3
    assert told["s00"] == done["done"]
    assert [told[one.name]["commit"] for one in found[:2]] == made[:2]
    assert [state(one) for one in found] == before
    assert fleet("update", "--resume").returncode == 0
    assert rows(tmp_path) == told


def test_run_that_was_killed_can_be_begun_anew(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """What has its branch keeps it, and is told as such."""
    found = grown(2)
    change(found[0], "service.mk", WAITS.format(tmp_path))
    end(begin(tmp_path, *found), signal.SIGKILL)
    (tmp_path / "go").touch()
    assert fleet("update", *found, "--gate", "gate", "--again").returncode == 0
    assert [row["state"] for row in rows(tmp_path).values()] == ["there", "good"]
    assert [git(one, "worktree", "list").count("\n") for one in found] == [1, 1]


def test_what_cannot_be_updated_is_a_row_and_keeps_nobody_else(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """Each says what was found and what was expected, by both commands; exit code 2."""
    good, dirty, unborn, unanswered, broken, moved, relative = grown(7)
    (dirty / "new.txt").write_text("mine")
    shutil.rmtree(unborn / ".git")
    git(unborn, "init", "--quiet")
    git(unanswered, "rm", "--quiet", ".copier-answers.yml")
    commit_all(unanswered, "no answers")
    change(broken, ".copier-answers.yml", "- a list\n")
    for service, source in ((moved, f"{tmp_path}/gone"), (relative, "../own template")):
        made_from(service, source)
    git(tmp_path, "clone", "--quiet", "--bare", str(good), str(tmp_path / "bare"))
    (tmp_path / "file").touch()
    expected = {
        dirty: "not everything is committed (git status); commit or stash it",
        unborn: "git does not hold it; expected a service that is committed",
        unanswered: "there is no .copier-answers.yml in it; expected a service made from a template",
        broken: ".copier-answers.yml lacks _commit or _src_path; expected it as Copier wrote it",
        moved: "its template cannot be reached: fatal: repository '",
        relative: "_src_path '../own template' begins nowhere; expected an absolute path or a URL",
        tmp_path / "bare": "it is a bare repository; expected a clone with files: git clone",
        tmp_path / "none": "there is no such folder",
        tmp_path / "file": "it is no folder; expected a service",
    }
    done = fleet("show", good, *expected, "--json")
    assert (done.returncode, json.loads(done.stdout)["exit"]) == (2, 2), done.stderr
    shown = {row["path"]: row for row in json.loads(done.stdout)["services"]}
    assert (shown[str(good)]["behind"], shown[str(good)]["failed"]) == (1, "")
    assert fleet("update", good, *expected, "--gate", "gate").returncode == 2
    told = {row["path"]: row for row in rows(tmp_path).values()}
    assert told[str(good)]["state"] == "good"
    for path, words in expected.items():
        assert words in shown[str(path)]["failed"]
        assert (told[str(path)]["state"], told[str(path)]["failed"]) == ("failed", shown[str(path)]["failed"])
    assert (dirty / "new.txt").read_text() == "mine"
    (dirty / "new.txt").unlink()
    fleet("update", "--resume")
    again = {row["path"]: row for row in rows(tmp_path).values()}
    assert (again[str(dirty)]["state"], again[str(good)]) == ("good", told[str(good)])


def test_update_that_would_lose_work_is_not_made(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """The release drops a file that the team edited: no branch, exit code 1; --anyway makes it, and tells the loss."""
    (service,) = grown(1)
    change(service, "ops/alerts.py", "NONE = 0\nOWN = 1\n")
    loss = "ops/alerts.py would be deleted, with your edits"
    assert fleet("update", service, "--gate", "gate").returncode == 1
    assert (rows(tmp_path)["s00"]["state"], rows(tmp_path)["s00"]["losses"]) == ("lost", [loss])
    assert git(service, "branch", "--list", BRANCH) == ""
    assert fleet("update", service, "--gate", "gate", "--anyway").returncode == 0
    assert (rows(tmp_path)["s00"]["state"], rows(tmp_path)["s00"]["losses"]) == ("good", [loss])


def test_show_tells_what_each_has_and_would_get(
    grown: Callable[[int], list[Path]], own_template: Path, fleet: Fleet
) -> None:
    """Releases behind, drift, conflicts, losses, gates; being behind alone is no fault, and nothing is changed."""
    behind, drifted, failing, new = grown(4)
    change(drifted, "ops/health.py", "WAIT = 9\n")
    change(drifted, "ops/alerts.py", "NONE = 0\nOWN = 1\n")
    change(failing, "service.mk", "gate:\n\t@echo 'it breaks'; exit 3\n")
    shutil.rmtree(new)
    commit_all(copy_service(own_template, new), "render")
    before = [state(one) for one in (behind, drifted, failing, new)]
    done = fleet("show", behind, new)
    assert (done.returncode, done.stdout.splitlines()) == (
        0,
        [
            "service  has    newest  behind  drift  conflicts  lost  gates",
            "s00      1.0.0  1.1.0   1       0      0          0",
            "s03      1.1.0  1.1.0   0       0      0          0",
        ],
    ), done.stderr
    done = fleet("show", drifted, failing, "--names", "--gate", "gate", COLUMNS="80")
    assert (done.returncode, done.stdout.splitlines()) == (
        1,
        [
            "service  has    newest  behind  drift  conflicts  lost  gates",
            "s01      1.0.0  1.1.0   1       2      1          1     pass",
            "    edited: ops/alerts.py",
            "    edited: ops/health.py",
            "    conflict: ops/health.py",
            "    LOST: ops/alerts.py would be deleted, with your edits",
            "s02      1.0.0  1.1.0   1       0      0          0     1 failing",
            "    make gate fails: it breaks",
        ],
    ), done.stderr
    assert [state(one) for one in (behind, drifted, failing, new)] == before


def test_services_of_one_repository_have_a_branch_each(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """Parts of a larger repository, in a folder with a space: neither branch has the other's change."""
    whole = tmp_path / "big one"
    for number, service in enumerate(grown(2)):
        shutil.copytree(service, whole / "parts" / f"größe {number}", ignore=shutil.ignore_patterns(".git"))
    commit_all(whole, "parts")
    parts = sorted((whole / "parts").iterdir())
    done = fleet("update", *parts, "--gate", "gate", "--jobs", "4")
    assert done.returncode == 0, done.stdout
    for number, part in enumerate(parts):
        row = rows(tmp_path)[part.name]
        assert row["branch"] == f"{BRANCH}-parts-größe-{number}"
        changed = git(whole, "-c", "core.quotePath=false", "diff", "--name-only", "main", row["branch"]).splitlines()
        assert changed == [f"parts/{part.name}/{path}" for path in row["changed"]]
    assert fleet("update", *parts, "--gate", "gate").returncode == 0
    assert [row["state"] for row in rows(tmp_path).values()] == ["there", "there"]


def test_remote_template_is_fetched_once_and_no_cache_is_shared(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path, own_template: Path
) -> None:
    """Four at once from an address: Copier's own cache, where two updates fail at each other's locks, is not used."""
    found = grown(4)
    source = f"git+file://{own_template}".replace(" ", "%20")
    for service in found:
        made_from(service, source)
    trace, cache = tmp_path / "trace", tmp_path / "cache"
    given = {"COPIER_CACHE_DIR": str(cache), "GIT_TRACE2": str(trace)}
    done = fleet("update", *found, "--gate", "gate", "--jobs", "4", **given)
    assert done.returncode == 0, done.stdout
    assert not cache.exists()
    asked = re.findall(rf"start .*git clone .*--mirror .*{re.escape(source[4:])}", trace.read_text())
    assert len([line for line in asked if "git clone --quiet --mirror" in line]) == 1
    for service in found:
        assert f"_src_path: {source}" in git(service, "show", f"{BRANCH}:.copier-answers.yml")


def test_service_of_the_first_release_is_shown_and_updated(tmp_path: Path, fleet: Fleet) -> None:
    """It knows nothing of updates, drift or features: what is known of them comes with this program."""
    template, service = released(tmp_path / "plumbline"), tmp_path / "first"
    copier.run_copy(str(template), service, defaults=True, quiet=True, vcs_ref=f"v{VERSIONS[0]}")
    commit_all(service, "render")
    done = fleet("show", "first")
    behind = str(len(VERSIONS) - 1)
    assert (done.returncode, done.stdout.splitlines()[1].split()) == (
        0,
        ["first", VERSIONS[0], NEWEST, behind, "0", "0", "0"],
    )
    done = fleet("update", "first", "--gate", "help")
    assert done.returncode == 0, done.stdout
    assert f"_commit: v{NEWEST}" in git(service, "show", f"chassis-update-{NEWEST}:.copier-answers.yml")


def test_list_names_each_folder_once(tmp_path: Path) -> None:
    """Comments, empty lines, another system's line ends; a link to a folder is that folder, as is its name again."""
    (tmp_path / "orders").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "orders")
    text = "\ufeff# ours\r\n\r\norders\r\n  a space # the old one\r\n./orders\r\nlink\r\nc#sharp\r\n"
    paths = read_list(text, tmp_path)
    assert [path.name for path in paths] == ["orders", "a space", "orders", "link", "c#sharp"]
    found, again = services(paths)
    assert [one.path for one in found] == [tmp_path / name for name in ("orders", "a space", "c#sharp")]
    assert [path.name for path in again] == ["orders", "link"]
    same, _ = services([tmp_path / "a/api", tmp_path / "b/api"])
    assert [one.name for one in same] == [str(tmp_path / "a/api"), str(tmp_path / "b/api")]
    assert same[0].key != same[1].key


def test_list_with_mistakes_is_told_and_the_rest_is_done(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """A folder that is not there is a row, one that stands twice counts once; paths begin at the list's folder."""
    (service,) = grown(1)
    (tmp_path / "fleet/list").write_text(f"s00 # ours\nnot there\n{service}\n")
    done = fleet("show", "--list", "fleet/list")
    assert done.returncode == 2
    assert f"{service} was named before; it counts once\n" in done.stderr
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["service", "s00", "not", "not"]


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["show"],
        ["update"],
        ["show", "--list", "none"],
        ["show", "--list", "picture"],
        ["show", "x", "--jobs", "0"],
        ["show", "x", "--gate", "--eval=$(shell touch owned)"],
        ["update", "x", "--gate", "SHELL=/bin/false"],
        ["update", "x", "--resume", "--again"],
        ["update", "--resume"],
        ["update", "x", "--report", "picture"],
        ["update", "x", "--report", "work"],
        ["nonsense"],
    ],
    ids=" ".join,
)
def test_wrong_use_ends_with_2(fleet: Fleet, tmp_path: Path, arguments: list[str]) -> None:
    """Whatever is wrong with the command line, nothing is begun."""
    (tmp_path / "picture").write_bytes(b"\x89PNG\xff\n")
    (tmp_path / "work").mkdir()
    (tmp_path / "work/.gitignore").write_text("mine\n")
    (tmp_path / "work/file").touch()
    done = fleet(*arguments)
    assert (done.returncode, done.stdout if arguments else "") == (2, "")
    assert "Traceback" not in done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"picture", "work"}
    assert (tmp_path / "work/.gitignore").read_text() == "mine\n"


def test_wrong_use_is_told_in_one_line(fleet: Fleet, tmp_path: Path) -> None:
    """However long a path is it stands there whole, and nothing is drawn around it; a narrow help names each option."""
    work = tmp_path / ("a long name " * 9)
    work.mkdir()
    (work / "file").touch()
    told = fleet("update", "x", "--report", work).stderr.splitlines()
    assert told[-1].endswith(f"found files in {work} that are no report, expected a new folder")
    assert all(line.isascii() for line in told)
    helped = fleet("update", "--help", COLUMNS="40").stdout
    assert re.findall(r"^  (--[a-z-]+)", helped, re.MULTILINE) == [
        *("--list", "--gate", "--report", "--resume", "--again", "--anyway", "--jobs", "--timeout-seconds", "--help"),
    ]


def test_program_brings_what_it_needs(tmp_path: Path) -> None:
    """`uv run --script` installs what its head names, and gates do not see it."""
    command = [require("uv"), "run", "--quiet", "--script", FLEET, "show", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, env=user_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, "there is no .copier-answers.yml in it" in done.stdout) == (2, True), done.stderr


def test_second_run_in_a_folder_waits_for_the_first(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """Two runs would write one report: the second is refused, by a message."""
    (service,) = grown(1)
    change(service, "service.mk", WAITS.format(tmp_path))
    first = begin(tmp_path, service)
    done = fleet("update", service, "--gate", "gate")
    assert (done.returncode, "not done: another run writes into" in done.stderr) == (2, True)
    (tmp_path / "go").touch()
    first.communicate()
    assert first.returncode == 0


def test_tables_fit_a_terminal(tmp_path: Path) -> None:
    """80 columns hold each line, whatever a service is called and whatever went wrong; nothing breaks a line."""
    (one,), _ = services([tmp_path / ("größe und ende\n" * 9)])
    row = untold(one, "a reason " * 30) | {"from": "0.1.0.post5.dev0+0123456", "conflicts": ["a" * 200]}
    for table in (
        shown_table([row], 80, with_names=True),
        updated_table([unknown(one, "words " * 40) | {"state": "failed"}], 80),
    ):
        assert max(map(len, table.splitlines())) <= 80
        assert table.splitlines()[1].split()[-1] in ("?", "failed")
    assert json.loads(as_json([row]))["exit"] == 2


def test_releases_are_ordered_by_their_numbers() -> None:
    """Tags that are no release do not count, nor does what comes before one; what is no version comes first."""
    listed = "".join(
        f"{number:040}\trefs/tags/{tag}\n" for number, tag in enumerate(["v0.10.0", "0.9", "v1.0rc1", "x"])
    )
    assert releases_of(listed) == ("0.9", "0.10.0")
    assert order("0.9.0.post1.dev0+abc") == order("0.9") < order("0.10.0")
    assert order("nonsense") == (0, 0, 0)


def test_worktrees_of_a_team_stay(grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path) -> None:
    """One of the developer's own on a disk that is not there now is still known afterwards."""
    (service,) = grown(1)
    git(service, "worktree", "add", "--quiet", "--detach", str(tmp_path / "disk/mine"))
    os.rename(tmp_path / "disk", tmp_path / "unmounted")  # noqa: PTH104 - as a disk that is taken out
    assert fleet("update", service, "--gate", "gate").returncode == 0
    assert str(tmp_path / "disk/mine") in git(service, "worktree", "list")


def test_how_to_works_as_written(grown: Callable[[int], list[Path]], tmp_path: Path) -> None:
    """Each command of the page, over two services, one of them edited."""
    for name, service in zip(("orders", "payments"), grown(2), strict=True):
        service.rename(tmp_path / name)
    change(tmp_path / "payments", "ops/health.py", "WAIT = 9\n")
    folder, upstream = tmp_path / "plumbline", tmp_path / "upstream"
    upstream.mkdir()
    (upstream / "hooks").symlink_to(ROOT / "hooks")
    commit_all(upstream, "the programs")
    git(tmp_path, "clone", "--quiet", str(upstream), str(folder))
    git(upstream, "tag", "v1.1.0")
    commands = pages.commands((ROOT / "docs/how-to/fleet.md").read_text(encoding="utf-8"))
    assert len(commands) == 6
    for command in commands:
        problem = pages.run(command, folder, user_environment())
        assert problem is None, problem
    assert git(folder, "tag") == "v1.1.0\n"


def test_how_to_says_what_to_do_with_each_result() -> None:
    """Its table has every state that a report may have, and no other."""
    table = (ROOT / "docs/how-to/fleet.md").read_text(encoding="utf-8").partition("| result | then |")[2]
    cells = re.findall(r"^\| (`.*?) \|", table, re.MULTILINE)
    assert sorted(re.findall(r"`(\w+)`", " ".join(cells))) == sorted(MEANS)


def test_gate_that_takes_too_long_tells_what_it_said(tmp_path: Path) -> None:
    """It is ended with all it began; its last lines stand in the report, all of them in its log, the reason in both."""
    (tmp_path / "Makefile").write_text("gate:\n\t@echo as far as this; sleep 600 & echo $$! >child; wait\n")
    shop = Workshop(tmp_path, Programs(5), base_environment())
    gate = shop.gate("gate", tmp_path, tmp_path / "log")
    assert (gate["code"], gate["tail"][0]) == (None, "as far as this")
    assert (tmp_path / "log").read_text().startswith("as far as this\n")
    assert is_gone(int((tmp_path / "child").read_text()))
    (one,), _ = services([tmp_path])
    table = updated_table([unknown(one, "") | {"state": "gate", "gate": gate | {"log": "log"}}], 0)
    assert table.endswith("make gate fails: make took longer than 5 seconds (all of it: log)")


def is_gone(process: int) -> bool:
    """Whether a process runs no more, or waits only to be looked after."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


def test_gate_leaves_nothing_running(grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path) -> None:
    """What it began and did not end goes with the worktree it ran in."""
    (service,) = grown(1)
    change(service, "service.mk", f"gate:\n\t@sleep 600 & echo $$! >'{tmp_path}/child'\n")
    assert fleet("update", service, "--gate", "gate").returncode == 0
    assert is_gone(int((tmp_path / "child").read_text()))


def test_hooks_of_a_developer_are_not_run(grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path) -> None:
    """Those of checkouts and commits, which may fail elsewhere; nor does a variable that a hook has turn git aside."""
    (service,) = grown(1)
    for name in ("post-checkout", "prepare-commit-msg", "post-commit"):
        hook = service / ".git/hooks" / name
        hook.parent.mkdir(exist_ok=True)
        hook.write_text(f"#!/bin/sh\ntouch '{tmp_path}/ran-{name}'\nexit 1\n")
        hook.chmod(0o755)
    done = fleet("update", service, "--gate", "gate", GIT_OBJECT_DIRECTORY=str(tmp_path), GIT_SHALLOW_FILE="none")
    assert done.returncode == 0, done.stdout
    assert list(tmp_path.glob("ran-*")) == []


def test_show_writes_no_index(grown: Callable[[int], list[Path]], fleet: Fleet) -> None:
    """Not even the times of files that git would note there, and keep others from it meanwhile."""
    (service,) = grown(1)
    os.utime(service / "Makefile", (1, 1))
    before = (service / ".git/index").read_bytes()
    assert fleet("show", service).returncode == 0
    assert (service / ".git/index").read_bytes() == before


def test_branch_that_somebody_made_meanwhile_is_there(
    grown: Callable[[int], list[Path]], fleet: Fleet, tmp_path: Path
) -> None:
    """One of that name at another commit, since the run was interrupted: it is not said to be the update."""
    (service,) = grown(1)
    change(service, "service.mk", WAITS.format(tmp_path))
    end(begin(tmp_path, service), signal.SIGINT)
    git(service, "branch", "--force", BRANCH, "HEAD")
    (tmp_path / "go").touch()
    assert fleet("update", "--resume").returncode == 0
    row = rows(tmp_path)["s00"]
    assert (row["state"], row["commit"]) == ("there", git(service, "rev-parse", "HEAD").strip())


def test_long_name_is_no_hindrance(grown: Callable[[int], list[Path]], fleet: Fleet) -> None:
    """A folder may be called as long as the system lets it."""
    (service,) = grown(1)
    long = service.rename(service.with_name("s" * 255))
    assert fleet("update", long, "--gate", "gate").returncode == 0
