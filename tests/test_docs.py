"""What this repository's documentation says is true: references match copier.yml and make, lessons work."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

import ownership
import pages
import pytest
import soak
import yaml
from conftest import ROOT, Render, commit_all, git, share
from tools import require, user_environment

DOCS = ROOT / "docs"
QUESTIONS = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))


def page(name: str) -> str:
    """Return the text of a page."""
    return (DOCS / name).read_text(encoding="utf-8")


def targets(folder: Path) -> set[str]:
    """Return the targets `make help` shows in a folder."""
    shown = subprocess.run(["make", "help"], cwd=folder, capture_output=True, text=True, check=True).stdout
    return set(re.findall(r"^  make ([a-z-]+)", shown, re.MULTILINE))


def make(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run targets in a service and return what they print; show it if they fail."""
    done = subprocess.run(["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def service(render: Render, tmp_path: Path) -> tuple[Path, dict[str, str]]:
    """Return a committed service of the test's own, and the environment of its developer."""
    require("make"), require("uv"), require("git")
    folder = tmp_path / "orders"
    shutil.copytree(render(), folder, ignore=shutil.ignore_patterns(".git"))
    commit_all(folder, "render")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    return folder, user_environment(PORT=port, SERVER_DRAIN_SECONDS="0")


def ask(service: tuple[Path, dict[str, str]], commands: list[pages.Command]) -> None:
    """Serve, run the commands of a lesson, stop."""
    folder, environment = service
    make(folder, environment, "migrate")
    command = [".venv/bin/python", "-m", "app", "serve"]
    with (folder.parent / "service.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            wait = ["python3", "ops/health.py", "--wait", "120"]
            subprocess.run(wait, cwd=folder, env=environment, check=True, capture_output=True)
            for command in commands:
                command.text = command.text.replace("127.0.0.1:8000", f"127.0.0.1:{environment['PORT']}")
                problem = pages.run(command, folder, environment)
                assert problem is None, problem
        finally:
            process.send_signal(signal.SIGINT)
            assert process.wait(30) == 0


def test_questions_page_names_every_question_with_its_default() -> None:
    """The reference names what copier.yml asks, in order; fixed defaults stand there as they are."""
    asked = {
        name: details["default"]
        for name, details in QUESTIONS.items()
        if not name.startswith("_") and details.get("when") is not False and details.get("ask") is not False
    }
    told = dict(re.findall(r"^\| `(\w+)` \| (.+?) \|", page("reference/questions.md"), re.MULTILINE))
    assert list(told) == list(asked)
    for name, default in asked.items():
        default = ", ".join(default) if isinstance(default, list) else default
        assert "{" in default or told[name] == f"`{default}`", name


def test_ownership_page_lists_the_patterns_of_copier_yml() -> None:
    """The reference and the one list agree, pattern by pattern."""
    table = page("reference/ownership.md")
    rows = re.findall(r"^\| (ours|shared|theirs) \| (`.*`) \|$", table, re.MULTILINE)
    told = {owner: re.findall(r"`([^`]+)`", patterns) for owner, patterns in rows}
    assert told == QUESTIONS["ownership"]["default"]


def as_pattern(path: str) -> str:
    """Write a path of a page as the list does: a folder is all that is below it."""
    return f"/{path}**" if path.endswith("/") else f"/{path}"


def test_updating_page_names_every_path_of_ours_and_shared() -> None:
    """The page a service has names what is not the team's, and sends each change to a file that is."""
    updating = (ROOT / "template/docs/chassis/updating.md").read_text(encoding="utf-8")
    table = updating.partition("| path | to change |")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`[^|]*`) \| [^|]+ \| ([^|]+) \|$", table, re.MULTILINE)
    named = [as_pattern(path) for paths, _ in rows for path in re.findall(r"`([^`]+)`", paths)]
    lists = QUESTIONS["ownership"]["default"]
    assert sorted(named) == sorted(lists["ours"] + lists["shared"])
    hooks = [path for _, where in rows for path in re.findall(r"`([\w./*-]*[./][\w./*-]*)`", where)]
    assert {"service.mk", "ruff.toml", "compose.override.yaml", ".gitlab/*.yml"} <= set(hooks)
    for hook in hooks:
        below = f"{hook}x" if hook.endswith("/") else hook.replace("*", "x")
        assert ownership.owner_of(below, ownership.load_owners()) == "theirs", hook


def test_readme_gives_paths_to_their_owners() -> None:
    """README's table names every path that is ours or shared, and only theirs as the reader's."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(reversed(row) for row in re.findall(r"^\| (`.*) \| (yours|shared|ours) \|", readme, re.MULTILINE))
    told = {owner: re.findall(r"`([^`]+)`", paths) for owner, paths in rows.items()}
    for owner in ("ours", "shared"):
        assert sorted(map(as_pattern, told[owner])) == sorted(QUESTIONS["ownership"]["default"][owner])
    for path in told["yours"]:
        below = f"{path}x" if path.endswith("/") else path
        assert ownership.owner_of(below, ownership.load_owners()) == "theirs", path


@pytest.mark.parametrize("name", ["docs/how-to/update.md", "template/docs/chassis/updating.md"])
def test_pages_settle_a_conflict_block_by_block(name: str) -> None:
    """Both pages say what tests/test_zones.py does: the release's part of each block, never a whole side."""
    page_text = " ".join((ROOT / name).read_text(encoding="utf-8").split())
    assert "keep the lines between `=======` and `>>>>>>>`, the release's; delete the rest of the block" in page_text
    assert re.search(r"[Nn]ever (settle a file by )?`git checkout --ours` or `--theirs`", page_text)


def test_pages_of_a_service_find_uv_where_make_puts_it() -> None:
    """Where uv is not installed it lies in .tools/bin: no page calls it without looking there."""
    pages = [path.read_text(encoding="utf-8") for path in (ROOT / "template").rglob("*.md*")]
    pages += [page("how-to/update.md")]
    calls = [call for text in pages for call in re.findall(r"(\S* ?)\buvx? (?:add|lock|sync|run|copier)\b", text)]
    assert len(calls) >= 3
    assert {call.lstrip("`") for call in calls} == {'PATH="$PATH:.tools/bin" '}


def test_code_on_the_database_page_stands_by_itself(render: Render, tmp_path: Path) -> None:
    """Each block can be pasted into a module: it names nothing that it does not import or define."""
    text = (render() / "docs/chassis/database.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len(blocks) == 2
    for block in blocks:
        (tmp_path / "block.py").write_text(block, encoding="utf-8")
        command = [sys.executable, "-m", "ruff", "check", "--isolated", "--select=F,PLE", "block.py"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_targets_page_lists_what_make_help_shows(render: Render) -> None:
    """The reference names every target of the template and of a service, and no other."""
    template, service = page("reference/make-targets.md").split("## In a service")
    assert set(re.findall(r"^\| `make ([a-z-]+)", template, re.MULTILINE)) == targets(ROOT)
    assert set(re.findall(r"^\| `make ([a-z-]+)", service, re.MULTILINE)) == targets(render())


def test_soak_notes_committed_trees_only(tmp_path: Path) -> None:
    """A row names a commit that can be soaked again; the page is as `make soak` begins it."""
    assert page("reference/soak.md").startswith(soak.HEAD)
    assert "-dirty" not in page("reference/soak.md")
    new = tmp_path / "soak.md"
    assert soak.note(new, "1.0.0-dirty", "10 passed | 1") == "not noted: uncommitted changes"
    assert not new.exists()
    soak.note(new, "1.0.0", "10 passed | 1")
    assert new.read_text().startswith(f"{soak.HEAD}| 2")
    assert new.read_text().endswith(" | 1.0.0 | 10 passed | 1 |\n")


def test_soak_shows_each_line_when_it_comes() -> None:
    """It takes an hour: who waits sees what is done, and what failed, before the end."""
    shell = "echo begun; read go; echo $go >&2; exit 3"
    waits = f"import soak; code, told = soak.run(['sh', '-c', {shell!r}]); print(code, told.split())"
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    command = [sys.executable, "-c", waits]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
    ) as process:
        assert process.stdout.readline() == "begun\n"  # while it waits for us
        rest, _ = process.communicate("went\n", timeout=60)
    assert rest == "went\n3 ['begun', 'went']\n"


def test_bench_page_names_every_section() -> None:
    """A section that the page does not explain is a figure that nobody can read."""
    command = [sys.executable, "tests/bench/run.py", "--only", "nothing"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    sections = done.stderr.rstrip().rpartition("expected one of: ")[2].split(", ")
    text = page("reference/bench.md")
    assert done.returncode == 2
    assert sections == re.findall(r"`(\w+)`", text.partition("one section: ")[2].partition("|")[0])
    assert [name for name in sections if f"- **{name}**: " not in text] == []


def test_every_decision_is_in_the_index() -> None:
    """A record nobody finds was not written."""
    records = {path.name for path in (DOCS / "decisions").glob("0*.md")}
    assert set(re.findall(r"\((0[^)]+\.md)\)", page("decisions/README.md"))) == records


def test_tutorial_works_as_written(service: tuple[Path, dict[str, str]]) -> None:
    """Every command prints what stands below it, every change applies and is checked, and all of it gets committed."""
    folder, environment = service
    lessons = pages.lessons(page("tutorial/first-service.md"))
    asked = {name.partition(".")[0]: commands for name, commands in lessons.items()}
    locked, priced = re.findall(r"^(git add --all)\ngit commit ", page("tutorial/first-service.md"), re.MULTILINE)[1:]
    ask(service, asked["2"])
    assert git(folder, "status", "--porcelain") == "?? uv.lock\n"
    commit_all(folder, locked)
    for diff in re.findall(r"```diff\n(.*?)```", page("tutorial/first-service.md"), re.DOTALL):
        subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=diff, text=True, check=True)
    make(folder, environment, "migration", "NAME=add price to items")
    assert (folder / "migrations/versions/0003_add_price_to_items.py").is_file()
    assert "wrote contract/v1/create_item/ok.json" in make(folder, environment, "contract")
    make(folder, environment, "check")
    make(folder, environment, "test", "ARGS=tests/items tests/chassis/test_contract.py -q")
    ask(service, asked["4"])
    commit_all(folder, priced)
    assert git(folder, "status", "--porcelain") == ""


def test_one_change_works_as_written(installed: Path, tmp_path: Path) -> None:
    """From a plan that is bad to the note of what was shipped, with every command of the page."""
    folder = share(installed, tmp_path / "orders")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        environment = user_environment(PORT=str(free.getsockname()[1]), SERVER_DRAIN_SECONDS="0.2")
    commit_all(folder, "render")
    text = page("tutorial/one-change.md")
    (said,) = re.findall(r"```markdown\n(.*?)```", text, re.DOTALL)
    try:
        for lesson in text.split("\n## ")[1:]:
            for diff in re.findall(r"```diff\n(.*?)```", lesson, re.DOTALL):
                subprocess.run(["git", "apply", "--unidiff-zero", "-"], cwd=folder, input=diff, text=True, check=True)
            for command in pages.commands(f"## {lesson}"):
                problem = pages.run(command, folder, environment)
                assert problem is None, problem
            if lesson.startswith("2."):
                (note,) = (folder / "changes").glob("*.md")
                note.write_text(note.read_text().partition("\n\n")[0] + f"\n\n{said}")
            if "git commit" in lesson:
                commit_all(folder, "change")
    finally:
        if (folder / "var/service.pid").exists():
            subprocess.run(["kill", (folder / "var/service.pid").read_text().strip()], check=False)
    assert "- Find items by contact: the page of a contact" in (folder / "CHANGELOG.md").read_text()


def test_new_domain_works_as_written(service: tuple[Path, dict[str, str]]) -> None:
    """The files of the how-to make a domain that is found, migrated, checked and served."""
    folder, environment = service
    whole_file = re.compile(r"^`([\w/.]+)`[^\n]*\n\n```python\n(.*?)```", re.DOTALL | re.MULTILINE)
    blocks = whole_file.findall(page("how-to/add-a-domain.md"))
    assert len(blocks) == 9
    for path, code in blocks:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(code, encoding="utf-8")
    make(folder, environment, "migration", "NAME=create notes")
    recorded = make(folder, environment, "contract")
    for case in ("create_note/ok", "create_note/validation_failed", "read_note/ok", "read_note/note_not_found"):
        assert f"wrote contract/v1/{case}.json\n" in recorded
    assert "missing" not in recorded
    make(folder, environment, "check")
    conformance = " ".join(f"tests/chassis/test_{name}.py" for name in ("routes", "contract", "conformance"))
    make(folder, environment, "test", f"ARGS=-q -k 'not postgresql' {conformance}")
    lesson = """## Ask
```console
$ curl -s -H 'X-Request-ID: note-1' http://127.0.0.1:8000/v1/notes --json '{"text":"Buy string"}'
{"data":{"id":1,"text":"Buy string","created_at":"..."},"meta":{"request_id":"note-1","api_version":"v1"}}
$ curl -s http://127.0.0.1:8000/v1/notes/2
{"error":{"type":"/errors/note_not_found",...}
```
"""
    ask(service, pages.commands(lesson))
