"""`make domain` adds a domain that passes every check at once, or leaves nothing and says why."""

import ast
import importlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from conftest import PROFILES, ROOT, Render, commit_all, git, make, share
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered import files
from tools import require

OPS = ROOT / "template/ops"
EVERY_KIND = (
    "title:text(1..80) note:text? tag:text(0..1) quantity:int(0..1000000) rank:int? price:decimal share:decimal(15,4)? "
    "units:decimal(3,0) due_on:date seen_on:date? due_at:datetime seen_at:datetime? is_paid:bool is_late:bool? "
    "contact:email other_contact:email? token:uuid parent:uuid? order:text(2..2) user:text select:int "
    "type:text items:text"
)
RULES = {"text": ("", "(0..7)", "(3..3)", "(100..200)"), "int": ("", "(-3..4)"), "decimal": ("", "(15,14)", "(2,0)")}


@pytest.fixture(scope="module")
def ops() -> Any:
    """Return the import of a program of a service's ops/ folder."""
    sys.path.insert(0, str(OPS))
    yield importlib.import_module
    sys.path.remove(str(OPS))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder that looks like a service without domains, and stand in it."""
    for name in ("src/app/api/v1", "src/app/domains", "tests", "migrations/versions", "contract"):
        (tmp_path / name).mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def snapshot(folder: Path) -> dict[str, bytes]:
    """Return every file of a service and what it holds; what stands in var/ is nobody's."""
    return {path.as_posix(): (folder / path).read_bytes() for path in files(folder)}


