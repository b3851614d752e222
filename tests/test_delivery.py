"""What delivers a rendered service: workflows, pipeline, image, compose file. Valid, and the same targets."""

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import Render
from tools import require

EVERYTHING = {"ci": "both", "deploy": "both"}
SCHEMAS = {
    ".github/workflows/chassis-ci.yml": "vendor.github-workflows",
    ".gitlab-ci.yml": "vendor.gitlab-ci",
    "compose.yaml": "vendor.compose-spec",
}
STEP = re.compile(r"make [a-z-]+")


def content(service: Path, name: str) -> dict:
    """Parse a YAML file of a service; `on` stays a word."""
    return yaml.load((service / name).read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - safe


def checked(*command: str) -> None:
    """Run a checker; show what it found."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_delivery_file_fits_its_schema(render: Render, name: str) -> None:
    """A typo in a key is found here, not by the first push."""
    service = render(**EVERYTHING)
    checked(require("check-jsonschema"), "--builtin-schema", SCHEMAS[name], str(service / name))


def test_workflows_have_no_finding(render: Render) -> None:
    """Pinned actions, no permission nobody needs, no credential left behind."""
    folder = render(**EVERYTHING) / ".github/workflows"
    checked(require("zizmor"), "--offline", "--strict-collection", "--quiet", str(folder))


@pytest.mark.parametrize("python_version", ["3.11", "3.14"])
def test_dockerfile_has_no_finding(render: Render, python_version: str) -> None:
    """The image is built as its linter wants, on the Python that was answered."""
    file = render(**EVERYTHING, python_version=python_version) / "Dockerfile"
    checked(require("hadolint"), str(file))
    assert f"\nARG PYTHON_VERSION={python_version}\n" in file.read_text(encoding="utf-8")


def test_both_ci_systems_run_the_same_targets(render: Render) -> None:
    """Each step of ours is one make target, so that CI and a developer's machine agree; uses are pinned."""
    service = render(**EVERYTHING)
    steps = [
        step for job in content(service, ".github/workflows/chassis-ci.yml")["jobs"].values() for step in job["steps"]
    ]
    github = [step["run"] for step in steps if "run" in step]
    jobs = content(service, ".gitlab-ci.yml")
    gitlab = [line for job in jobs.values() if isinstance(job, dict) for line in job.get("script", [])]
    assert all(STEP.fullmatch(line) for line in github + gitlab)
    assert sorted(github) == sorted(gitlab)
    assert all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40}", step["uses"]) for step in steps if "uses" in step)


def test_compose_gives_a_stop_the_time_it_needs(render: Render) -> None:
    """The container is not killed while it still answers what it accepted."""
    service = render(**EVERYTHING)
    defaults = dict(re.findall(r"^#(SERVER_\w+)=([\d.]+)$", (service / ".env.example").read_text(), re.MULTILINE))
    grace = content(service, "compose.yaml")["services"]["app"]["stop_grace_period"]
    needed = float(defaults["SERVER_DRAIN_SECONDS"]) + float(defaults["SERVER_SHUTDOWN_SECONDS"])
    assert int(grace.removesuffix("s")) > needed


def test_container_has_no_more_rights_than_it_needs(render: Render) -> None:
    """Not root, nothing writable but its data, no capability, no way to gain one."""
    service = render(**EVERYTHING)
    app = content(service, "compose.yaml")["services"]["app"]
    assert app["read_only"] == "true"
    assert app["cap_drop"] == ["ALL"]
    assert app["security_opt"] == ["no-new-privileges:true"]
    assert app["volumes"] == ["data:/srv/var"]
    assert "\nUSER 10001:10001\n" in (service / "Dockerfile").read_text(encoding="utf-8")
