"""docs/chassis/contract.md as a team would live it: record, release, break, waive. The tables are the promise."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Render, share
from tools import require, user_environment

ROUTES = "src/app/api/v1/items/routes.py"
SCHEMAS = "src/app/api/v1/items/schemas.py"
ERRORS = "src/app/domains/items/errors.py"

# What the released service has beyond the sample, so that everything can be narrowed.
RELEASED = (ROUTES, "paging: CursorPaging)", 'paging: CursorPaging, kind: Literal["tool", "part"] = "tool")')

NEW_ROUTE = '@router.get("/{item_id}/name")\nasync def read_name(item_id: ItemId) -> str:\n    return "name"\n\n\n'

# What changes -> (file, as released, as changed), and what `make contract-check` must say.
BREAKS = {
    "removed path": ((ROUTES, 'prefix="/items"', 'prefix="/things"'), "v1.list_items.removed", "GET /items is gone"),
    "removed method": (
        (ROUTES, "@router.delete(", "@Router().delete("),
        "v1.delete_item.removed",
        "DELETE /items/{item_id} is gone",
    ),
    "removed response field": (
        (SCHEMAS, "    note: str | None\n", ""),
        "v1.read_item.answer/data/note",
        "GET /items/{item_id} may answer 200 without /data/note, which was always there (since v1.0.0)",
    ),
    "new required field": (
        (SCHEMAS, "    name: Name\n", "    name: Name\n    colour: Annotated[str, Field(exclude=True)]\n"),
        "v1.create_item.required/colour",
        "POST /items takes less: body /colour: required is True, was False (since v1.0.0)",
    ),
    "narrowed enum": (
        (ROUTES, '"tool", "part"]', '"tool"]'),
        "v1.list_items.enum?kind",
        "GET /items takes less: query kind: enum is ['tool'], was ['tool', 'part']",
    ),
    "narrowed range": (
        (SCHEMAS, "le=1_000_000", "le=1_000"),
        "v1.create_item.maximum/quantity",
        "body /quantity: maximum is 1000, was 1000000",
    ),
    "narrowed length": (
        (SCHEMAS, "min_length=3", "min_length=5"),
        "v1.create_item.minLength/name",
        "body /name: minLength is 5, was 3",
    ),
    "changed type": (
        (
            SCHEMAS,
            "    created_at: datetime\n",
            "    created_at: Annotated[int, BeforeValidator(lambda at: at.second)]\n",
        ),
        "v1.read_item.answer/data/created_at",
        "/data/created_at of another type: 'integer', was 'string'",
    ),
    "no longer nullable": (
        (
            SCHEMAS,
            "Note = Annotated[str | None, Field(max_length=500, examples=[None])]",
            "Note = Annotated[str, Field(max_length=500)]",
        ),
        "v1.create_item.type/note",
        "body /note: type is 'string', was 'null'",
    ),
    "now nullable": (
        (
            SCHEMAS,
            "    contact_email: str\n",
            "    contact_email: Annotated[str | None, BeforeValidator(lambda _: None)]\n",
        ),
        "v1.read_item.ok",
        "had a text at /data/contact_email, now null",
    ),
    "no longer optional": (
        (SCHEMAS, "    quantity: Quantity = 0\n", "    quantity: Quantity\n"),
        "v1.create_item.required/quantity",
        "body /quantity: required is True, was False",
    ),
    "changed status": ((ROUTES, "status_code=201", "status_code=200"), "v1.create_item.ok", "had status 201, now 200"),
    "changed error code": (
        ((ERRORS, '"item_name_taken"', '"name_taken"'), (ROUTES, '"item_name_taken"', '"name_taken"')),
        "v1.create_item.code.item_name_taken",
        "does not fail with item_name_taken any more (since v1.0.0)",
    ),
    "removed parameter": (
        (ROUTES, ', kind: Literal["tool", "part"] = "tool")', ")"),
        "v1.list_items.parameter?kind",
        "GET /items ignores the query parameter kind (since v1.0.0)",
    ),
    "new pattern": (
        (SCHEMAS, "min_length=3,", 'min_length=3, pattern="^[^<>]*$",'),
        "v1.create_item.pattern/name",
        "body /name: pattern is '^[^<>]*$', was '^[^\\\\u0000]*$'",
    ),
    "header that is wanted": (
        (
            (
                ROUTES,
                "work: Read, item_id: ItemId, tag: ReadTag",
                "work: Read, item_id: ItemId, tag: ReadTag, x_token: str = Header()",
            ),
            (ROUTES, "from fastapi import Path", "from fastapi import Header, Path"),
            ("tests/service.py", "    return {}", '    return {"X-Token": "t"}'),
        ),
        "v1.read_item.required/x-token",
        "GET /items/{item_id} wants the header parameter x-token, which was not there (since v1.0.0)",
    ),
    "rule that no schema shows, behind another default": (
        (
            (
                ROUTES,
                'kind: Literal["tool", "part"] = "tool"',
                "kind: Annotated[Literal['tool', 'part'], AfterValidator(lambda v: ['part'].index(v) or v)] = 'part'",
            ),
            (ROUTES, "from fastapi import Path\n", "from fastapi import Path\nfrom pydantic import AfterValidator\n"),
        ),
        "v1.list_items.request?kind",
        "GET /items: a request that the contract allows is refused: 422 validation_failed; query /kind",
    ),
    "answer that may now be null": (
        (SCHEMAS, "    contact_email: str\n", "    contact_email: str | None\n"),
        "v1.read_item.answer/data/contact_email",
        "may answer 200 with /data/contact_email of another type: 'null', was 'string'",
    ),
    "dropped header": (
        (ROUTES, '    location.set(f"/items/{item.id}")\n', ""),
        "v1.create_item.ok",
        "POST /items: the recorded answer ok had the header location, now none",
    ),
    "code of another status": (
        (ERRORS, "class ItemNameTakenError(ConflictError)", "class ItemNameTakenError(PreconditionFailedError)"),
        "v1.create_item.code.item_name_taken",
        "POST /items fails with item_name_taken as 412, no more as 409 (since v1.0.0)",
    ),
}

# None of a row hides another: a run of the gate takes long.
TOGETHER = [
    ["removed path"],
    ["removed method", "removed response field", "new required field", "narrowed enum", "narrowed range"],
    ["narrowed length", "changed type", "no longer nullable", "no longer optional", "removed parameter"],
    ["now nullable", "changed status", "changed error code", "new pattern"],
    ["answer that may now be null", "dropped header", "code of another status"],
    ["header that is wanted"],
    ["rule that no schema shows, behind another default"],
]

HARMLESS = {
    "new optional field": (
        SCHEMAS,
        "    name: Name\n",
        "    name: Name\n    colour: Annotated[str | None, Field(exclude=True)] = None\n",
    ),
    "new response field": (SCHEMAS, "    version: int\n", '    colour: str = "none"\n    version: int\n'),
    "new route": (
        ROUTES,
        "@router.put(\n",
        f"{NEW_ROUTE}@router.put(\n",
    ),
    "wider range": (SCHEMAS, "le=1_000_000", "le=2_000_000"),
    "longer text": (SCHEMAS, "max_length=500", "max_length=600"),
    "wider enum": (ROUTES, '"tool", "part"]', '"tool", "part", "spare"]'),
    "new error code": (
        ROUTES,
        'responses=fails_with("item_not_found")',
        'responses=fails_with("item_not_found", "gone")',
    ),
    "optional that was required": (
        SCHEMAS,
        "    contact_email: Email\n",
        '    contact_email: Email = "nobody@example.com"\n',
    ),
    "bound in other words": (SCHEMAS, "ge=0, le=1_000_000", "gt=-1, lt=1_000_001"),
    "query that takes any text": (ROUTES, 'kind: Literal["tool", "part"] = "tool"', 'kind: str = "tool"'),
    "other words": (ROUTES, "List items, newest first", "All items"),
}
SAME_LINES = {"bound in other words", "query that takes any text"}  # as other changes above


def run(service: Path, *command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the service."""
    environment = user_environment(PYTHONPATH="src", **environment)
    return subprocess.run(command, cwd=service, env=environment, capture_output=True, text=True, check=False)