def told(ops: Callable[[str], ModuleType], capsys: pytest.CaptureFixture[str], **given: str) -> tuple[int, str]:
    """Run the program in this process; return its exit code and its complaint."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("NAME", "ONE", "FIELDS"):
            patch.setenv(f"DOMAIN_{name}", given.get(name.lower(), ""))
        code = ops("domain").main()
    for each in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, signal.SIG_DFL)
    return code, capsys.readouterr().err


REFUSED = [
    ({}, "NAME: found ''"),
    ({"name": "../x"}, "NAME: found '../x'"),
    ({"name": "a b"}, "NAME: found 'a b'"),
    ({"name": "Orders"}, "NAME: found 'Orders'; expected lower-case"),
    ({"name": "größen"}, "NAME: found 'größen'"),
    ({"name": "a\nb"}, "NAME: found 'a\\nb'"),
    ({"name": "x" * 40 + "s"}, "at most 40"),
    ({"name": "class"}, "no word of Python's own"),
    ({"name": "people"}, "ONE=…"),
    ({"name": "glass"}, "ONE=…"),
    ({"name": "time_series"}, "ONE=…"),
    ({"name": "heroes"}, "ONE=…"),
    ({"name": "buses"}, "ONE=…"),
    ({"name": "news"}, "ONE=…"),
    ({"name": "bow_ties"}, "ONE=…"),
    ({"name": "health"}, "the chassis or a database has that one"),
    ({"name": "chassis_things"}, "the chassis or a database has that one"),
    ({"name": "pg_tables"}, "the chassis or a database has that one"),
    ({"name": "v1", "one": "release"}, "the chassis or a database has that one"),
    ({"name": "numbers"}, "Python has a module of that one"),
    ({"name": "exceptions"}, "has Exception, for example: ONE=our_exception"),
    ({"name": "read_works"}, "has ReadWork, for example: ONE=our_read_work"),
    ({"name": "orders", "fields": "order_id:text"}, "found 'order_id'; expected another name: functions of the domain"),
    ({"name": "orders", "one": "../x"}, "ONE: found '../x'"),
    ({"name": "orders", "fields": " "}, "FIELDS: found ' '; expected one or more"),
    ({"name": "orders", "fields": "a"}, "FIELDS: found 'a'; expected name:kind"),
    ({"name": "orders", "fields": "a:text a:int"}, "FIELDS: found 'a'; expected each name once"),
    ({"name": "orders", "fields": 'a:"text"'}, "expected name:kind"),
    ({"name": "orders", "fields": "a:$HOME"}, "expected name:kind"),
    ({"name": "orders", "fields": "a\\:text"}, "FIELDS: name: found 'a\\\\'"),
    ({"name": "orders", "fields": "a:number"}, "FIELDS: kind of a: found 'number'; expected one of text, int"),
    ({"name": "orders", "fields": "a:bool(1)"}, "FIELDS: rule of a: found '1'; expected none"),
    ({"name": "orders", "fields": "a:text(9..1)"}, "FIELDS: rule of a: found '9..1'; expected low..high"),
    ({"name": "orders", "fields": "a:text(0..0)"}, "FIELDS: rule of a"),
    ({"name": "orders", "fields": "a:int(5..5)"}, "FIELDS: rule of a"),
    ({"name": "orders", "fields": "a:int(0..9999999999999999)"}, "FIELDS: rule of a"),
    ({"name": "orders", "fields": "a:decimal(16,2)"}, "FIELDS: rule of a: found '16,2'; expected digits,places"),
    ({"name": "orders", "fields": "a:decimal(2,2)"}, "FIELDS: rule of a"),
    ({"name": "orders", "fields": "a:text(1..6000) b:text(1..6000)"}, "found 'texts of 12000 characters together'"),
    (
        {"name": "orders", "fields": " ".join(f"f{n}:int" for n in range(200))},
        "found '200 fields'; expected at most 40",
    ),
    *(
        ({"name": "orders", "fields": f"{name}:text"}, f"FIELDS: name: found '{name}'; expected another name: ")
        for name in (
            *("id", "version", "created_at", "model_config", "metadata", "schema", "class", "date", "xmin", "l"),
            *("self", "utc_now", "mapped_column"),
        )
    ),
]


@pytest.mark.parametrize(("given", "words"), REFUSED, ids=[words for _, words in REFUSED])
def test_mistake_is_told_and_nothing_is_written(
    ops: Any, folder: Path, capsys: pytest.CaptureFixture[str], given: dict[str, str], words: str
) -> None:
    """One line: what failed, what was found, what is expected; exit status 2."""
    code, complaint = told(ops, capsys, **given)
    assert (code, complaint.count("\n")) == (2, 1), complaint
    assert complaint.startswith("not done: ")
    assert words in complaint
    assert (snapshot(folder), (folder / "var").exists()) == ({}, False)


@pytest.mark.parametrize(
    ("path", "text", "found"),
    [
        ("src/app/domains/orders/x", "", "src/app/domains/orders"),
        ("src/app/api/v1/orders.py", "", "src/app/api/v1/orders.py"),
        ("tests/orders.py", "", "tests/orders.py"),
        ("src/app/domains/shop/models.py", '\n    __tablename__: str = "orders"\n', "shop/models.py:2: __tablename__"),
        ("src/app/domains/shop/errors.py", 'code = "order_changed"\n', 'shop/errors.py:1: code = "order_changed"'),
        ("src/app/api/v1/shop/routes.py", "r = Router(prefix='/orders')\n", "shop/routes.py:1: prefix='/orders'"),
        ("src/app/api/v1/shop/routes.py", "async def read_order(x): ...\n", "shop/routes.py:1: async def read_order("),
        ("src/app/api/v1/shop/schemas.py", "class OrderIn(Schema): ...\n", "shop/schemas.py:1: class OrderIn"),
    ],
)
def test_name_that_something_has_is_refused(
    ops: Any, folder: Path, capsys: pytest.CaptureFixture[str], path: str, text: str, found: str
) -> None:
    """It is named by its path, by its line where it stands inside a file, and stays as it is."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_text(text)
    code, complaint = told(ops, capsys, name="orders")
    assert (code, found in complaint) == (2, True), complaint
    assert snapshot(folder) == {path: text.encode()}


@pytest.mark.parametrize(
    ("many", "one", "type_", "variable"),
    [
        ("orders", "order", "Order", "order"),
        ("order_lines", "order_line", "OrderLine", "order_line"),
        ("entries", "entry", "Entry", "entry"),
        ("movies", "movie", "Movie", "movie"),
        ("warehouses", "warehouse", "Warehouse", "warehouse"),
        ("anchovies", "anchovy", "Anchovy", "anchovy"),
        ("order_statuses", "order_status", "OrderStatus", "order_status"),
        ("addresses", "address", "Address", "address"),
        ("boxes", "box", "Box", "box"),
        ("matches", "match", "Match", "match"),
        ("classes", "class", "Class", "the_class"),
        ("parts", "part", "Part", "the_part"),
        ("lists", "list", "List", "the_list"),
    ],
)
def test_one_is_called_by_the_plural_without_its_ending(
    ops: Any, many: str, one: str, type_: str, variable: str
) -> None:
    """A variable that would hide another name gets `the_` before it."""
    names = ops("domain_names").read_names(many, "")
    assert (names.one, names.type, names.variable) == (one, type_, variable)


