"""An update brings what is ours, leaves what is theirs, and merges what is shared without a conflict."""

import re
import shlex
import shutil
import subprocess
import tomllib
from pathlib import Path

import copier
import ownership
import pytest
import yaml
from conftest import ROOT, Render, commit_all, git, release, update_service
from rendered import files, text
from tools import require, user_environment

CONFIG = yaml.safe_load((ROOT / "copier.yml").read_text(encoding="utf-8"))
OWNERS = ownership.load_owners()


@pytest.mark.parametrize("profile", ["default", "bare", "everything"])
def test_every_rendered_path_has_one_owner(render: Render, profile: str) -> None:
    """No path is unlisted, none is listed twice."""
    for path in ownership.rendered_paths(render(profile)):
        assert ownership.owner_of(path, OWNERS) in {"ours", "shared", "theirs"}


@pytest.mark.parametrize(
    ("path", "owner"),
    [
        ("src/app/chassis/http/envelope.py", "ours"),
        ("src/app/__main__.py", "ours"),
        ("src/app/main.py", "theirs"),
        ("src/app/settings.py", "theirs"),
        ("src/app/api/v2/orders/routes.py", "theirs"),
        ("src/app/domains/orders/service.py", "theirs"),
        ("tests/chassis/test_envelope.py", "ours"),
        ("tests/conftest.py", "theirs"),
        ("tests/items/test_service.py", "theirs"),
        ("migrations/versions/0001_items.py", "theirs"),
        ("migrations/env.py", "theirs"),
        ("contract/v1.json", "theirs"),
        ("Makefile", "ours"),
        ("service.mk", "theirs"),
        ("ops/make/run.mk", "ours"),
        ("ruff.toml", "theirs"),
        ("ruff.chassis.toml", "ours"),
        ("pyproject.toml", "shared"),
        (".env.example", "shared"),
        (".github/workflows/chassis-ci.yml", "ours"),
        (".github/workflows/deploy.yml", "theirs"),
        (".github/dependabot.yml", "theirs"),
        (".gitlab-ci.yml", "ours"),
        (".gitlab/deploy.yml", "theirs"),
        ("compose.yaml", "ours"),
        ("compose.override.yaml", "theirs"),
        ("deploy/packages.txt", "theirs"),
        ("deploy/monitoring/chassis/tests/alerts.yml", "ours"),
        ("deploy/monitoring/prometheus.yml", "theirs"),
        ("deploy/kubernetes/base/features/auth/kustomization.yaml", "ours"),
        ("deploy/kubernetes/overlays/production/kustomization.yaml", "theirs"),
        ("probes.txt", "theirs"),
        ("docs/chassis/runbook/start.md", "ours"),
        ("docs/runbook/orders.md", "theirs"),
        ("README.md", "theirs"),
        ("uv.lock", "theirs"),
        (".gitignore", "theirs"),
        (".copier-answers.yml", "ours"),
    ],
)
def test_owner_is_the_one_the_design_names(path: str, owner: str) -> None:
    """The list says what the table of the documentation says."""
    assert ownership.owner_of(path, OWNERS) == owner


def test_list_stands_once() -> None:
    """What is skipped when it exists is the very list that an update excludes."""
    assert CONFIG["_skip_if_exists"] is CONFIG["ownership"]["default"]["theirs"]
    excluded = "{% if _copier_operation == 'update' %}{{ ownership.theirs | join('\n') }}{% endif %}"
    assert excluded in CONFIG["_exclude"]


def template_paths(template: Path, service: Path, owner: str) -> list[str]:
    """List the files of one owner that the template holds under the very name they have in a service."""
    paths = [path.as_posix() for path in files(service)]
    return [
        path for path in paths if ownership.owner_of(path, OWNERS) == owner and (template / "template" / path).is_file()
    ]


def append(path: Path, line: str) -> None:
    """Add a comment at the end of a file that allows one."""
    with path.open("a", encoding="utf-8") as file:
        file.write(f"# {line}\n")


def takes_comment(path: str) -> bool:
    """Say whether `# …` at the end leaves a file valid."""
    return Path(path).suffix in {".py", ".toml", ".ini", ".yml", ".yaml", ".md", ".txt", ""} and path != "LICENSE"


def test_update_changes_ours_and_leaves_theirs(own_template: Path, service: Path) -> None:
    """After a release that edits every file, ours are new, theirs keep their edit, nothing conflicts."""
    ours = [path for path in template_paths(own_template, service, "ours") if takes_comment(path)]
    theirs = [path for path in template_paths(own_template, service, "theirs") if takes_comment(path)]
    assert ours
    assert theirs
    for path in theirs:
        append(service / path, "the team's")
    (service / "src/app/own.py").write_text("# the team's\n")
    commit_all(service, "the team's work")
    for path in ours + theirs:
        append(own_template / "template" / path, "of release 2")
    release(own_template, "2.0.0")

    update_service(service)

    assert conflicts(service) == []
    assert [path for path in ours if not text(service / path).endswith("# of release 2\n")] == []
    assert [path for path in theirs if not text(service / path).endswith("# the team's\n")] == []
    assert (service / "src/app/own.py").exists()


