"""What delivers a rendered service: workflows, pipeline, image, compose file. Valid, and the same targets."""

import json
import re
import subprocess
from pathlib import Path

import pytest
import yaml
from conftest import Render
from pipelines import workflows
from tools import require

EVERYTHING = {"ci": "both", "deploy": "both"}
WORKFLOWS = ("ci", "nightly", "release", "update")
SCHEMAS = {
    **{f".github/workflows/chassis-{name}.yml": "vendor.github-workflows" for name in WORKFLOWS},
    ".gitlab-ci.yml": "vendor.gitlab-ci",
    "compose.yaml": "vendor.compose-spec",
    ".github/renovate.json": "vendor.renovate",
    ".gitlab/renovate.json": "vendor.renovate",
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


@pytest.mark.parametrize("slug", ["null", "off"])
def test_slug_stays_a_text_in_every_yaml_file(render: Render, slug: str) -> None:
    """One that YAML has another meaning for names project, image, job and group all the same."""
    service, found = render("everything", service_slug=slug), set()
    for path in (one for one in service.rglob("*") if one.suffix in (".yaml", ".yml")):
        scalars = [one for one in yaml.scan(path.read_text(encoding="utf-8")) if isinstance(one, yaml.ScalarToken)]
        named = [one for one in scalars if one.value == slug]
        assert [f"{path.name}:{one.start_mark.line + 1}" for one in named if one.plain] == []
        found |= {path.name} if named else set()
    assert {"compose.yaml", "prometheus.yml", "alerts.yml", "deployment.yaml", ".copier-answers.yml"} <= found


SLOTS = ("blue", "green")


def containers(service: Path) -> dict[str, dict]:
    """Return the services of compose.yaml, with what they share put in its place."""
    found = yaml.safe_load((service / "compose.yaml").read_text(encoding="utf-8"))["services"]
    assert set(found) == {"app", *SLOTS, "proxy"}
    return found


def test_compose_gives_a_stop_the_time_it_needs(render: Render) -> None:
    """No container is killed while it still answers what it accepted; the proxy waits for the slowest answer."""
    service = render(**EVERYTHING)
    defaults = dict(re.findall(r"^#(SERVER_\w+)=([\d.]+)$", (service / ".env.example").read_text(), re.MULTILINE))
    grace = {name: int(one["stop_grace_period"].removesuffix("s")) for name, one in containers(service).items()}
    needed = float(defaults["SERVER_DRAIN_SECONDS"]) + float(defaults["SERVER_SHUTDOWN_SECONDS"])
    assert min(grace[name] for name in ("app", *SLOTS)) > needed
    configuration = (service / "ops/proxy.conf").read_text(encoding="utf-8")
    assert grace["proxy"] > int(re.search(r"worker_shutdown_timeout (\d+)s;", configuration)[1])


def test_container_has_no_more_rights_than_it_needs(render: Render) -> None:
    """Not root, nothing writable but its data, no capability, no way to gain one, no port for another machine."""
    service = render(**EVERYTHING)
    found = containers(service)
    for name, one in found.items():
        assert one["read_only"] is True, name
        assert one["cap_drop"] == ["ALL"], name
        assert one["security_opt"] == ["no-new-privileges:true"], name
        assert one["restart"] == "unless-stopped", name
        assert all(port.startswith("127.0.0.1:") for port in one["ports"]), name
        writable = [mount for mount in one["volumes"] if isinstance(mount, str) or not mount["read_only"]]
        assert writable == ([] if name == "proxy" else ["data:/srv/var"]), name
    assert found["proxy"]["user"] == "101:101"
    assert not any("user" in found[name] for name in ("app", *SLOTS))
    assert "\nUSER 10001:10001\n" in (service / "Dockerfile").read_text(encoding="utf-8")


def test_slots_of_compose_are_alike_and_start_with_a_deployment_alone(render: Render) -> None:
    """blue and green differ in their name alone, and a plain `docker compose up` starts neither, nor the proxy."""
    found = containers(render(**EVERYTHING))
    blue, green = (json.dumps(found[slot]) for slot in SLOTS)
    assert blue.replace("BLUE", "GREEN").replace("8001", "8002") == green
    assert {name for name, one in found.items() if "profiles" not in one} == {"app"}