def test_name_of_a_table_that_was_dropped_is_free(ops: Any, folder: Path) -> None:
    """The revision that made it then stays: history is no use of a name."""
    (folder / "migrations/versions/0004_create_orders.py").touch()
    names = ops("domain_names")
    names.require_free(names.read_names("orders", ""), "v1")


def test_class_never_hides_what_its_files_import(ops: Any) -> None:
    """Each class that a text of the domain imports is had under another name, or a thing cannot be called so."""
    names, texts = ops("domain_names"), ops("domain_texts")
    filled = texts.domain_files(names.read_names("orders", ""), [])
    lines = "\n".join(filled[name] for name in ("models.py", "queries.py", "service.py"))
    brought = "\n".join(re.findall(r"^from (?!app\.domains\.).* import (.*)", lines, re.MULTILINE))
    imported = set(re.findall(r"\b[A-Z][A-Za-z]*[a-z]\b", brought))
    assert {"ReadWork", "TypedDict", "Mapped"} < imported
    assert imported - {"ChassisOrder"} <= names._CLASSES | names.ALIASED


@st.composite
def specifications(draw: st.DrawFn) -> str:
    """Make up FIELDS that are right."""
    words = st.from_regex(r"[a-z][a-z0-9]{0,9}(_[a-z0-9]{1,9})?", fullmatch=True)
    fields = []
    for name in draw(st.lists(words.map(lambda word: f"{word}_x"), min_size=1, max_size=12, unique=True)):
        kind = draw(st.sampled_from(("text", "int", "decimal", "bool", "date", "datetime", "email", "uuid")))
        fields.append(f"{name}:{kind}{draw(st.sampled_from(RULES.get(kind, ('',))))}{draw(st.sampled_from(('', '?')))}")
    return draw(st.sampled_from((" ", "  ", "\n"))).join(fields)


def members(source: str, of: str) -> dict[str, bool]:
    """Return the annotated names of a class, and whether each may be None."""
    (found,) = (node for node in ast.parse(source).body if isinstance(node, ast.ClassDef) and node.name == of)
    lines = [node for node in found.body if isinstance(node, ast.AnnAssign)]
    return {ast.unparse(line.target): "None" in ast.unparse(line.annotation) for line in lines}


@settings(deadline=None, max_examples=60)
@given(specification=specifications())
def test_model_content_and_schemas_have_the_same_fields(ops: Any, specification: str) -> None:
    """Whatever the fields are: each text is Python, and says of each field whether it may be left out."""
    fields, texts = ops("domain_fields").read_fields(specification), ops("domain_texts")
    names = ops("domain_names").read_names("orders", "")
    domain, api = texts.domain_files(names, fields), texts.api_files(names, fields, "v1", has_auth=True)
    tests = ops("domain_tests").suite_files(names, fields)
    for name, text in [*domain.items(), *api.items(), *tests.items()]:
        assert "$" not in text.replace('$"', "").replace("]{", ""), name
        if name.endswith(".py"):
            compile(text, name, "exec")
    wanted = {part.partition(":")[0]: part.endswith("?") for part in specification.split()}
    own = {"id": False, "version": False, "created_at": False, "updated_at": False}
    assert members(domain["models.py"], "Order") == wanted | own
    assert members(domain["service.py"], "OrderContent") == wanted
    assert members(api["schemas.py"], "OrderIn") == wanted
    assert members(api["schemas.py"], "OrderOut") == wanted | own
    first, second = ops("domain_tests").bodies(fields)
    assert wanted.keys() == first.keys() == second.keys()
    assert all(first[name] != second[name] for name in wanted)