def test_update_leaves_theirs_that_a_release_removes_or_adds(own_template: Path, service: Path) -> None:
    """A file of theirs is neither deleted, nor brought back, nor added by an update."""
    (service / "ruff.toml").unlink()
    commit_all(service, "without ruff.toml")
    (own_template / "template/.gitattributes").unlink()
    (own_template / "template/.gitignore.jinja").rename(own_template / "template/.gitignore.gone")
    (own_template / "template/ruff.toml").write_text("# of release 2\n")
    (own_template / "template/service.mk").write_text("# of release 2\n")
    (own_template / "template/docs/chassis").mkdir(parents=True, exist_ok=True)
    (own_template / "template/docs/chassis/new.md").write_text("of release 2\n")
    release(own_template, "2.0.0")

    update_service(service)

    assert conflicts(service) == []
    assert (service / ".gitattributes").exists()
    assert (service / ".gitignore").exists()
    assert not (service / "ruff.toml").exists()
    assert not (service / "service.mk").exists()
    assert (service / "docs/chassis/new.md").exists()


def test_update_brings_a_picture_of_ours_again(own_template: Path, service: Path) -> None:
    """Copier merges lines only: an edited picture is the release's again, and no other edit is lost with it."""
    picture = "docs/chassis/docs-page.png"
    as_released = (service / picture).read_bytes()
    (service / picture).write_bytes(as_released + b"\0the team's")
    append(service / "Makefile", "the team's")
    commit_all(service, "the team's work")
    append(own_template / "template/mypy.ini", "of release 2")
    release(own_template, "2.0.0")

    update_service(service)

    assert conflicts(service) == []
    assert (service / picture).read_bytes() == as_released
    assert text(service / "Makefile").endswith("# the team's\n")
    assert text(service / "mypy.ini").endswith("# of release 2\n")


def test_update_after_the_sample_is_removed_brings_no_folder_back(own_template: Path, service: Path) -> None:
    """A team that deleted all of api/ and domains/ finds neither again, not even empty."""
    for folder in ("src/app/api", "src/app/domains"):
        shutil.rmtree(service / folder, ignore_errors=True)
    commit_all(service, "no sample")
    append(own_template / "template/mypy.ini", "of release 2")
    release(own_template, "2.0.0")

    update_service(service)

    assert conflicts(service) == []
    assert not (service / "src/app/api").exists()
    assert not (service / "src/app/domains").exists()


def test_renamed_service_keeps_its_slug(own_template: Path, service: Path) -> None:
    """A new name reaches what shows it; the slug, and all that machines rely on, stays."""
    append(own_template / "template/mypy.ini", "of release 2")
    release(own_template, "2.0.0")

    update_service(service, service_name="Something Else")

    assert conflicts(service) == []
    assert "Something Else" in text(service / "src/app/chassis/service.json")
    assert tomllib.loads(text(service / "pyproject.toml"))["project"]["name"] == "example-service"
    assert yaml.safe_load(text(service / ".copier-answers.yml"))["service_slug"] == "example-service"


def test_recopy_keeps_theirs(service: Path) -> None:
    """Even `copier recopy`, which overwrites, leaves the team's files as they are."""
    append(service / "ruff.toml", "the team's")
    append(service / "mypy.ini", "an edit in the wrong place")
    commit_all(service, "edits")

    copier.run_recopy(service, defaults=True, overwrite=True, quiet=True, unsafe=False)

    assert text(service / "ruff.toml").endswith("# the team's\n")
    assert "wrong place" not in text(service / "mypy.ini")


def test_turning_ci_off_and_on_touches_ours_only(own_template: Path, service: Path) -> None:
    """A toggle removes and returns our workflows; the team's stay beside them."""
    (service / ".github/workflows/deploy.yml").write_text("# the team's\n")
    commit_all(service, "a workflow")
    append(own_template / "template/mypy.ini", "of release 2")
    release(own_template, "2.0.0")

    update_service(service, ci="none")
    assert [path.name for path in (service / ".github/workflows").iterdir()] == ["deploy.yml"]

    commit_all(service, "off")
    append(own_template / "template/mypy.ini", "of release 3")
    release(own_template, "3.0.0")
    update_service(service, ci="github")
    assert (service / ".github/workflows/chassis-ci.yml").exists()
    assert (service / ".github/workflows/deploy.yml").exists()


