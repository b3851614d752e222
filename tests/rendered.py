"""What the tests read of a template and of a rendered service. Standard library only."""

import itertools
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

SUFFIX = ".jinja"
CONDITION_IN_NAME = re.compile(r"\{% if (?P<answer>[a-z_]+) %\}(?P<name>[^{}]*)\{% endif %\}")
CACHES = {".git", ".venv", ".tools", "var", "__pycache__", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".hypothesis"}


def files(root: Path) -> Iterator[Path]:
    """Yield every file below a folder, sorted, caches left out, relative to it."""
    for path in sorted(root.rglob("*")):
        relative = path.relative_to(root)
        if path.is_file() and CACHES.isdisjoint(relative.parts):
            yield relative


def rendered_name(source: Path) -> str:
    """Say where a template file arrives in a service, its conditions met."""
    name = CONDITION_IN_NAME.sub(r"\g<name>", source.as_posix()).removesuffix(SUFFIX)
    return name.replace("{{_copier_conf.answers_file}}", ".copier-answers.yml")


def text(path: Path) -> str | None:
    """Read a file, or return None when it holds no text."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None


def pairwise(options: Mapping[str, Sequence]) -> list[dict]:
    """Choose few sets of answers in which every pair of answers to two questions occurs."""
    names = list(options)
    every = [dict(zip(names, values, strict=True)) for values in itertools.product(*options.values())]
    missing = {pair for answers in every for pair in _pairs(answers)}
    chosen: list[dict] = []
    while missing:
        best = max(every, key=lambda answers: len(missing & _pairs(answers)))
        missing -= _pairs(best)
        chosen.append(best)
    return chosen


def _pairs(answers: Mapping) -> set:
    return set(itertools.combinations(sorted((name, str(answer)) for name, answer in answers.items()), 2))


def subsets(choices: Sequence[str]) -> list[list[str]]:
    """Return every set of answers to a question that takes several, none and all among them."""
    return [list(some) for size in range(len(choices) + 1) for some in itertools.combinations(choices, size)]
