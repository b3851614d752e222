"""The programs in hooks/ answer as their pages say: 0 good, 1 found something bad, 2 wrong use."""

from pathlib import Path

import answers as answers_hook
import ownership as ownership_hook
import pytest
import yaml
from conftest import ROOT, Render
from typer import Typer
from typer.testing import CliRunner

CONFIG = answers_hook.read_yaml(ROOT / "copier.yml")


def run(main: object, *arguments: object) -> tuple[int, str]:
    """Run one hook's command line in this process and return its exit code and all it said."""
    program = Typer()
    program.command()(main)
    result = CliRunner().invoke(program, [str(argument) for argument in arguments])
    return result.exit_code, result.output


def test_answers_of_a_render_are_good(render: Render) -> None:
    """The answers file of every render passes."""
    assert run(answers_hook.main, render() / ".copier-answers.yml")[0] == 0


def test_answers_names_every_problem(tmp_path: Path) -> None:
    """Each wrong answer gets one line: what was found, what is expected."""
    wrong = {
        "service_name": 3,
        "service_slug": "Big One",
        "ci": "jenkins",
        "python_version": 3.1,
        "colour": "red",
    }
    (tmp_path / "answers.yml").write_text(yaml.safe_dump(wrong))
    code, said = run(answers_hook.main, tmp_path / "answers.yml")
    assert code == 1
    assert {line.split(":")[0] for line in said.splitlines()} == set(wrong)
    assert all("found" in line and "expected" in line for line in said.splitlines())


@pytest.mark.parametrize("content", [None, "- a list", "{unclosed", "\x00"])
def test_answers_file_that_cannot_be_read_is_wrong_use(tmp_path: Path, content: str | None) -> None:
    """A missing or broken file exits with 2."""
    if content is not None:
        (tmp_path / "answers.yml").write_text(content)
    assert run(answers_hook.main, tmp_path / "answers.yml")[0] == 2


@pytest.mark.parametrize(("question", "details"), answers_hook.questions(CONFIG).items())
def test_answers_judges_as_copier_does(question: str, details: dict) -> None:
    """Every default is a valid answer; a computed one is no answer at all."""
    value = answers_hook.with_defaults({}, CONFIG)[question]
    assert bool(answers_hook.problems({question: value}, CONFIG)) == (details.get("when") is False)


def test_ownership_names_the_owner() -> None:
    """Each path is printed with its one owner."""
    code, said = run(ownership_hook.main, "Makefile", "README.md", "pyproject.toml")
    assert (code, said.split()) == (
        0,
        ["ours", "Makefile", "theirs", "README.md", "shared", "pyproject.toml"],
    )


def test_ownership_refuses_an_unlisted_path() -> None:
    """There is no default owner."""
    code, said = run(ownership_hook.main, "Makefile", "novel.txt")
    assert code == 1
    assert "novel.txt: found no owner, expected exactly one" in said


def test_ownership_refuses_two_owners() -> None:
    """A path in two lists is as wrong as a path in none."""
    lists = ownership_hook.owners({"ownership": {"default": {"ours": ["/a"], "theirs": ["/a"]}}})
    with pytest.raises(ownership_hook.UnownedPathError, match="found ours and theirs"):
        ownership_hook.owner_of("a", lists)


@pytest.mark.parametrize("arguments", [[], ["--rendered", "no such folder"], ["x", "--rendered", "."]], ids=str)
def test_ownership_called_wrongly_says_so(arguments: list[str]) -> None:
    """Neither paths nor a folder, both, or a folder that is not there exit with 2."""
    assert run(ownership_hook.main, *arguments)[0] == 2
