"""What delivers a rendered service: workflows, pipeline, image, compose file. Valid, and the same targets."""

import re
import subprocess

import pytest
from conftest import Render
from pipelines import content, workflows
from tools import require

EVERYTHING = {"ci": "both", "deploy": "both"}
WORKFLOWS = ("ci", "nightly", "release", "update")
SCHEMAS = {
    **{f".github/workflows/chassis-{name}.yml": "vendor.github-workflows" for name in WORKFLOWS},
    ".gitlab-ci.yml": "vendor.gitlab-ci",
    "compose.yaml": "vendor.compose-spec",
}


def checked(*command: str) -> None:
    """Run a checker; show what it found."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", SCHEMAS)
def test_delivery_file_fits_its_schema(render: Render, name: str) -> None:
    """A typo in a key is found here, not by the first push."""
    service = render(**EVERYTHING)
    checked(require("check-jsonschema"), "--builtin-schema", SCHEMAS[name], str(service / name))


def test_every_workflow_has_a_schema_here(render: Render) -> None:
    """One that is not named would be checked by nobody."""
    assert set(workflows(render(**EVERYTHING))) < set(SCHEMAS)


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
