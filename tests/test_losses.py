"""Where Copier alone loses work: what of it cannot happen to a service, and what `make update` refuses."""

import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import copier
import pytest
from conftest import ROOT, Render, commit_all, copy_service, git, release
from rendered import files
from test_drift import edit, run
from updating import lessen

PAGE = ROOT / "template/docs/chassis/updating.md"
PICTURE = bytes(range(256))
OURS = "the team was here"
pytestmark = pytest.mark.usefixtures("update_tools")


@dataclass(frozen=True)
class Updated:
    """One service before an update, by Copier alone, and what `make update` said of it."""

    bare: Path
    told: tuple[int, str, str]


def prepare(template: Path) -> None:
    """Leave little else than the programs, and add what the situations need."""
    lessen(template, ".env.example", "alembic", "mypy", "ruff")
    (template / "template/docs").mkdir()
    for path in ("ops/picture.png", "docs/logo.png"):
        (template / "template" / path).write_bytes(PICTURE)
    for path in ("ops/gone.py", "ops/renamed.py", "docs/terms.md"):
        (template / "template" / path).write_text("released = True\n")
    commit_all(template, "pictures")
    git(template, "tag", "--force", "1.0.0")


def newer(template: Path) -> None:
    """Release 2.0.0, which does to files what loses work: deletes, renames, puts under a condition."""
    folder = template / "template"
    (folder / "ops/gone.py").unlink()
    (folder / "ops/renamed.py").rename(folder / "ops/new_name.py")
    (folder / "ruff.toml").unlink()
    (folder / "docs/terms.md").rename(folder / "docs/{% if with_mit %}terms.md{% endif %}")
    edit(folder / "mypy.ini", "strict", "# newer\nstrict")
    release(template, "2.0.0")


def work(service: Path) -> None:
    """Edit every one of those files, as a team might."""
    for path in ("ops/gone.py", "ops/renamed.py", ".github/workflows/chassis-ci.yml", "ruff.toml", "docs/terms.md"):
        with (service / path).open("a") as file:
            file.write(f"# {OURS}\n")
    for path in ("ops/picture.png", "docs/logo.png"):
        (service / path).write_bytes(PICTURE + OURS.encode())
    commit_all(service, "edits")
    (service / ".env").write_text(f"# {OURS}\n")


@pytest.fixture(scope="module")
def updated(template: Path, tmp_path_factory: pytest.TempPathFactory) -> Updated:
    """Return the service after `make update` refused, and its copy after Copier's own update."""
    folder = tmp_path_factory.mktemp("losses")
    own = shutil.copytree(template, folder / "template", symlinks=True)
    prepare(own)
    service = copy_service(own, folder / "a service")
    commit_all(service, "render")
    work(service)
    newer(own)
    bare = shutil.copytree(service, folder / "bare", symlinks=True)
    copier.run_update(bare, data={"ci": "none", "service_slug": "other"}, defaults=True, overwrite=True, quiet=True)
    head = git(service, "rev-parse", "HEAD")
    told = run(service, "update", "ARGS=--data ci=none --data service_slug=other")
    assert (git(service, "rev-parse", "HEAD"), git(service, "status", "--porcelain")) == (head, "")
    return Updated(bare, told)


def held(path: Path) -> bool:
    """Whether the team's work is in the file."""
    return path.is_file() and OURS.encode() in path.read_bytes()


# Situation as the page tells it: a file that is in it, and what `make update` says where Copier loses it.
SITUATIONS = {
    "a release deletes a file of ours that you edited": ("ops/gone.py", "would be deleted, with your edits"),
    "a release renames one": ("ops/renamed.py", "would be deleted, with your edits"),
    "an answer takes one away": (".github/workflows/chassis-ci.yml", "would be deleted, with your edits"),
    "a picture of ours that you drew in": ("ops/picture.png", "is no text, and would be the release's again"),
    "a picture of yours": ("docs/logo.png", None),
    "a release has a file of yours no more": ("ruff.toml", None),
    "a release puts a file of yours under a condition": ("docs/terms.md", None),
    "another slug": (None, None),
    "a file of yours that git ignores": (".env", None),
}


@pytest.mark.parametrize("situation", SITUATIONS)
def test_what_copier_loses_is_refused_and_all_else_stays(updated: Updated, situation: str) -> None:
    """Each situation is one of two: the update by Copier alone keeps the work, or `make update` names what would go."""
    path, refused = SITUATIONS[situation]
    code, told, _ = updated.told
    assert code == 1
    if path is None:
        deleted = git(updated.bare, "diff", "--name-only", "--diff-filter=D").split()
        assert [name for name in deleted if not name.startswith(".github/")] == ["ops/gone.py", "ops/renamed.py"]
    elif refused:
        assert not held(updated.bare / path), "Copier keeps it by now: the row of the page can go"
        assert f"LOST: {path} {refused}" in told.splitlines()
    else:
        assert held(updated.bare / path)
        assert f"LOST: {path}" not in told


def test_page_lists_the_situations() -> None:
    """The table of the page has these rows and no others, with the side each is on."""
    rows = re.findall(r"^\| (.+?) \| (stays|refused)\b.* \|$", PAGE.read_text(), re.MULTILINE)
    assert dict(rows) == {name: "refused" if word else "stays" for name, (_, word) in SITUATIONS.items()} | {
        "a release moves it by a migration of Copier's": "refused",
        # Before anything is tried, see test_update.py.
        "a file of ours that git ignores, here or in the release": "refused",
        "a file that git is told not to look at": "refused",
    }


def test_release_with_a_migration_is_refused(service: Path, own_template: Path) -> None:
    """A rename by a migration loses edits, too, and needs trust: not done, exit code 2, nothing changed."""
    with (own_template / "copier.yml").open("a") as file:
        file.write("_migrations: [{version: 2.0.0, command: [git, mv, mypy.ini, types.ini]}]\n")
    release(own_template, "2.0.0")
    code, _, wrong = run(service, "update")
    assert (code, "not done: Copier failed:" in wrong) == (2, True)
    assert "trust" in wrong
    assert git(service, "status", "--porcelain") == ""


def test_template_renders_nothing_that_git_ignores(render: Render) -> None:
    """What git ignores could not be brought back, so an update must not write there."""
    service = render("everything")
    names = "\n".join(str(path) for path in files(service))
    done = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"], cwd=service, input=names, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
