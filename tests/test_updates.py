"""Services of every release come to the working tree, with a team's edits, and nothing of the team's is lost."""

from pathlib import Path

import copier
import pytest
import yaml
from by_hand import STEPS, formatted
from conftest import PROFILES, commit_all, git, make, share
from release_notes import read
from rendering import FEATURES
from updating import BINARY, NEWEST, VERSIONS, edit, lost, other_than, owners_at, released, unmerged

OLDER = VERSIONS[:-1]
SMALL = {(OLDER[0], "everything"), (OLDER[-1], "default")}
ALL = [
    pytest.param(version, profile, marks=() if (version, profile) in SMALL else pytest.mark.soak)
    for version in OLDER
    for profile in PROFILES
]


@pytest.fixture(scope="module")
def releases(tmp_path_factory: pytest.TempPathFactory) -> Path:
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
def test_service_of_any_release_comes_to_the_newest(releases: Path, tmp_path: Path, version: str, profile: str) -> None:
    """No file to settle, no line of the team's gone, ours as in a fresh render, and a second update changes nothing."""
    service = rendered(releases, tmp_path / "a service", version, PROFILES[profile])
    kept = edit(service, owners_at(releases, version))
    commit_all(service, "a year of work")

    update(service)

    assert unmerged(service) == []
    assert lost(service, kept) == []
    assert (service / "logo.bin").read_bytes() == BINARY
    assert not (service / "AGENTS.md").exists()
    commit_all(service, "updated")
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    fresh = rendered(releases, tmp_path / "fresh", NEWEST, {k: v for k, v in answers.items() if k[0] != "_"})
    assert other_than(fresh, service, owners_at(releases, NEWEST)) == []
    update(service)
    assert git(service, "status", "--porcelain") == ""


@pytest.mark.soak
def test_service_of_the_first_release_goes_through_every_release_in_turn(releases: Path, tmp_path: Path) -> None:
    """Step by step is the same as at once, and no step leaves anything to settle."""
    service = rendered(releases, tmp_path / "a service", VERSIONS[0], {})
    kept = edit(service, owners_at(releases, VERSIONS[0]))
    commit_all(service, "a year of work")
    for version in VERSIONS[1:]:
        update(service, version)
        assert unmerged(service) == [], version
        assert lost(service, kept) == [], version
        commit_all(service, version)
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    fresh = rendered(releases, tmp_path / "fresh", NEWEST, {k: v for k, v in answers.items() if k[0] != "_"})
    assert other_than(fresh, service, owners_at(releases, NEWEST)) == []


def test_update_brings_no_feature_that_nobody_chose(releases: Path, tmp_path: Path) -> None:
    """A service of a release before `features` has none afterwards; a new service has them."""
    service = rendered(releases, tmp_path / "old", VERSIONS[0], {})
    commit_all(service, "render")
    update(service)
    assert yaml.safe_load((service / ".copier-answers.yml").read_text())["features"] == []
    assert not (service / "src/app/chassis/auth").exists()
    new = rendered(releases, tmp_path / "new", NEWEST, {})
    assert yaml.safe_load((new / ".copier-answers.yml").read_text())["features"] == ["auth", "rate_limit"]


@pytest.mark.soak
@pytest.mark.parametrize("version", OLDER)
def test_features_come_and_go_after_an_update_and_take_no_line_of_the_team_s(
    releases: Path, tmp_path: Path, version: str
) -> None:
    """Each in turn, with every file edited: as in a fresh render afterwards, and nothing to settle."""
    service = rendered(releases, tmp_path / "a service", version, {})
    kept = edit(service, owners_at(releases, version))
    commit_all(service, "a year of work")
    update(service)
    commit_all(service, "updated")
    was = yaml.safe_load((service / ".copier-answers.yml").read_text())["features"]
    for feature in FEATURES:
        if feature == "auth" and "auth" in was:
            continue  # the team's routes import it: `make feature` refuses
        has = yaml.safe_load((service / ".copier-answers.yml").read_text())["features"]
        for verb in ("REMOVE", "ADD") if feature in has else ("ADD", "REMOVE"):
            done = make(service, "feature", f"{verb}={feature}")
            assert done.returncode == 0, done.stdout + done.stderr
            assert unmerged(service) == []
            assert lost(service, kept) == []
            commit_all(service, f"{verb} {feature}")
            answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
            assert (feature in answers["features"]) == (verb == "ADD")
            known = {name: answer for name, answer in answers.items() if name[0] != "_"}
            fresh = rendered(releases, tmp_path / f"{feature} {verb}", NEWEST, known)
            assert other_than(fresh, service, owners_at(releases, NEWEST)) == []


def todo(version: str) -> list[tuple[str, str]]:
    """Return the steps by hand between a release and the newest, as `STEPS` names them, in the order of the notes."""
    later = VERSIONS[VERSIONS.index(version) + 1 :]
    told = [(one.version, note) for one in read() if one.version in later for note in one.manual]
    found = [next((each for each in STEPS if each[0] == of and note.startswith(each[1])), None) for of, note in told]
    assert None not in found, told
    return found


# What of the suite is about the team's files: quick. All of it is run by `make soak`.
ABOUT_THEIRS = (
    "tests/items tests/chassis/test_conformance.py tests/chassis/test_migrations.py tests/chassis/test_contract.py"
)


@pytest.mark.parametrize(
    ("version", "chosen"),
    [(OLDER[0], ABOUT_THEIRS), *(pytest.param(version, "", marks=pytest.mark.soak) for version in OLDER)],
)
def test_team_s_files_of_any_release_pass_today_s_suite(
    releases: Path, installed: Path, tmp_path: Path, version: str, chosen: str
) -> None:
    """Once what the notes name was done by hand, and nothing else."""
    service = rendered(releases, tmp_path / "a service", version, {})
    edit(service, owners_at(releases, version))
    commit_all(service, "a year of work")
    update(service)
    service = share(installed, tmp_path / "updated", service)
    for step in todo(version):
        if do := STEPS[step]:
            do(service)
    formatted(service)
    for target, arguments in (("check", ()), ("test", (f"ARGS={chosen}",))):
        done = make(service, target, *arguments)
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
