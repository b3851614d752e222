"""One service grown by twenty commits comes through every release; not a byte of the team's changes by an update."""

from pathlib import Path

import copier
import pytest
import yaml
from conftest import commit_all, git, make, release
from grown import GROWTH
from ownership import owner_of
from test_drift import edit
from updating import NEWEST, VERSIONS, other_than, owners_at, released, unmerged

EJECTED = "ops/health.py"


def theirs(service: Path, template: Path, version: str) -> dict[str, bytes]:
    """Return every file of the team's, byte for byte; of the shared ones the lines outside our zones."""
    lists, found = owners_at(template, version), {}
    for path in git(service, "ls-files", "-z").split("\0"):
        if not path:
            continue
        owner = owner_of(path, lists)
        if owner == "theirs":
            found[path] = (service / path).read_bytes()
        elif owner == "shared":
            lines, is_ours = [], False
            for line in (service / path).read_bytes().splitlines():
                is_ours = b"# --- ours" in line or (is_ours and b"# --- end of ours" not in line)
                lines += [] if is_ours else [line]
            found[path] = b"\n".join(line for line in lines if b"# --- " not in line)
    return found


def step(service: Path, template: Path, before: str, after: str) -> None:
    """Update to a release as a team does; what is the team's is what it was."""
    held = theirs(service, template, before)
    copier.run_update(service, defaults=True, overwrite=True, quiet=True, vcs_ref=f"v{after}")
    assert unmerged(service) == [], after
    now = theirs(service, template, after)
    changed = [path for path in held if now.get(path) != held[path] and path not in (".env.example", "pyproject.toml")]
    assert changed == [], after
    for path in (".env.example", "pyproject.toml"):
        lost = [line for line in held[path].splitlines() if line not in now[path].splitlines()]
        assert [line for line in lost if line.strip() and not line.lstrip().startswith(b"#")] == [], (after, path)
    if git(service, "status", "--porcelain"):
        commit_all(service, f"build: update the chassis to {after}")


@pytest.mark.usefixtures("update_tools")
def test_grown_service_comes_through_every_release(tmp_path: Path) -> None:
    """From the first release to one not out yet: nothing to settle, ours as rendered but for what is ejected."""
    assert list(GROWTH) == VERSIONS
    assert sum(map(len, GROWTH.values())) + 1 == 21  # twenty, and the ejection
    template = released(tmp_path / "plumbline")
    service = tmp_path / "orders"
    copier.run_copy(str(template), service, defaults=True, quiet=True, vcs_ref=f"v{VERSIONS[0]}")
    commit_all(service, "render")
    for number, (version, work) in enumerate(GROWTH.items()):
        if number:
            step(service, template, VERSIONS[number - 1], version)
        for message, do in work:
            do(service)
            commit_all(service, message)
    done = make(service, "eject", f"FILE={EJECTED}", "REASON=slow disks")
    assert done.returncode == 0, done.stderr
    commit_all(service, "build: eject ops/health.py")
    edit(template / "template" / EJECTED, "SECONDS = 3.0", "SECONDS = 4.0")
    edit(template / "template/mypy.ini", "strict", "# of the next\nstrict")
    release(template, "v0.99.0")
    step(service, template, NEWEST, "0.99.0")

    assert "SECONDS = 9.0" in (service / EJECTED).read_text()
    assert "# of the next" in (service / "mypy.ini").read_text()
    answers = yaml.safe_load((service / ".copier-answers.yml").read_text())
    fresh = tmp_path / "fresh"
    given = {name: value for name, value in answers.items() if name[0] != "_"}
    copier.run_copy(str(template), fresh, data=given, defaults=True, quiet=True, vcs_ref="v0.99.0")
    assert other_than(fresh, service, owners_at(template, "0.99.0")) == [EJECTED]
