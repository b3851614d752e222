"""What a valid set of answers is: each problem says what was found and what is expected.

A Typer program over pure functions. It reads the questions and their validators from copier.yml, so it can
judge an answers file before a render or an update does. No render needs it.
"""

import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer
import yaml
from jinja2 import Environment, StrictUndefined, Template

COPIER_YML = Path(__file__).resolve().parent.parent / "copier.yml"
# The filters Copier lends to every template; a validator may use them.
COPIER_FILTERS = "jinja2_ansible_filters.AnsibleCoreFiltersExtension"


def questions(config: Mapping) -> dict[str, dict]:
    """Return the questions of a parsed copier.yml in order, computed ones included."""
    return {name: details for name, details in config.items() if not name.startswith("_")}


def problems(answers: Mapping[str, Any], config: Mapping) -> list[str]:
    """List what is wrong with a set of answers; an empty list is a valid set.

    Answers left out take their defaults. Keys that start with an underscore are Copier's own, not looked at.
    """
    asked = {name: details for name, details in questions(config).items() if details.get("when") is not False}
    unknown = sorted(name for name in answers if not name.startswith("_") and name not in asked)
    found = [f"{name}: found an unknown question, expected one of {', '.join(asked)}" for name in unknown]
    return found + list(_wrong_answers(answers, config))


def with_defaults(answers: Mapping[str, Any], config: Mapping) -> dict[str, Any]:
    """Complete answers by every default and computed answer, in the questions' order; nothing is judged."""
    known: dict[str, Any] = {}
    for name, details in questions(config).items():
        known[name] = answers[name] if name in answers else _default(details, known)
    return known


def _wrong_answers(answers: Mapping[str, Any], config: Mapping) -> Iterator[str]:
    known: dict[str, Any] = {}
    for name, details in questions(config).items():
        default = _default(details, known)
        known[name] = default
        if name in answers and details.get("when") is not False:
            problem = _problem(answers[name], details, {**known, name: answers[name]})
            if problem:
                yield f"{name}: {problem}"
            else:
                known[name] = answers[name]


@functools.cache
def _compiled(source: str) -> Template:
    # Plain text is rendered here, as Copier does it, never HTML: nothing is to be escaped.
    options = {"undefined": StrictUndefined, "trim_blocks": True, "lstrip_blocks": True}
    environment = Environment(autoescape=False, extensions=[COPIER_FILTERS], **options)  # noqa: S701 - see above
    return environment.from_string(source)


def _default(details: Mapping, known: Mapping[str, Any]) -> Any:
    default = details["default"]
    if not isinstance(default, str):
        return default
    rendered = _compiled(default).render(known)
    is_text = details["type"] == "str" and not details.get("multiselect")
    return rendered if is_text else yaml.safe_load(rendered)


def _problem(value: Any, details: Mapping, known: Mapping[str, Any]) -> str:
    choices = details.get("choices")
    if details.get("multiselect"):
        is_good = isinstance(value, list) and all(choice in choices for choice in value)
        return "" if is_good else f"found {value!r}, expected a list of any of {', '.join(choices)}"
    if details["type"] == "str" and not isinstance(value, str):
        return f"found {value!r}, expected a text (put it in quotes)"
    if choices and value not in choices:
        return f"found {value!r}, expected one of {', '.join(choices)}"
    validator = _compiled(details.get("validator", ""))
    return " ".join(validator.render(known).split())


def read_yaml(path: Path) -> Mapping:
    """Read a YAML mapping.

    Raises:
        typer.BadParameter: the file cannot be read or holds something else.
    """
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise typer.BadParameter(f"found {path} unreadable ({error}), expected a YAML file of answers") from error
    if not isinstance(content, Mapping):
        raise typer.BadParameter(f"found no mapping in {path}, expected lines such as `service_name: Order Desk`")
    return content


def main(file: Annotated[Path, typer.Argument(help="An answers file, such as .copier-answers.yml.")]) -> None:
    """Say whether a file holds valid answers. Exit 0: it does, 1: it does not, 2: it could not be read."""
    found = problems(read_yaml(file), read_yaml(COPIER_YML))
    for problem in found:
        typer.echo(problem, err=True)
    if not found:
        typer.echo(f"{file}: good")
    raise typer.Exit(1 if found else 0)


if __name__ == "__main__":
    typer.run(main)
