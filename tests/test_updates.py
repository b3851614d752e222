"""Services of every release come to the working tree, with a team's edits, and nothing of the team's is lost."""

from pathlib import Path

import copier
import pytest
import yaml
from conftest import PROFILES, commit_all, git
from updating import BINARY, NEWEST, VERSIONS, edit, lost, other_than, owners_at, released, unmerged

OLDER = VERSIONS[:-1]
SMALL = {(OLDER[0], "everything"), (OLDER[-1], "default")}
ALL = [
    pytest.param(version, profile, marks=() if (version, profile) in SMALL else pytest.mark.soak)
    for version in OLDER
    for profile in PROFILES
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the template with all its releases."""
    return released(tmp_path_factory.mktemp("released") / "plumbline")


def rendered(template: Path, folder: Path, version: str, answers: dict) -> Path:
    """Return a service of a release; of the answers it gets those that this release asks for."""
    asked = yaml.safe_load(git(template, "show", f"v{version}:copier.yml"))
    known = {
        name: answer
        for name, answer in answers.items()
        if name in asked and (not isinstance(answer, str) or answer in asked[name].get("choices", [answer]))
    }
    copier.run_copy(str(template), folder, data=known, defaults=True, quiet=True, vcs_ref=f"v{version}")
    return folder


def update(service: Path, version: str | None = None) -> None:
    """Update as a user does, and commit where nothing is to be settled."""
    ref = f"v{version}" if version else None
    copier.run_update(service, defaults=True, overwrite=True, quiet=True, vcs_ref=ref)


@pytest.mark.parametrize(("version", "profile"), ALL)
def test_service_of_any_release_comes_to_the_newest(template: Path, tmp_path: Path, version: str, profile: str) -> None:
    """No file to settle, no line of the team's gone, ours as in a fresh render, and a second update changes nothing."""
    service = rendered(template, tmp_path / "a service", version, PROFILES[profile])
    kept = edit(service, owners_at(template, version))
    commit_all(service, "a year of work")

    update(service)

    assert unmerged(service) == []
    assert lost(service, kept) == []
    assert (service / "logo.bin").read_bytes() == BINARY
    assert not (service / "AGENTS.md").exists()
    commit_all(service, "updated")
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    fresh = rendered(template, tmp_path / "fresh", NEWEST, {k: v for k, v in answers.items() if k[0] != "_"})
    assert other_than(fresh, service, owners_at(template, NEWEST)) == []
    update(service)
    assert git(service, "status", "--porcelain") == ""


@pytest.mark.soak
def test_service_of_the_first_release_goes_through_every_release_in_turn(template: Path, tmp_path: Path) -> None:
    """Step by step is the same as at once, and no step leaves anything to settle."""
    service = rendered(template, tmp_path / "a service", VERSIONS[0], {})
    kept = edit(service, owners_at(template, VERSIONS[0]))
    commit_all(service, "a year of work")
    for version in VERSIONS[1:]:
        update(service, version)
        assert unmerged(service) == [], version
        assert lost(service, kept) == [], version
        commit_all(service, version)
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    fresh = rendered(template, tmp_path / "fresh", NEWEST, {k: v for k, v in answers.items() if k[0] != "_"})
    assert other_than(fresh, service, owners_at(template, NEWEST)) == []


def test_update_brings_no_feature_that_nobody_chose(template: Path, tmp_path: Path) -> None:
    """A service of a release before `features` has none afterwards; a new service has them."""
    service = rendered(template, tmp_path / "old", VERSIONS[0], {})
    commit_all(service, "render")
    update(service)
    assert yaml.safe_load((service / ".copier-answers.yml").read_text())["features"] == []
    assert not (service / "src/app/chassis/auth").exists()
    new = rendered(template, tmp_path / "new", NEWEST, {})
    assert yaml.safe_load((new / ".copier-answers.yml").read_text())["features"] == ["auth", "rate_limit"]