ZONES = [pytest.param([], "yours", id="dependencies"), pytest.param(["--dev"], "yours", id="dev")]


@pytest.mark.parametrize(("options", "_zone"), ZONES)
def test_added_dependencies_survive_a_release_that_moves_every_bound(
    own_template: Path, service: Path, options: list[str], _zone: str
) -> None:
    """`uv add` of an early, a middle and a late name, then a release that rewrites our lists: no conflict."""
    names = ["aiofiles", "orjson", "zipp"]
    before = text(service / "pyproject.toml").splitlines()
    subprocess.run(
        [require("uv"), "add", "--quiet", "--no-sync", *options, *names],
        cwd=service,
        env=user_environment(),
        check=True,
        capture_output=True,
    )
    (service / "uv.lock").unlink()
    after = text(service / "pyproject.toml").splitlines()
    assert [line for line in after if line in before] == before, "uv wrote inside our zone"
    own = text(service / "pyproject.toml").replace('version = "0.1.0"', 'version = "1.4.2"')
    (service / "pyproject.toml").write_text(re.sub(r'newer = "[^T]*', 'newer = "2027-01-31', own))
    commit_all(service, "dependencies, a version and a cutoff of our own")

    project = own_template / "template/pyproject.toml.jinja"
    lines = [line.replace(",<", ",!=0,<") if line.startswith('    "') else line for line in text(project).splitlines()]
    project.write_text("\n".join(lines) + "\n")
    config = own_template / "copier.yml"
    config.write_text(text(config).replace("2026-11-20T", "2027-06-01T"))
    release(own_template, "2.0.0")

    update_service(service, description="Another sentence.")

    assert conflicts(service) == []
    updated = tomllib.loads(text(service / "pyproject.toml"))
    group = updated["dependency-groups"]["dev"] if options else updated["project"]["dependencies"]
    assert all(any(entry.startswith(name) for entry in group) for name in names)
    assert all("!=0" in entry or entry.startswith(tuple(names)) for entry in group)
    assert updated["project"]["version"] == "1.4.2"
    assert updated["project"]["description"] == "Another sentence."
    assert updated["tool"]["uv"]["exclude-newer"] == "2027-01-31T00:00:00Z"
    assert updated["tool"]["chassis"]["released"] == "2027-06-01T00:00:00Z"


def test_update_from_the_command_line_needs_no_trust(own_template: Path, service: Path) -> None:
    """`copier update --defaults` exits with 0 and names the next command."""
    append(own_template / "template/mypy.ini", "of release 2")
    release(own_template, "2.0.0")
    done = subprocess.run(
        [require("copier"), "update", "--defaults"],
        cwd=service,
        env=user_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "make check" in done.stderr
    assert conflicts(service) == []


def test_relative_source_is_warned_of(own_template: Path, tmp_path: Path) -> None:
    """A source by relative path renders, and the message says that updates will not find it."""

    def said(source: str, destination: str) -> str:
        command = [require("copier"), "copy", "--defaults", source, destination]
        done = subprocess.run(command, cwd=tmp_path, env=user_environment(), capture_output=True, text=True, check=True)
        return done.stderr

    assert "Warning: the template was named by the relative path" in said(own_template.name, "a")
    assert "Warning: the template" not in said(str(own_template), "b")


def test_message_after_copy_recreates_the_service(own_template: Path, tmp_path: Path) -> None:
    """The command it shows, run as it stands from anywhere, renders the same files again."""
    first, second = tmp_path / "it's é first", tmp_path / "second"
    command = [require("copier"), "copy", "--defaults", str(own_template), first.name]
    shown = subprocess.run(
        [*command, "--data", "service_name=It's {{ odd }}"],
        cwd=tmp_path,
        env=user_environment(),
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    assert "make setup" in shown
    assert "make run" in shown
    line, source = re.findall(r"^.* -m copier copy .*\n.*$", shown, re.MULTILINE)[0].splitlines()
    assert source.startswith("    --vcs-ref "), "the command's second line is indented"
    again = f"{line}\n{source}".replace("NEW_FOLDER", shlex.quote(str(second)))
    subprocess.run(["sh", "-c", again.strip()], cwd="/", env=user_environment(), capture_output=True, check=True)
    assert list(files(first)) == list(files(second))
    assert [path for path in files(first) if text(first / path) != text(second / path)] == []


def conflicts(service: Path) -> list[str]:
    """List unmerged files, rejected hunks and conflict markers: Copier's exit code tells none of them."""
    unmerged = [line for line in git(service, "status", "--porcelain").splitlines() if line.startswith("UU")]
    marked = [
        path.as_posix()
        for path in files(service)
        if path.suffix == ".rej" or "\n<<<<<<< " in f"\n{text(service / path)}"
    ]
    return unmerged + marked