def git(service: Path, *arguments: str) -> str:
    """Run git as somebody."""
    done = run(service, "git", "-c", "user.name=A", "-c", "user.email=a@example.com", *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def change(service: Path, *changes: tuple[str, str, str]) -> None:
    """Edit files; what is replaced must be there."""
    for name, old, new in changes:
        path = service / name
        source = path.read_text(encoding="utf-8")
        assert old in source, (name, old)
        path.write_text(source.replace(old, new), encoding="utf-8")


def checked(service: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run what `make contract-check` runs."""
    return run(service, ".venv/bin/python", "-m", "app", "contract", "check", **environment)


@pytest.fixture(scope="module")
def released(render: Render, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a service that was recorded and released, half as large as the default one. Not to be written."""
    folder = share(installed, tmp_path_factory.mktemp("contract") / "a service", render(features=[]))
    imports = "from typing import Annotated\n"
    change(folder, (ROUTES, imports, imports.replace("Annotated", "Annotated, Literal")), RELEASED)
    change(folder, (SCHEMAS, "from pydantic import Field", "from pydantic import BeforeValidator, Field  # noqa: F401"))
    done = run(folder, "make", "contract")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "wrote contract/v1/openapi.json" in done.stdout
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "tag", "v1.0.0")
    return folder


@pytest.fixture
def service(released: Path, tmp_path: Path) -> Path:
    """Return a copy of the released service, with its history."""
    folder = tmp_path / "service"
    shutil.copytree(released, folder, symlinks=True, ignore=shutil.ignore_patterns(".venv"))
    (folder / ".venv").symlink_to(released / ".venv")
    return folder


@pytest.fixture(scope="module")
def without_node(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return a PATH with git and nothing else."""
    folder = tmp_path_factory.mktemp("path")
    (folder / "git").symlink_to(require("git"))
    return str(folder)


def require_told(service: Path, without_node: str, *names: str) -> None:
    """Make these changes; each is found without Node, named for a waiver, and told by what a client would see."""
    for name in names:
        changes = BREAKS[name][0]
        change(service, *([changes] if isinstance(changes[0], str) else changes))
    done = checked(service, PATH=without_node)
    assert (done.returncode, done.stderr) == (1, ""), done.stdout + done.stderr
    for name in names:
        assert f"BREAKS {BREAKS[name][1]}\n" in done.stdout, done.stdout
        assert BREAKS[name][2] in done.stdout
    assert "not compared by oasdiff: found no npm" in done.stdout
    assert ("tests/service.py is not that of v1.0.0" in done.stdout) == ("header that is wanted" in names)
    if "narrowed length" in names:
        assert example("template/docs/chassis/contract.md", "BREAKS ") in done.stdout


@pytest.mark.parametrize("names", TOGETHER, ids=" and ".join)
def test_breaking_changes_are_refused(service: Path, without_node: str, names: list[str]) -> None:
    """Several at once, each of them told."""
    require_told(service, without_node, *names)


def test_every_break_is_tried() -> None:
    """In one row or another."""
    assert sorted(name for names in TOGETHER for name in names) == sorted(BREAKS)


@pytest.mark.soak
@pytest.mark.parametrize("name", BREAKS)
def test_soak_breaking_change_is_refused_alone(service: Path, without_node: str, name: str) -> None:
    """Nothing but the one."""
    require_told(service, without_node, name)


def example(page: str, first: str) -> str:
    """Return the code block of a page that begins so."""
    content = (ROOT / page).read_text(encoding="utf-8")
    return content[content.index(first) :].partition("```")[0]


def require_silent(service: Path, without_node: str, *names: str) -> None:
    """Make these changes; a client of the release does not notice."""
    change(service, *(HARMLESS[name] for name in names))
    done = checked(service, PATH=without_node)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert done.stdout.endswith("nothing a client relies on is broken\n")


def test_harmless_changes_pass(service: Path, without_node: str) -> None:
    """Some of them; the others pass where Node is, below."""
    require_silent(service, without_node, *SAME_LINES)


@pytest.mark.soak
@pytest.mark.parametrize("name", HARMLESS)
def test_soak_harmless_change_passes_alone(service: Path, without_node: str, name: str) -> None:
    """Nothing but the one."""
    require_silent(service, without_node, name)


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        ((ROUTES, '= "tool")', '= "part")'), "v1.list_items.default?kind\n  GET /items takes query kind for 'part'"),
        (
            (SCHEMAS, 'Literal["new"]', 'Literal["new", "old"]'),
            "v1.read_item.answer/data/state\n  GET /items/{item_id} may answer 200 with /data/state of another enum",
        ),
    ],
)
def test_what_breaks_some_clients_only_is_told_and_passes(
    service: Path, without_node: str, edit: tuple[str, str, str], told: str
) -> None:
    """Another default, one more value in an answer: nobody can say whether a client minds."""
    imports = "from typing import Annotated\n"
    change(service, (SCHEMAS, imports, imports.replace("Annotated", "Annotated, Literal")))
    change(service, (SCHEMAS, "    version: int\n", '    version: int\n    state: Literal["new"] = "new"\n'))
    assert run(service, "make", "contract").returncode == 0
    git(service, "commit", "--quiet", "--all", "--message", "a state")
    git(service, "tag", "v1.1.0")
    git(service, "commit", "--quiet", "--allow-empty", "--message", "later")
    change(service, edit)
    done = checked(service, PATH=without_node)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert f"MAY BREAK {told}" in done.stdout, done.stdout


def test_oasdiff_tells_exactly_what_changed_where_node_is(service: Path) -> None:
    """All harmless changes at once pass it; a narrowed length is told in its words."""
    require("npm")
    change(service, *(HARMLESS[name] for name in HARMLESS if name not in SAME_LINES))
    done = checked(service)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout + done.stderr
    assert "v1: documents compared by oasdiff\n" in done.stdout
    change(service, BREAKS["narrowed length"][0])
    done = checked(service)
    assert "BREAKS v1.create_item.request-property-min-length-increased\n" in done.stdout, done.stdout
    assert "POST /items: the `name` request property's minLength was increased from `3` to `5`" in done.stdout


def test_default_service_is_recorded_and_compared(installed: Path, tmp_path: Path) -> None:
    """With callers, tokens and limits: what was recorded of it is what it answers, and a break is found."""
    folder = share(installed, tmp_path / "service")
    assert run(folder, "make", "contract").returncode == 0
    git(folder, "init", "--quiet")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "first")
    git(folder, "tag", "v1.0.0")
    assert checked(folder).returncode == 0
    change(folder, ("src/app/api/v1/accounts/schemas.py", "min_length=12", "min_length=14"))
    done = checked(folder)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "body /password: minLength is 14, was 12" in done.stdout


def test_recording_again_changes_nothing(service: Path) -> None:
    """`make contract` on an unchanged service writes nothing, so its diff is what a change did."""
    done = run(service, "make", "contract")
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
    assert git(service, "status", "--porcelain", "--untracked-files=no") == ""


def test_recording_a_break_does_not_silence_it(service: Path, without_node: str) -> None:
    """The base is what git holds of the release; whatever the working tree says, the break stays one."""
    change(service, BREAKS["changed status"][0])
    tested = run(service, "make", "test", "ARGS=-q tests/chassis/test_contract.py")
    assert tested.returncode == 2
    assert "contract/v1/create_item/ok.json: response/status: recorded 201, now 200" in tested.stdout
    assert "`make contract` records it anew" in tested.stdout
    recorded = run(service, "make", "contract")
    assert "wrote contract/v1/create_item/ok.json" in recorded.stdout, recorded.stderr
    git(service, "commit", "--quiet", "--all", "--message", "re-recorded")
    assert "BREAKS v1.create_item.ok\n" in checked(service, PATH=without_node).stdout


def waive(service: Path, *waivers: tuple[str, str]) -> None:
    """Write a waiver for each break, until a day."""
    tables = [f'[[waiver]]\nbreak = "{name}"\nreason = "nobody minds it"\nuntil = {until}\n' for name, until in waivers]
    (service / "contract/waivers.toml").write_text("\n".join(tables), encoding="utf-8")


def test_waiver_lets_a_break_pass_until_its_day(service: Path, without_node: str) -> None:
    """For one break, or for all of an operation; one that ended counts no more, one that is not needed is named."""
    change(service, BREAKS["changed status"][0])
    waive(service, ("v1.create_item", "2999-01-01"), ("v1.read_item", "2999-01-01"))
    passed = checked(service, PATH=without_node)
    assert passed.returncode == 0, passed.stdout
    assert "waived until 2999-01-01 v1.create_item.ok: nobody minds it\n" in passed.stdout
    assert "waiver v1.read_item lets nothing pass: delete it\n" in passed.stdout
    waive(service, ("v1.create_item.ok", "2999-01-01"), ("v1.create_item.status", "2001-01-01"))
    ended = checked(service, PATH=without_node)
    assert ended.returncode == 1
    assert "BREAKS v1.create_item.ok\n" not in ended.stdout
    assert "the waiver ended on 2001-01-01; expected a later day, or no break" in ended.stdout


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("[[waiver]\n", "cannot be read: "),
        ("[[waiver]]\n", "waiver.1.break is missing; expected a value"),
        (
            '[[waiver]]\nbreak = "v1"\nreason = "nobody minds it"\nuntil = 2999-01-01\n',
            "waiver.1.break has the wrong form",
        ),
        (
            '[[waiver]]\nbreak = "v1.x"\nreason = "no"\nuntil = 2999-01-01\n',
            "waiver.1.reason is too short; expected at least 10",
        ),
        ('[[waiver]]\nbreak = "v1.x"\nreason = "nobody minds it"\nuntil = "soon"\n', "waiver.1.until is not a date"),
        ("allow = 1\n", "allow is not known here"),
    ],
)
def test_waivers_that_cannot_be_used_are_told(service: Path, content: str, told: str) -> None:
    """One line, exit status 2: path, what is wrong, what is expected."""
    (service / "contract/waivers.toml").write_text(content, encoding="utf-8")
    done = checked(service)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("not done: contract/waivers.toml: ")
    assert told in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_base_is_told_or_its_absence_is(service: Path, tmp_path: Path) -> None:
    """Nothing released is good; a base that should be there and is not, or cannot be read, is exit status 2."""
    told = checked(service, GIT_DIR=str(tmp_path / "nowhere"))
    assert (told.returncode, told.stdout) == (2, "")
    assert "no git repository" in told.stderr
    told = run(service, "make", "contract-check", "BASE=no-such-commit")
    assert told.returncode == 2
    assert "BASE=no-such-commit: git knows no such commit; expected a tag, a branch or a commit" in told.stderr
    git(service, "tag", "v2.0.0-rc1")
    git(service, "tag", "release-1.0")
    change(service, BREAKS["changed status"][0])
    git(service, "commit", "--quiet", "--all", "--message", "broken, and tagged at once")
    git(service, "tag", "v1.1.0")
    assert checked(service).stdout.startswith("base: v1.0.0, the last release tag\n")
    git(service, "reset", "--quiet", "--hard", "v1.0.0")
    git(service, "tag", "--delete", "v1.0.0", "v1.1.0")
    git(service, "branch", "--move", "main")
    told = checked(service)
    assert "where this branch left the default branch" in told.stdout.splitlines()[0]
    git(service, "rm", "--quiet", "--cached", "contract/v1/openapi.json")
    git(service, "commit", "--quiet", "--message", "no contract yet")
    told = checked(service)
    assert (told.returncode, told.stderr) == (0, "")
    assert told.stdout.startswith("nothing released: no release tag v[0-9]*, and no contract in ")
    git(service, "tag", "v2.0.0")
    told = checked(service)
    assert told.returncode == 2
    assert (
        "v2.0.0 (the last release tag) holds no contract/vN/openapi.json; expected the one clients rely on"
        in told.stderr
    )
    (service / "contract/v1/openapi.json").write_text("{")
    git(service, "add", "--all")
    git(service, "commit", "--quiet", "--message", "broken")
    git(service, "tag", "v3.0.0")
    told = checked(service)
    assert told.returncode == 2
    assert "v3.0.0:contract/v1/openapi.json: cannot be read" in told.stderr


def test_shallow_clone_is_no_answer(service: Path, tmp_path: Path) -> None:
    """CI fetches one commit by default: that nothing was released cannot be told from it."""
    clone = tmp_path / "clone"
    git(service, "commit", "--quiet", "--allow-empty", "--message", "second")
    git(service, "clone", "--quiet", "--depth=1", "--no-tags", f"file://{service}", str(clone))
    (clone / ".venv").symlink_to(service / ".venv")
    told = checked(clone)
    assert told.returncode == 2
    assert "a shallow clone shows no release; expected the whole history with its tags" in told.stderr


def test_new_route_begins_its_cases(service: Path) -> None:
    """`make contract` tries a plausible request for what is new, and names the cases a person must write."""
    change(
        service,
        HARMLESS["new route"],
        (ROUTES, '"/{item_id}/name")', '"/{item_id}/name", responses=fails_with("item_changed"))'),
    )
    done = run(service, "make", "contract")
    assert done.returncode == 0, done.stderr
    assert "wrote contract/v1/read_name/ok.json\n" in done.stdout
    assert "missing contract/v1/read_name/item_changed.json: write its request; then `make contract`\n" in done.stdout
    case = json.loads((service / "contract/v1/read_name/ok.json").read_text(encoding="utf-8"))
    assert case["request"] == {"method": "GET", "path": "/v1/items/1/name"}
    assert case["response"]["body"]["data"] == "name"
    tested = run(
        service,
        "make",
        "test",
        "ARGS=-q -k 'not postgresql' tests/chassis/test_contract.py tests/chassis/test_conformance.py",
    )
    assert tested.returncode == 0, tested.stdout
    assert re.search("read_name +200: ", tested.stdout)


def test_answer_that_varies_must_say_so(service: Path) -> None:
    """Nothing is written as long as two runs differ at a place that `varies` does not name."""
    name = service / "contract/v1/read_name/ok.json"
    change(
        service,
        HARMLESS["new route"],
        (ROUTES, '-> str:\n    return "name"', '-> dict[str, float]:\n    return {"at": __import__("time").time()}'),
    )
    done = run(service, "make", "contract")
    assert done.returncode == 2
    assert "contract/v1/read_name/ok.json: not the same twice: /body/data/at: recorded " in done.stderr
    assert not name.exists()
    name.parent.mkdir()
    name.write_text('{"request": {"method": "GET", "path": "/v1/items/1/name"}, "varies": ["/body/data/at"]}')
    assert run(service, "make", "contract").returncode == 0
    first = name.read_text(encoding="utf-8")
    assert run(service, "make", "contract").stdout == ""
    assert name.read_text(encoding="utf-8") == first


def test_broken_case_stops_the_recording(service: Path) -> None:
    """One line with its path; no other file is touched."""
    (service / "contract/v1/read_item/ok.json").write_text("{")
    change(service, HARMLESS["other words"])
    done = run(service, "make", "contract")
    assert done.returncode == 2
    assert done.stderr.startswith("not done: contract/v1/read_item/ok.json: is not a JSON object")
    assert git(service, "status", "--porcelain", "--untracked-files=no").split() == [
        "M",
        "contract/v1/read_item/ok.json",
        "M",
        ROUTES,
    ]


def test_case_that_is_answered_otherwise_stops_the_recording(service: Path) -> None:
    """A case named by a code must get that code; the file says which request to mend."""
    change(service, ("contract/v1/read_item/item_not_found.json", "/v1/items/404", "/v1/items/2"))
    done = run(service, "make", "contract")
    assert done.returncode == 2
    told = "contract/v1/read_item/item_not_found.json: is answered with 200; expected item_not_found: mend the request"
    assert told in done.stderr


def test_routes_of_every_shape_need_no_edit_of_the_suite(service: Path, without_node: str) -> None:
    """Keys, bodies, answers and rules of many kinds: recorded, tried, mocked, checked, and a client is made of them."""
    folder = service / "src/app/api/v1/shapes"
    folder.mkdir()
    (folder / "__init__.py").write_text('"""Shapes."""\n')
    shutil.copy(ROOT / "tests/shapes.py", folder / "routes.py")
    seeds = """    for carrier in ("ship", "rail"):
        lines = [{"sku": "BOB-1", "count": 1}]
        body = {"carrier": carrier, "day": "2030-01-31", "weight": "1.00", "lines": lines}
        assert client.request("POST", "/parcels", json_body=body).status == 202
"""
    change(service, ("tests/service.py", "    if client.request(", f"{seeds}    if client.request("))
    done = run(service, "make", "contract")
    assert done.returncode == 0, done.stderr
    missing = [line.split()[1] for line in done.stdout.splitlines() if line.startswith("missing ")]
    assert missing == ["contract/v1/send_parcel/parcel_too_heavy.json:", "contract/v1/read_line/ok.json:"], done.stdout
    heavy = {"carrier": "ship", "day": "2030-01-31", "weight": "9.00", "lines": []}
    line = "/v1/parcels/{/v1/parcels?carrier=ship#/data/0/id}/lines/0"
    for name, request in (
        ("send_parcel/parcel_too_heavy", {"method": "POST", "path": "/v1/parcels", "body": heavy}),
        ("read_line/ok", {"method": "GET", "path": line}),
    ):
        file = service / f"contract/v1/{name}.json"
        file.parent.mkdir(exist_ok=True)
        file.write_text(json.dumps({"request": request}))
    done = run(service, "make", "contract")
    assert (done.returncode, "missing" in done.stdout) == (0, False), done.stdout + done.stderr
    text = json.loads((service / "contract/v1/export_parcels/ok.json").read_text(encoding="utf-8"))["response"]["text"]
    assert text == "id,carrier\n"
    suite = " ".join(f"tests/chassis/test_{name}.py" for name in ("contract", "conformance", "routes", "laws"))
    tested = run(service, "make", "test", f"ARGS=-q -k 'not postgresql' {suite}")
    assert tested.returncode == 0, tested.stdout[-6000:]
    assert checked(service, PATH=without_node).returncode == 0
    made = run(service, "make", "client")
    assert made.returncode == 0, made.stderr


def test_seed_that_fails_is_told(service: Path) -> None:
    """It is the team's code: one line, exit status 2."""
    change(
        service,
        ("tests/service.py", "    for number in range(3):", "    for number in range(3):\n        assert not number"),
    )
    done = run(service, "make", "contract")
    assert done.returncode == 2
    assert "not done: seed() of tests/service.py fails: AssertionError" in done.stderr
    assert "Traceback" not in done.stderr


def test_base_is_never_run_by_a_shell(service: Path, tmp_path: Path) -> None:
    """A branch's name may hold anything; one that the shell's environment happens to have does not count."""
    for told in (f'x"; touch {tmp_path}/run; "', f"x`touch {tmp_path}/run`"):
        done = run(service, "make", "contract-check", f"BASE={told}")
        assert "git knows no such commit" in done.stderr, done.stdout + done.stderr
    assert "base: v1.0.0," in run(service, "make", "contract-check", BASE="nowhere").stdout
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("sunset", "told"),
    [
        (None, "BREAKS v1.removed\n  v1 is gone, and v1.0.0 did not say that it would end"),
        ("2999", "BREAKS v1.removed\n  v1 is gone; v1.1.0 promised it until 2999-01-01"),
        ("2001", "v1: is gone, as v1.1.0 announced"),
    ],
)
def test_version_may_go_when_its_end_was_released_and_has_come(service: Path, sunset: str | None, told: str) -> None:
    """Deleting a folder ends a version; the gate asks whether its clients were told."""
    if sunset:
        about = service / "src/app/api/v1/__init__.py"
        about.write_text(
            "from datetime import UTC, datetime\n\nfrom app.chassis.http import Deprecated\n\n"
            "DEPRECATED = Deprecated(\n    since=datetime(2000, 1, 1, tzinfo=UTC),\n"
            f"    sunset=datetime({sunset}, 1, 1, tzinfo=UTC),\n)\n"
        )
        assert run(service, "make", "contract").returncode == 0
        git(service, "commit", "--quiet", "--all", "--message", "announced")
        git(service, "tag", "v1.1.0")
        git(service, "commit", "--quiet", "--allow-empty", "--message", "later")
    shutil.rmtree(service / "src/app/api/v1")
    done = checked(service)
    assert told in done.stdout, done.stdout + done.stderr
    assert done.returncode == (0 if sunset == "2001" else 1)


def test_file_that_cannot_be_read_leaves_the_document_whole(service: Path) -> None:
    """A service that runs shows its contract without examples, whatever lies in contract/."""
    for name in ("read_item/ok.json", "list_items/ok.json"):
        (service / "contract/v1" / name).unlink()
    (service / "contract/v1/read_item/ok.json").mkdir()
    (service / "contract/v1/list_items/ok.json").write_text('{"request": ' * 5000)
    done = run(service, ".venv/bin/python", "-m", "app", "openapi")
    assert done.returncode == 0, done.stderr
    assert "/items/{item_id}" in json.loads(done.stdout)["paths"]


def test_full_disk_loses_no_recorded_case(service: Path) -> None:
    """What cannot be written whole is not written at all."""
    code = (
        "import pathlib, sys\n"
        "from app.chassis.http import recordings\n"
        "def full(self, content, encoding):\n    self.touch()\n    raise OSError(28, 'No space left on device')\n"
        "pathlib.Path.write_text = full\n"
        "file = pathlib.Path('contract/v1/read_item/ok.json')\n"
        "try:\n    recordings.write_whole(file, 'new')\nexcept OSError:\n    print(len(file.read_bytes()) > 100)\n"
    )
    assert run(service, ".venv/bin/python", "-c", code).stdout == "True\n"
    assert git(service, "status", "--porcelain", "--untracked-files=no") == ""
