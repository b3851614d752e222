"""Two owners in one file: an update keeps both zones, and a conflict settled by the page loses neither side's work."""

import re
from pathlib import Path

from conftest import commit_all, git, release, update_service

# What docs/chassis/updating.md says to do with a conflict: of each block, keep the lines below `=======`.
BLOCK = re.compile(r"^<<<<<<< before updating\n.*?^=======\n(.*?)^>>>>>>> after updating\n", re.DOTALL | re.MULTILINE)


def test_env_example_keeps_both_zones_through_an_update(own_template: Path, service: Path) -> None:
    """A release adds settings first, in the middle and last; the team added its own at the end: no conflict."""
    ours, merged = own_template / "template/.env.example.jinja", service / ".env.example"
    merged.write_text(merged.read_text() + "\n# How often we try.\n#RETRIES=3\n")
    commit_all(service, "the team's setting")
    text = ours.read_text()
    text = text.replace("#ENVIRONMENT=", "#FIRST=1\n#ENVIRONMENT=").replace("#LOG_LEVEL=", "#MIDDLE=2\n#LOG_LEVEL=")
    ours.write_text(text.replace("# --- end of ours", "#LAST=3\n\n# --- end of ours"))
    release(own_template, "2.0.0")

    update_service(service)

    assert "UU" not in git(service, "status", "--porcelain")
    lines = merged.read_text().splitlines()
    assert {"#FIRST=1", "#MIDDLE=2", "#LAST=3", "#RETRIES=3"} <= set(lines)
    assert lines[-1] == "#RETRIES=3"


def moved(text: str, **ranges: str) -> str:
    """Give some libraries other ranges, in the lines of our zone."""
    for name, bounds in ranges.items():
        text, count = re.subn(rf'"{name}>=[^"]*"', f'"{name}{bounds}"', text)
        assert count == 1, name
    return text


def test_conflict_settled_as_the_page_says_loses_nothing(own_template: Path, service: Path) -> None:
    """A range moved by both sides conflicts: with the release's part of the block, all other work of both is there."""
    shared, ours = service / "pyproject.toml", own_template / "template/pyproject.toml.jinja"
    team = shared.read_text().replace('version = "0.1.0"', 'version = "1.4.2"') + "\n[tool.mine]\nkept = true\n"
    end_of_zone = "    # An update never looks past this line.\n"
    team = team.replace(end_of_zone, f'{end_of_zone}    "aiofiles>=25",\n', 1)
    shared.write_text(moved(team, fastapi=">=0.1", ruff=">=0.1"))
    commit_all(service, "the team's work, two ranges of ours among it")
    ours.write_text(moved(ours.read_text(), fastapi=">=9,<10", ruff=">=9,<10", typer=">=9,<10"))
    release(own_template, "2.0.0")

    update_service(service)
    assert git(service, "status", "--porcelain", "pyproject.toml") == "UU pyproject.toml\n"
    assert len(BLOCK.findall(shared.read_text())) == 2
    shared.write_text(BLOCK.sub(r"\1", shared.read_text()))
    assert shared.read_text() == moved(team, fastapi=">=9,<10", ruff=">=9,<10", typer=">=9,<10")
    git(service, "add", "pyproject.toml")
    assert "UU" not in git(service, "status", "--porcelain")


def test_conflict_settled_by_a_whole_side_loses_the_other(own_template: Path, service: Path) -> None:
    """What the page warns of: either version git offers for the file lacks the work of the other side."""
    shared, ours = service / "pyproject.toml", own_template / "template/pyproject.toml.jinja"
    shared.write_text(moved(shared.read_text(), fastapi=">=0.1") + "\n[tool.mine]\nkept = true\n")
    commit_all(service, "the team's work")
    ours.write_text(moved(ours.read_text(), fastapi=">=9,<10", typer=">=9,<10"))
    release(own_template, "2.0.0")

    update_service(service)

    assert "typer>=9" not in git(service, "show", ":2:pyproject.toml"), "git checkout --ours"
    assert "tool.mine" not in git(service, "show", ":3:pyproject.toml"), "git checkout --theirs"


def test_edited_file_of_ours_keeps_the_edit_or_conflicts(own_template: Path, service: Path) -> None:
    """Beside a change of the release an edit stays, on the same line it conflicts; a deleted file stays deleted."""

    def rewrite(folder: Path, name: str, old: str, new: str) -> None:
        (folder / name).write_text((folder / name).read_text().replace(old, new))

    template = own_template / "template"
    rewrite(service, "mypy.ini", "strict = True", "strict = False")
    rewrite(service, "alembic.ini", "path_separator = os", "path_separator = newline")
    rewrite(service, "ops/health.py", '"""', '"""Edited. ')
    (service / "pytest.ini").unlink()
    commit_all(service, "edits in the wrong places")
    rewrite(template, "mypy.ini", "init_typed = True", "init_typed = False")
    rewrite(template, "alembic.ini", "path_separator = os", "path_separator = space")
    rewrite(template, "pytest.ini", "[pytest]", "[pytest]\nminversion = 9")
    (template / "ops/health.py").unlink()
    release(own_template, "2.0.0")

    update_service(service)

    merged = (service / "mypy.ini").read_text()
    assert "strict = False" in merged
    assert "init_typed = False" in merged
    states = git(service, "status", "--porcelain").splitlines()
    assert [line for line in states if line.startswith("UU")] == ["UU alembic.ini"]
    assert not (service / "pytest.ini").exists()
    assert not (service / "ops/health.py").exists(), "a file the release drops goes, edited or not"