@settings(deadline=None, max_examples=300)
@given(told=st.text(st.sampled_from("ab_1:(),.?-+ '\"$\\\n\0ü") | st.characters(), max_size=30))
def test_garbage_is_refused_in_one_line(ops: Any, told: str) -> None:
    """Or it is fields: never anything else."""
    try:
        fields, error = ops("domain_fields").read_fields(told), None
    except ops("copies").NotDoneError as refused:
        fields, error = [], refused
    assert bool(fields) == (error is None)
    assert error is None or (error.code == 2 and "; expected " in str(error) and str(error).isprintable())


def test_long_names_leave_nothing_to_lint(ops: Any, folder: Path) -> None:
    """After the two commands that lay the files out, the service's rules find nothing, and no file is long."""
    fields = ops("domain_fields").read_fields(
        " ".join(f"{'x' * 39}{n}:{k}?" for n, k in enumerate(ops("domain_fields").KINDS))
    )
    names = ops("domain_names").read_names("y" * 39 + "s", "")
    texts = ops("domain_texts").domain_files(names, fields) | ops("domain_tests").suite_files(names, fields)
    texts |= ops("domain_texts").api_files(names, fields, "v1", has_auth=False)
    for name, text in texts.items():
        place = (
            folder / "src/app/api/v1"
            if name in ("routes.py", "schemas.py", "access.py")
            else folder / "src/app/domains"
        )
        place = folder / "tests" if name.startswith(("test_", "seed")) else place
        (place / name).write_text(text)
        assert len(text.splitlines()) <= 200, name
    for name in ("ruff.toml", "ruff.chassis.toml"):
        shutil.copy(ROOT / "template" / name, folder)
    ruff = [sys.executable, "-m", "ruff"]
    subprocess.run([*ruff, "check", "--quiet", "--fix-only", "--select", "I,F401", "."], check=True)
    subprocess.run([*ruff, "format", "--quiet", "."], check=True)
    checked = subprocess.run([*ruff, "check", "."], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout


def test_pages_tell_what_the_program_takes(ops: Any) -> None:
    """The kinds of the table are all there are, with the rules they have by themselves; the examples can be typed."""
    read, kinds = ops("domain_fields").read_fields, ops("domain_fields").KINDS
    page = (ROOT / "template/docs/chassis/domains.md").read_text()
    rows = [line.split(" | ") for line in page.splitlines() if line.startswith("| `") and line.count(" |") == 4]
    assert {row[0].strip("|` ").partition("(")[0] for row in rows} == kinds.keys()
    for row in rows:
        (field,) = read(f"a:{row[0].strip('|` ')}")
        column = {"text": f"String({field.high})", "decimal": f"Numeric({field.digits}, {field.places})"}.get(
            field.kind
        )
        assert column is None or f"`{column}`" == row[1]
    assert read("a:text") == read("a:text(1..200)")
    assert read("a:decimal") == read("a:decimal(12,2)")
    for name in ("template/docs/chassis/domains.md", "docs/how-to/add-a-domain.md", "template/AGENTS.md"):
        (fields,) = re.findall(r'make domain NAME=orders FIELDS="(.*)"', (ROOT / name).read_text())
        assert read(fields)


KILLED = """
import os, signal, sys
from pathlib import Path
import domain_aside
real, left = Path.open, [int(sys.argv[1])]

def opened(self, mode="r", *more, **options):
    file = real(self, mode, *more, **options)
    if mode in ("xb", "wb") and self.parts[0] != "var":
        left[0] -= 1
        if not left[0]:
            file.write(b"on")
            file.flush()
            os.kill(os.getpid(), int(sys.argv[2]))
    return file

Path.open = opened
paths = ["tests/a/one.py", "tests/a/two.py", "src/b/three.py", "contract/v1/openapi.json"]
with domain_aside.aside() as copy:
    for path in paths:
        (copy / path).parent.mkdir(parents=True, exist_ok=True)
        (copy / path).write_text("one = 1")
    domain_aside.move_in(paths)
"""


def move_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Move four files in, and end the process at one of them."""
    command = [sys.executable, "-c", KILLED, *arguments]
    environment = {**os.environ, "PYTHONPATH": str(OPS)}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("place", ["1", "2", "3", "4"])
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_run_that_is_ended_leaves_nothing(folder: Path, place: str, number: signal.Signals) -> None:
    """After Ctrl-C at once; after kill -9 the next run takes it back, and does its own work."""
    (folder / "contract/v1").mkdir()
    (folder / "contract/v1/openapi.json").write_text("before")
    (folder / "tests/mine.py").write_text("mine = 1")
    before = snapshot(folder)
    assert move_in(folder, place, str(int(number))).returncode != 0
    if number == signal.SIGINT:
        assert (snapshot(folder), (folder / "var/domain").exists()) == (before, False)
    else:
        assert snapshot(folder) != before
    again = move_in(folder, "99", "0")
    assert (again.returncode, "taken back" in again.stderr) == (0, number == signal.SIGKILL)
    new = ("tests/a/one.py", "tests/a/two.py", "src/b/three.py", "contract/v1/openapi.json")
    assert snapshot(folder) == before | dict.fromkeys(new, b"one = 1")
    assert not (folder / "var/domain").exists()


def test_folder_that_nobody_may_write_is_copied_to_be_written(ops: Any, folder: Path) -> None:
    """So that the copy can be filled and removed; what it is of keeps its mode."""
    (folder / "src/app/domains").chmod(0o555)
    with ops("domain_aside").aside() as copy:
        assert (copy / "src/app/domains").stat().st_mode & 0o700 == 0o700
    assert (folder / "src/app/domains").stat().st_mode & 0o777 == 0o555
    assert not (folder / "var/domain").exists()


def test_folder_made_before_a_kill_goes_with_the_rest(ops: Any, folder: Path) -> None:
    """Even if no file is in it yet; one that was there before stays, and so does one that holds something else."""
    aside = ops("domain_aside")
    aside.COPY.mkdir(parents=True)
    for name in ("tests/a", "tests/b"):
        (folder / name).mkdir()
    (folder / "tests/b/mine.py").write_text("")
    told = {"new": ["tests/a/one.py", "tests/b/one.py"], "replaced": {}, "folders": ["tests/b", "tests/a"]}
    aside.LIST.write_text(json.dumps(told))
    assert aside.take_back() == []
    assert sorted(path.name for path in (folder / "tests").iterdir()) == ["b"]
    assert (folder / "src/app/domains").is_dir()


def test_file_that_was_changed_after_a_kill_is_kept(folder: Path) -> None:
    """It is named, with what to do, and nothing else is removed either."""
    move_in(folder, "3", str(int(signal.SIGKILL)))
    (folder / "tests/a/one.py").write_text("mine = 1")
    before = snapshot(folder)
    again = move_in(folder, "99", "0")
    assert "since then these were changed:\ntests/a/one.py\nremove var/domain to keep them" in again.stderr
    assert snapshot(folder) == before
    shutil.rmtree(folder / "var/domain")
    assert "FileExistsError" in move_in(folder, "99", "0").stderr
    assert snapshot(folder) == before


def test_document_that_was_changed_after_a_kill_is_kept(folder: Path) -> None:
    """What somebody recorded since then is not what stood there before."""
    (folder / "contract/v1").mkdir()
    (folder / "contract/v1/openapi.json").write_text("before")
    move_in(folder, "4", str(int(signal.SIGKILL)))
    (folder / "contract/v1/openapi.json").write_text("mine")
    before = snapshot(folder)
    again = move_in(folder, "99", "0")
    assert "since then these were changed:\ncontract/v1/openapi.json\n" in again.stderr
    assert snapshot(folder) == before


def test_files_that_cannot_be_copied_are_told_in_a_line(
    ops: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The first of them, and how many more: on a full disk that is each of them."""
    for name in ("one", "two", "three"):
        (folder / f"tests/{name}.py").symlink_to("nothing")
    code, complaint = told(ops, capsys, name="orders")
    assert (code, complaint.count("\n")) == (1, 1), complaint
    assert re.match(r"not done: copying tests/\w+.py and 2 more: \[Errno 2\] No such file", complaint)
    assert not (folder / "var/domain").exists()


def added(service: Path, **given: str) -> str:
    """Add a domain; nothing that was there has changed but recorded documents."""
    before = snapshot(service)
    done = make(service, "domain", *(f"{name.upper()}={value}" for name, value in given.items()))
    assert done.returncode == 0, done.stdout + done.stderr
    after = snapshot(service)
    wrote = {line.removeprefix("wrote ") for line in done.stdout.splitlines() if line.startswith("wrote ")}
    assert {name for name in after if after[name] != before.get(name)} == wrote
    assert {Path(name).name for name in wrote & before.keys()} <= {"openapi.json"}
    assert before.keys() <= after.keys()
    assert not (service / "var/domain").exists()
    return done.stdout


def passes(service: Path, *targets: str) -> None:
    """Run targets; show what they print if one fails."""
    for target in targets:
        done = make(service, *target.split(" ", 1))
        assert done.returncode == 0, done.stdout[-6000:] + done.stderr[-3000:]


def test_new_domain_passes_at_once(installed: Path, tmp_path: Path) -> None:
    """With a field of every kind: checks, its own tests, laws and recorded answers; a `$` is nothing to make."""
    require("make"), require("uv")
    service = share(installed, tmp_path / "my service")
    before = snapshot(service)
    shell = "$(shell touch pwned)"
    for arguments in (["NAME=items"], ["NAME=orders", f"FIELDS=a{shell}:text"], [f"NAME={shell}"], []):
        refused = make(service, "domain", *arguments, NAME="orders")
        assert refused.returncode == 2, refused.stderr
    assert snapshot(service) == before
    added(service, name="orders", fields=EVERY_KIND)
    case = json.loads((service / "contract/v1/replace_order/order_changed.json").read_text())
    assert case["response"]["status"] == 412
    suite = "tests/orders tests/chassis/test_laws.py tests/chassis/test_contract.py"
    passes(service, "check", f"test ARGS=-q -k '(orders or laws or recorded) and not postgresql' {suite}")
    seed = service / "tests/orders/seed.py"
    seed.write_text(
        seed.read_text().replace('"POST", "/orders", json_body=BODY', '"POST", "/orders", json_body=[BODY]')
    )
    broken = make(service, "test", "ARGS=-q -x -k 'orders and not postgresql' tests/orders")
    assert (broken.returncode, "AssertionError: Answer(status=422" in broken.stdout) == (2, True), broken.stdout[-6000:]


def test_models_that_wait_for_a_revision_stop_it(installed: Path, tmp_path: Path) -> None:
    """The new revision would bring their change, too: it is named, and nothing is written."""
    require("make"), require("uv")
    service = share(installed, tmp_path / "service")
    model = service / "src/app/domains/items/models.py"
    model.write_text(
        model.read_text().replace("    version:", "    colour: Mapped[str | None] = mapped_column()\n    version:")
    )
    before = snapshot(service)
    done = make(service, "domain", "NAME=orders")
    assert "found besides orders: with op.batch_alter_table('items'" in done.stderr
    assert "expected that they agree: make migration first" in done.stderr
    assert (snapshot(service), (service / "var/domain").exists()) == (before, False)


def take_out(service: Path, many: str, one: str) -> None:
    """Take a domain out as the page says."""
    folders = [service / place / many for place in ("src/app/domains", "src/app/api/v1", "tests")]
    for folder in [*folders, *(service / "contract/v1").glob(f"*_{one}"), service / f"contract/v1/list_{many}"]:
        shutil.rmtree(folder)
    for command in (("migration", f"NAME=drop {many}"), ("contract",)):
        assert make(service, *command).returncode == 0


@pytest.mark.soak
@pytest.mark.parametrize("is_alone", [False, True], ids=["beside the sample", "alone"])
@pytest.mark.parametrize("profile", PROFILES)
def test_soak_domains_pass_in_every_service(render: Render, tmp_path: Path, profile: str, is_alone: bool) -> None:
    """Two domains, one after the other, beside the sample and without it: every check there is, on both engines."""
    require("make"), require("uv")
    service = tmp_path / "service"
    shutil.copytree(render(profile), service, ignore=shutil.ignore_patterns(".git"))
    passes(service, *(["remove-sample", "contract"] if is_alone else ["setup"]))
    commit_all(service, "render")
    added(service, name="orders", fields=EVERY_KIND)
    added(service, name="people", one="person")
    assert "found already" in make(service, "domain", "NAME=orders").stderr
    take_out(service, "orders", "order")
    added(service, name="orders", fields=EVERY_KIND)
    git(service, "add", "--all")
    passes(
        service, "check", "test ARGS=-q", "plans", "migrate-check", "contract-check", "self-audit", "client", "migrate"
    )
