"""Every pair of answers renders a service that parses, is formatted and linted, and shows no Jinja."""

import ast
import json
import re
import subprocess
import tomllib

import pytest
import yaml
from conftest import ROOT, Render
from rendered import CONDITION_IN_NAME, SUFFIX, files, pairwise, rendered_name, subsets, text
from tools import require

TEMPLATE = ROOT / "template"
CONFIG = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
CHOICES = {
    name: subsets(details["choices"]) if details.get("multiselect") else details["choices"]
    for name, details in CONFIG.items()
    if "choices" in details
}
PROFILES = [pytest.param(answers, id="-".join(map(str, answers.values()))) for answers in pairwise(CHOICES)]

# The only files that may hold a condition (a bare computed answer), and how much of them.
COMPOSERS = {
    "src/app/chassis/features.py",
    "pyproject.toml",
    ".env.example",
    "compose.yaml",
    "README.md",
    ".gitlab-ci.yml",
}
CONDITION = re.compile(r"\{%-?\s*(if|elif|else|endif|for|endfor|set|macro|include|import|extends)\b")


class Yaml(yaml.SafeLoader):
    """A YAML reader that lets other programs' tags (GitLab's !reference) pass."""


Yaml.add_multi_constructor("!", lambda _loader, _suffix, node: str(node))

PARSERS = {
    ".py": ast.parse,
    ".json": json.loads,
    ".toml": tomllib.loads,
    ".yml": lambda content: list(yaml.load_all(content, Loader=Yaml)),
    ".yaml": lambda content: list(yaml.load_all(content, Loader=Yaml)),
}


@pytest.mark.parametrize("answers", PROFILES)
def test_rendered_files_parse(render: Render, answers: dict) -> None:
    """Every Python, YAML, TOML and JSON file of a render is read by its own parser."""
    service = render(**answers)
    for name in files(service):
        parse = PARSERS.get(name.suffix, str)
        try:
            parse(text(service / name) or "")
        except (ValueError, SyntaxError, yaml.YAMLError) as error:
            pytest.fail(f"{name}: {error}")


