"""Odd answers render right or are refused by a message that says what is expected and what was found."""

import json
import re
import subprocess
import tomllib
from pathlib import Path

import answers as answers_hook
import pytest
import yaml
from cluster import build
from conftest import ROOT, Render, copy_service
from hypothesis import given, settings
from hypothesis import strategies as st
from rendered import text
from tools import require, user_environment

CONFIG = answers_hook.read_yaml(ROOT / "copier.yml")
FREE_TEXT = ["service_name", "description", "owner", "owner_contact"]

ODD_BUT_RIGHT = {
    "quotes": """Bob's "best" `orders`""",
    "colon and hash": "orders: # all of them",
    "braces": "{{ service_slug }} {% raw %} {# no #} ${{ secrets }} {x}",
    "backslashes": r"C:\new\table\\ \u0041 \" \N{DASH}",
    "emoji": "orders 😀 👩‍👩‍👧 🇨🇭",
    "scripts": "注文 العربية Ελληνικά ꙮ 𐍈",
    "markup": "<b>&amp; *star* _under_ [link](x) | cell | ~x~ <!-- -->",
    "yaml word": "no",
    "number": "3.10",
    "yaml signs": "- ? & * ! | > % @ ,[]{}",
    "shell and make": "$(HOME) $$ `id` ; rm -rf / && $HOME %d %(x)s",
    "python keyword": "class",
    "null": "null",
    "as long as allowed": "x" * 80,
}
REFUSED = {
    "nothing": "",
    "only space": "  ",
    "space before": " orders",
    "space after": "orders ",
    "line break": "two\nlines",
    "carriage return": "two\rlines",
    "tab": "two\tcells",
    "control": "bell\x07",
    "nul": "a\x00b",
    "next line": "two\x85lines",
    "line separator": "two\u2028lines",
    "reversing": "orders \u202egnp.exe",
    "byte order mark": "\ufefforders",
    "lone surrogate": "\ud83d",
    "too long": "x" * 301,
}


@pytest.mark.parametrize("answer", ODD_BUT_RIGHT.values(), ids=ODD_BUT_RIGHT)
def test_odd_answers_arrive_unchanged(render: Render, answer: str) -> None:
    """Every file that quotes an answer gives back exactly what was answered, in its own format."""
    service = render(**dict.fromkeys(FREE_TEXT, answer), license="MIT", ci="both", deploy="both")
    identity = json.loads(text(service / "src/app/chassis/service.json"))
    recorded = yaml.safe_load(text(service / ".copier-answers.yml"))
    project = tomllib.loads(text(service / "pyproject.toml"))["project"]
    assert [identity[key] for key in ("name", "description", "owner", "owner_contact")] == [answer] * 4
    assert [recorded[key] for key in FREE_TEXT] == [answer] * 4
    assert project["description"] == project["authors"][0]["name"] == answer
    assert f"Copyright (c) {answer}\n" in text(service / "LICENSE")
    for name in (".gitlab-ci.yml", "compose.yaml"):
        yaml.compose(text(service / name))
    (deployment,) = (one for one in build(service, "production") if one["kind"] == "Deployment")
    assert set(deployment["metadata"]["annotations"].values()) == {answer}


@pytest.mark.parametrize("question", FREE_TEXT)
@pytest.mark.parametrize("answer", REFUSED.values(), ids=REFUSED)
def test_unfit_text_is_refused_with_what_is_expected(
    template: Path, tmp_path: Path, question: str, answer: str
) -> None:
    """Nothing is written, and the message names the question, what is expected and what was found."""
    with pytest.raises(ValueError, match=rf"question '{question}': expected 1-\d+ printable chars; .+; found "):
        copy_service(template, tmp_path / "service", **{question: answer})
    assert not (tmp_path / "service").exists()


def test_questions_fit_a_terminal_and_tell_their_rule() -> None:
    """A prompt shows help in full: its last line says how much text may be answered, where text is answered."""
    for name, details in answers_hook.questions(CONFIG).items():
        assert all(len(line) <= 76 for line in details.get("help", "").splitlines()), name
        if "validator" in details:
            (limit,) = re.findall(r"length > (\d+)", details["validator"])
            assert details["help"].splitlines()[-1].startswith(f"1 to {limit} "), name


