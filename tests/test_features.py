"""A feature comes whole or leaves no trace: `tests/features.toml` names the marks of each."""

import tomllib
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Render
from rendered import files, text

MARKERS = tomllib.loads((ROOT / "tests/features.toml").read_text(encoding="utf-8"))
CHOICES = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))["features"]["choices"]
COPIERS = {".copier-answers.yml"}  # names what was answered


def texts(service: Path) -> str:
    """Return everything that is written in a service."""
    names = [name for name in files(service) if name.as_posix() not in COPIERS]
    return "\n".join(text(service / name) or "" for name in names)


@pytest.mark.parametrize("feature", MARKERS)
def test_feature_comes_whole(render: Render, feature: str) -> None:
    """Alone, with nothing else chosen, it brings every one of its files and marks."""
    service = render(features=[feature])
    marks = MARKERS[feature]
    assert [path for path in marks["paths"] if not (service / path).exists()] == []
    written = texts(service)
    assert [mark for name, mark in marks.items() if name != "paths" and mark not in written] == []


@pytest.mark.parametrize("feature", MARKERS)
def test_feature_leaves_no_trace(render: Render, feature: str) -> None:
    """Without it, no file of it and no mark in any other; a mark that another feature has too is that one's."""
    others = [name for name in CHOICES if name != feature]
    for chosen in ([], others):
        service = render(features=chosen)
        assert [path for path in MARKERS[feature]["paths"] if (service / path).exists()] == []
        written = texts(service)
        wanted = {mark for other in chosen for mark in MARKERS.get(other, {}).values() if isinstance(mark, str)}
        marks = {mark for name, mark in MARKERS[feature].items() if name != "paths"} - wanted
        assert [mark for mark in marks if mark in written] == []
