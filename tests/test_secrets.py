"""`make secrets` of a rendered service: nothing as rendered, what is planted is found, what is accepted says why."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import Render, commit_all, git, make
from tools import require

# Made up, and put together here, so that nobody who looks for tokens takes this file for one.
SECRETS = {
    "deploy/aws.sh": "export AWS_KEY=" + "AKIA" + "Z7MPQ2LK5VRT8XW3",
    "src/app/domains/items/pay.py": 'KEY = "sk_live_' + '9aF3kLm0QzX7wBv2TnRc5JdH"',
    "deploy/notes.yml": "token: ghp_" + "Zk3Qm8Rt1Vx6Yb4Nc9Wd2Lf7Hj5Pg0Sa1Te",
    "docs/access.md": "mirror: https://deploy:" + "vT9kQ2mXw7Rz@files.example.org/",
    "src/app/settings_local.py": 'DATABASE_PASSWORD = "' + 'tulip-7-harbour-Q9"',
    "deploy/key.pem": "-----BEGIN RSA PRIVATE " + "KEY-----\n" + "MIIEowIBAAKCAQEA7m4Zq1T9cXr2VbN8kLw5" * 2,
    "tests/fixtures.json": "hook: https://hooks.slack.com/" + "services/T0A1B2C3D/B4E5F6G7H/q8R9sT0uV1wX2yZ3aB4cD5eF",
    "service.mk": "# glpat-" + "Xk3Qm8Rt1Vx6Yb4Nc9Wd",
    "docs/swagger.ini": 'password = "' + 'harbour-7-tulip-Q3"',  # the names of these two keep the tool from them
    "docs/theme.css": "/* " + "SG." + "aB3dE5fG7hJ9kL1mN3pQ5r." + "sT7uV9wX1yZ3aB5cD7eF9gH1iJ3kL5mN7oP9qR1sT3u */",
}


# What the program itself is made of.
PROGRAM = ("Makefile", "pyproject.toml", "README.md", "ops", "src/app/__init__.py", "src/app/chassis/audit")


@pytest.fixture
def service(render: Render, tmp_path: Path) -> Path:
    """Return a committed service of the test's own, with little else than the program; nothing is installed."""
    require("make"), require("git"), require("uv")
    whole, folder = render(), tmp_path / "my service"
    for name in PROGRAM:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (shutil.copytree if (whole / name).is_dir() else shutil.copy2)(whole / name, folder / name)
    commit_all(folder, "render")
    return folder


def secrets(service: Path) -> tuple[int, dict[str, str], subprocess.CompletedProcess[str]]:
    """Run `make secrets`; return its program's exit code, what each place is called there, and all it said."""
    done = make(service, "secrets")
    ended = re.search(r"Error (\d)", done.stderr)
    found = dict(re.findall(r'^(\S+:\d+[^:]*): .*id = "(\w+)"', done.stdout, re.MULTILINE))
    assert ended or done.returncode == 0, done.stderr
    return int(ended[1]) if ended else 0, found, done


def write(service: Path, name: str, text: str) -> None:
    """Add to a file of the service."""
    path = service / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(f"{text}\n")


def accept(service: Path, *entries: str) -> None:
    """Say in pyproject.toml what is no secret."""
    for entry in entries:
        write(service, "pyproject.toml", f"\n[[tool.chassis.accepted_secrets]]\n{entry}")


def test_service_as_rendered_holds_no_secret(render: Render, tmp_path: Path) -> None:
    """Examples, placeholders and what our tests plant are none."""
    service = tmp_path / "my service"
    shutil.copytree(render(), service, ignore=shutil.ignore_patterns(".git"))
    commit_all(service, "render")
    code, found, done = secrets(service)
    assert (code, found) == (0, {}), done.stdout + done.stderr
    looked = r"\d{3} files and 1 commits looked at, 1 files not: no text, or larger than 1 MB"
    assert re.search(rf"^0 found, 0 accepted; {looked}$", done.stdout, re.MULTILINE)
    assert git(service, "status", "--porcelain") == ""