@pytest.mark.parametrize(
    ("question", "answer", "said"),
    [
        ("service_name", " x", "expected 1-80 printable chars"),
        ("description", "", "expected 1-300 printable chars"),
        ("owner", "x" * 81, "expected 1-80 printable chars"),
        ("owner_contact", "a\nb", "expected 1-200 printable chars"),
        ("service_slug", "Bad Slug", "expected a-z, 0-9, single hyphens"),
        ("service_slug", "fastapi", "taken: use fastapi-service"),
    ],
)
def test_refusal_says_what_to_do_within_a_terminal(question: str, answer: str, said: str) -> None:
    """A prompt shows a refusal in one line, cut at 80 columns, behind Copier's own words: ours comes first."""
    (problem,) = answers_hook.problems({question: answer}, CONFIG)
    ours = problem.removeprefix(f"{question}: ")
    assert ours.partition(";")[0] == said
    assert len(f"Validation error for question '{question}': {said}") <= 80


SLUGS = [
    "Orders",
    "order desk",
    "order_desk",
    "-orders",
    "orders-",
    "a--b",
    "9lives",
    "é",
    "orders\n",
    "",
    "a" * 41,
]
SLUGS += ["fastapi", "starlette", "pydantic-core", "greenlet", "prometheus-client", "pytest", "asyncpg"]


@pytest.mark.parametrize("slug", SLUGS, ids=repr)
def test_unfit_slug_is_refused_with_what_is_expected(template: Path, tmp_path: Path, slug: str) -> None:
    """A slug that no registry, image or project could carry is refused, a library's name among them."""
    with pytest.raises(ValueError, match=r"question 'service_slug': (expected|taken: use) .+; found "):
        copy_service(template, tmp_path / "service", service_slug=slug)


@pytest.mark.parametrize(
    ("name", "slug"),
    [
        ("Order Desk", "order-desk"),
        ("FastAPI", "fastapi-service"),
        ("注文", "service"),
        ("42 things", "service-42-things"),
        ("--x--", "x"),
        ("x" * 80, "x" * 32),
        ("pytest " * 11 + "x", "pytest-pytest-pytest-pytest-pyte"),
    ],
)
def test_every_name_has_a_valid_slug_by_default(name: str, slug: str) -> None:
    """The slug proposed for a name is valid by itself, so --defaults always works."""
    known = {"service_name": name, "service_slug": slug}
    assert answers_hook.with_defaults({"service_name": name}, CONFIG)["service_slug"] == slug
    assert answers_hook.problems(known, CONFIG) == []


@pytest.mark.parametrize("slug", ["class", "import", "json", "asyncio", "test", "app", "con", "uv", "none", "true"])
def test_keywords_and_standard_modules_are_harmless_slugs(render: Render, slug: str) -> None:
    """A slug names no Python module, so these resolve to the service itself and to nothing else."""
    service = render(service_slug=slug)
    assert tomllib.loads(text(service / "pyproject.toml"))["project"]["name"] == slug


def test_every_installed_library_is_a_refused_slug(service: Path) -> None:
    """Whatever the service locks today is refused as its name: uv lets no project depend on itself."""
    subprocess.run([require("uv"), "lock", "--quiet"], cwd=service, env=user_environment(), check=True)
    locked = {package["name"] for package in tomllib.loads(text(service / "uv.lock"))["package"]}
    taken = set(answers_hook.with_defaults({}, CONFIG)["taken_names"].split())
    assert locked - taken == {"example-service"}


@settings(deadline=None, max_examples=300)
@given(st.text())
def test_any_text_is_quoted_right_or_refused(answer: str) -> None:
    """Between double quotes in TOML, YAML and JSON a quoted answer reads as the answer, whatever it is."""
    quoted_answer_reads_back(answer)


def quoted_answer_reads_back(answer: str) -> None:
    """Check one text against the validator and the three formats."""
    if answers_hook.problems({"description": answer}, CONFIG):
        return
    quoted = f'"{answers_hook.with_defaults({"description": answer}, CONFIG)["description_quoted"]}"'
    assert json.loads(quoted) == answer
    assert yaml.safe_load(quoted) == answer
    assert tomllib.loads(f"x = {quoted}")["x"] == answer


@pytest.mark.soak
@settings(deadline=None, max_examples=50_000)
@given(st.text(min_size=1, max_size=300))
def test_soak_any_text_is_quoted_right_or_refused(answer: str) -> None:
    """The same for fifty thousand texts."""
    quoted_answer_reads_back(answer)
