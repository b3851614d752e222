"""docs/releases.toml: each release with its commit and notes, and notes that tell all that came and went."""

import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import ROOT, git
from release_notes import Release, ReleasesError, all_problems, problems, read, taken_away
from surface import KINDS, owners_of, surface_of, tree_of

EMPTY = dict.fromkeys(KINDS, frozenset())


def hook(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run hooks/release_notes.py, as `make release-check` does."""
    command = [sys.executable, "hooks/release_notes.py", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_notes_of_every_release_tell_what_changed() -> None:
    """From commit to commit, the working tree last: each name that came or went is noted, and nothing else is."""
    done = hook("check")
    assert (done.returncode, done.stderr) == (0, "")


def test_commits_of_releases_are_in_the_history_in_turn() -> None:
    """A release contains the one before it, so an update never goes back."""
    commits = [one.commit for one in read() if one.commit]
    for older, newer in zip(commits, [*commits[1:], "HEAD"], strict=True):
        git(ROOT, "merge-base", "--is-ancestor", older, newer)


def test_newest_release_has_a_surface_of_each_kind() -> None:
    """A kind that is read from the wrong place would be empty, and would compare as unchanged."""
    found = surface_of(tree_of(None, ROOT))
    assert {kind for kind in KINDS if found[kind]} == set(KINDS)
    assert "/readyz" in found["urls"]
    assert "DATABASE_URL" in found["settings"]
    assert "app.chassis.http:fails_with" in found["names"]


@pytest.mark.parametrize("kind", KINDS)
def test_name_that_came_or_went_unnoted_is_told(kind: str) -> None:
    """Either way the message has release, kind and name; a pattern that meets nothing is told as well."""
    release = Release("9.9.9", None, ("A sentence that says old.",))
    came, went = EMPTY | {kind: frozenset({"new"})}, EMPTY | {kind: frozenset({"old"})}
    assert list(problems(release, EMPTY, came)) == [f"9.9.9: added.{kind}: found no new, expected it in the notes"]
    assert list(problems(release, went, EMPTY)) == [f"9.9.9: removed.{kind}: found no old, expected it in the notes"]
    told = replace(release, added={kind: ["ne*", "other"]})
    assert list(problems(told, EMPTY, came)) == [f"9.9.9: added.{kind}: found 'other', but nothing such was added"]
    renamed = replace(release, renamed={kind: {"old": "new"}})
    assert list(problems(renamed, went, came)) == []


def test_setting_that_went_stands_in_a_sentence() -> None:
    """Who has it in `.env` reads sentences, not lists."""
    release = Release("9.9.9", None, ("Less to set.",), removed={"settings": ["OLD"]})
    found = list(problems(release, EMPTY | {"settings": frozenset({"OLD"})}, EMPTY))
    assert found == ["9.9.9: settings: OLD went, and no sentence of the notes names it"]


def test_file_that_an_update_would_take_from_a_team_is_told() -> None:
    """A shared one keeps its name and stays shared, one of theirs is never ours; ours may come and go."""
    before = {"a.toml": "shared", "b.toml": "shared", "c.py": "theirs", "d.py": "theirs", "e.py": "ours"}
    after = {"a.toml": "theirs", "new.toml": "shared", "c.py": "ours"}
    assert list(taken_away("9.9.9", before, after)) == [
        "9.9.9: a.toml was shared: found theirs, expected it to stay so by that name",
        "9.9.9: b.toml was shared: found it gone, expected it to stay so by that name",
        "9.9.9: c.py was theirs: found it ours, expected a file of ours by another name",
    ]
    assert set(owners_of(tree_of(None, ROOT)).values()) == {"ours", "shared", "theirs"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "expected a list of [[release]]"),
        ('[[release]]\nversion = "1.0.0"\ncolour = "red"\n', "unknown colour"),
        ('[[release]]\nversion = "1.0.0"\n[release.added]\nnothing = ["x"]\n', "1.0.0: added.nothing"),
        ('[[release]]\nversion = "1.0.0"\n[[release]]\nversion = "1.0.0"\n', "expected the oldest first, each once"),
        ('[[release]]\nversion = "1.0.0"\n[[release]]\nversion = "1.1.0"\n', "found no commit of 1.0.0"),
    ],
)
def test_list_that_is_none_is_one_message(tmp_path: Path, text: str, expected: str) -> None:
    """It says what was found and what is expected."""
    (tmp_path / "docs").mkdir()
    (tmp_path / "docs/releases.toml").write_text(text)
    with pytest.raises(ReleasesError, match=r"docs/releases\.toml: found ") as error:
        read(tmp_path)
    assert expected in str(error.value)


def test_working_tree_with_a_new_setting_is_refused(tmp_path: Path) -> None:
    """The newest release is compared with what lies here, committed or not."""
    clone = tmp_path / "clone"
    git(ROOT, "clone", "--quiet", str(ROOT), str(clone))
    for name in ("docs/releases.toml", "copier.yml"):
        shutil.copy2(ROOT / name, clone / name)
    shutil.rmtree(clone / "template")
    shutil.copytree(ROOT / "template", clone / "template")
    example = clone / "template/.env.example.jinja"
    example.write_text(f"#SURPRISE=1\n{example.read_text()}")
    releases = read(clone)
    assert all_problems(releases, clone) == [
        f"{releases[-1].version}: added.settings: found no SURPRISE, expected it in the notes"
    ]


def test_notes_are_printed_since_a_release() -> None:
    """Whoever comes from a release reads what came after it, the newest first."""
    versions = [one.version for one in read()]
    printed = hook("notes", "--since", versions[-3]).stdout
    assert [line[3:] for line in printed.splitlines() if line.startswith("## ")] == versions[:-3:-1]