def test_every_planted_secret_is_found_and_not_told(service: Path) -> None:
    """In code, settings, pages and tests; the place is printed, never the value."""
    for name, text in SECRETS.items():
        write(service, name, text)
    git(service, "add", "--all")
    code, found, done = secrets(service)
    assert code == 1
    assert {place.partition(":")[0] for place in found} == set(SECRETS)
    for text in SECRETS.values():
        assert text[-12:] not in done.stdout + done.stderr


def test_secret_that_the_next_commit_removed_is_found_until_a_tag_holds_it(service: Path) -> None:
    """The commit that brought it is named; what a release holds was looked at before it."""
    write(service, "deploy/notes.yml", SECRETS["deploy/notes.yml"])
    commit_all(service, "plant")
    planted = git(service, "rev-parse", "--short", "HEAD").strip()
    git(service, "rm", "--quiet", "deploy/notes.yml")
    commit_all(service, "remove")
    code, found, _ = secrets(service)
    assert (code, list(found)) == (1, [f"deploy/notes.yml:1 of commit {planted}"])
    git(service, "tag", "v0.1.0")
    assert secrets(service)[0] == 0


def test_secret_that_is_removed_but_not_committed_is_found(service: Path) -> None:
    """The commit holds it still."""
    write(service, "deploy/notes.yml", SECRETS["deploy/notes.yml"])
    commit_all(service, "plant")
    (service / "deploy/notes.yml").write_text("none\n", encoding="utf-8")
    assert secrets(service)[0] == 1


def test_what_is_accepted_with_a_reason_is_let_pass(service: Path) -> None:
    """That line in that file, in every commit, and nothing else; a comment gives no reason and accepts nothing."""
    write(service, "docs/access.md", SECRETS["docs/access.md"])
    write(service, "docs/other.md", f"{SECRETS['docs/access.md']} <!-- pragma: allowlist secret -->")
    commit_all(service, "plant")
    _, found, _ = secrets(service)
    assert set(found) == {"docs/access.md:1", "docs/other.md:1"}
    told = found["docs/access.md:1"]
    accept(service, f'id = "{told}"\nreason = "the mirror is open to all"', 'id = "0123456789ab"\nreason = "old"')
    code, left, done = secrets(service)
    assert (code, set(left)) == (1, {"docs/other.md:1"})
    assert "note: accepted, and not found: 0123456789ab\n" in done.stdout
    (service / "docs/other.md").unlink()
    (service / "docs/access.md").write_text(f"# Access\n\n{SECRETS['docs/access.md']}\n", encoding="utf-8")
    commit_all(service, "move")
    code, left, _ = secrets(service)
    assert (code, [place.partition(":")[0] for place in left]) == (1, ["docs/other.md"])  # of the commit before


@pytest.mark.parametrize("entry", ['id = "0123456789ab"', 'id = "0123456789ab"\nreason = " "', "reason = 'why'"])
def test_entry_without_a_reason_or_an_id_is_wrong_use(service: Path, entry: str) -> None:
    """Exit code 2, whatever is found."""
    accept(service, entry)
    code, _, done = secrets(service)
    assert code == 2
    assert "could not tell: accepted_secrets of pyproject.toml" in done.stderr


def test_what_git_does_not_show_cannot_be_told(service: Path, tmp_path: Path) -> None:
    """A shallow clone has not every commit, and a folder that is no repository has none: exit code 2."""
    shallow = tmp_path / "shallow"
    write(service, "README.md", "more")
    commit_all(service, "change")
    git(tmp_path, "clone", "--quiet", "--depth=1", f"file://{service}", str(shallow))
    code, _, done = secrets(shallow)
    assert code == 2
    assert "expected the whole history" in done.stderr
    shutil.rmtree(service / ".git")
    code, _, done = secrets(service)
    assert code == 2
    assert "expected the repository that holds this service" in done.stderr


def test_service_without_a_commit_is_looked_at(service: Path) -> None:
    """What git holds is then what was added."""
    shutil.rmtree(service / ".git")
    git(service, "init", "--quiet")
    write(service, "service.mk", SECRETS["service.mk"])
    git(service, "add", "--all")
    code, found, _ = secrets(service)
    assert (code, set(found)) == (1, {"service.mk:1"})