@pytest.mark.parametrize("answers", PROFILES)
@pytest.mark.parametrize("command", [["format", "--check"], ["check"]], ids=" ".join)
def test_render_is_left_unchanged_by_ruff(render: Render, answers: dict, command: list[str]) -> None:
    """Formatter and linter, with the service's own settings, find nothing to change."""
    service = render(**answers)
    done = subprocess.run(
        [require("ruff"), *command, "--no-cache", "."],
        cwd=service,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("answers", PROFILES)
def test_render_shows_no_trace_of_jinja(render: Render, answers: dict) -> None:
    """No file from a .jinja source holds a delimiter, and no verbatim file an answer in braces."""
    service = render(**answers)
    rendered = {rendered_name(source) for source in files(TEMPLATE) if source.suffix == SUFFIX}
    strict = re.compile(r"(?<!\$)(\{\{|\{%|\{#)")
    answer = re.compile(rf"\{{\{{-?\s*(_copier|{'|'.join(key for key in CONFIG if key[0] != '_')})\b")
    for name in files(service):
        found = (strict if name.as_posix() in rendered else answer).search(text(service / name) or "")
        assert not found, f"{name}: {found}"


@pytest.mark.parametrize("answers", PROFILES)
def test_render_holds_what_was_answered(render: Render, answers: dict) -> None:
    """CI, container and licence files are there exactly when they were asked for."""
    service = render(**answers)
    assert (service / ".github").exists() == (answers["ci"] in {"github", "both"})
    assert (service / ".gitlab-ci.yml").exists() == (answers["ci"] in {"gitlab", "both"})
    assert (service / "compose.yaml").exists() == (answers["deploy"] in {"compose", "both"})
    for name in ("deploy/kubernetes/base", "deploy/kubernetes/overlays", "docs/chassis/kubernetes.md"):
        assert (service / name).exists() == (answers["deploy"] in {"kubernetes", "both"}), name
    for name in ("Dockerfile", ".dockerignore", "deploy/packages.txt"):
        assert (service / name).exists() == (answers["deploy"] != "none"), name
    assert (service / "deploy/monitoring").exists()
    project = tomllib.loads(text(service / "pyproject.toml"))["project"]
    assert project["requires-python"] == f">={answers['python_version']}"
    assert project["license"].removeprefix("LicenseRef-").lower() == answers["license"].lower()
    assert len(text(service / "LICENSE")) > 100


def test_license_names_the_holder(render: Render) -> None:
    """The short licences name the owner; the Apache licence is the unchanged text."""
    for chosen in ("proprietary", "MIT"):
        assert "Copyright (c) The Orderly" in text(render(license=chosen, owner="The Orderly") / "LICENSE")
    assert "Version 2.0, January 2004" in text(render(license="Apache-2.0") / "LICENSE")


def test_template_paths_work_on_every_system() -> None:
    """No path holds a character some file system refuses; a condition in one is a bare computed answer."""
    computed = {name for name, details in CONFIG.items() if isinstance(details, dict) and details.get("when") is False}
    for source in files(TEMPLATE):
        conditions = {found["answer"] for found in CONDITION_IN_NAME.finditer(source.as_posix())}
        assert conditions <= computed, source
        arrives = rendered_name(source)
        assert arrives.isascii(), source
        assert not re.search(r'["<>|:*?\\{}%]', arrives), source
        assert all(part == part.rstrip(" .") for part in arrives.split("/")), source


def test_no_two_sources_render_to_one_path() -> None:
    """Only these have several sources, of which exactly one is rendered; what differs by an answer is small."""
    names = [rendered_name(source) for source in files(TEMPLATE)]
    assert {name for name in names if names.count(name) > 1} == {
        "LICENSE",
        "src/app/api/v1/items/access.py",
        "tests/service.py",
    }


def test_most_template_files_are_verbatim() -> None:
    """At least four in five files hold no Jinja, so that they are linted where they lie."""
    every = list(files(TEMPLATE))
    verbatim = [source for source in every if source.suffix != SUFFIX]
    assert len(verbatim) >= 0.8 * len(every), sorted(str(path) for path in set(every) - set(verbatim))


def test_every_jinja_suffix_is_needed() -> None:
    """A file with the suffix holds Jinja, so nothing is kept from the linters in vain."""
    for source in files(TEMPLATE):
        if source.suffix == SUFFIX:
            assert re.search(r"\{\{|\{%|\{#", text(TEMPLATE / source)), source


def test_conditions_keep_their_budget() -> None:
    """Conditions stand in the composers only, one deep, in at most 15 % of a file and 3 % of all lines."""
    conditional = lines = 0
    for source in files(TEMPLATE):
        content = (text(TEMPLATE / source) or "").splitlines()
        lines += len(content)
        if source.suffix != SUFFIX:
            continue
        found = [line for line in content if CONDITION.search(line)]
        conditional += len(found)
        if found:
            assert rendered_name(source) in COMPOSERS, source
            assert len(found) <= 0.15 * len(content), source
            assert _depth(content) <= 1, source
    assert conditional <= 0.03 * lines


def _depth(content: list[str]) -> int:
    depth = deepest = 0
    for line in content:
        depth += len(re.findall(r"\{%-?\s*if\b", line)) - len(re.findall(r"\{%-?\s*endif\b", line))
        deepest = max(deepest, depth)
    return deepest


def test_workflows_are_verbatim() -> None:
    """What CI runs stands in the template as it will stand in the service."""
    sources = [source for source in files(TEMPLATE) if ".github/workflows/" in rendered_name(source)]
    assert all(source.suffix != SUFFIX for source in sources)


def test_no_key_asks_for_trust() -> None:
    """Nothing in copier.yml makes Copier ask for --trust, now or in an update."""
    assert not {"_tasks", "_migrations", "_jinja_extensions", "_external_data"} & set(CONFIG)


def test_questions_are_few_and_explained() -> None:
    """At most twelve questions are asked, each with a type, a default and two or three lines of help."""
    asked = {
        name: details
        for name, details in CONFIG.items()
        if name[0] != "_" and details.get("when") is not False and details.get("ask") is not False
    }
    assert len(asked) <= 12
    for name, details in asked.items():
        assert {"type", "default", "help"} <= set(details), name
        assert len(details["help"].splitlines()) == (3 if "validator" in details else 2), name
        assert "choices" in details or "validator" in details, name
    assert len((ROOT / "copier.yml").read_text(encoding="utf-8").splitlines()) <= 250
