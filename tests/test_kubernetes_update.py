"""What an update does to the deployment: the base is ours, overlays are theirs, whenever the answer changes."""

import re
import subprocess
from pathlib import Path

import pytest
from cluster import OVERLAYS, build
from conftest import Render, commit_all, copy_service, git, update_service
from rendered import files, text
from test_ownership import append, conflicts
from tools import user_environment

BASE, OWN = "deploy/kubernetes/base", "deploy/kubernetes/overlays"


@pytest.fixture
def deployed(own_template: Path, tmp_path: Path) -> Path:
    """Return a committed service that is deployed to Kubernetes, one overlay filled in and another added."""
    folder = copy_service(own_template, tmp_path / "my service", deploy="kubernetes")
    overlay = folder / OWN / "production/kustomization.yaml"
    overlay.write_text(text(overlay).replace("registry.example.com", "registry.orders.example"))
    (folder / OWN / "canary").mkdir()
    (folder / OWN / "canary/kustomization.yaml").write_text("resources: [../production]\n")
    commit_all(folder, "render")
    return folder


def later(service: Path, folder: Path) -> None:
    """Run the commands of the page's section on an answer that was changed later, Copier being installed already."""
    section = text(service / "docs/chassis/kubernetes.md").partition("## Switched on later")[2]
    (block,) = re.findall(r"```bash\n(.*?)```", section.partition("\n## ")[0], re.DOTALL)
    (folder / "uvx").write_text('#!/bin/sh\nexec "$@"\n')
    (folder / "uvx").chmod(0o755)
    env = user_environment(TMPDIR=str(folder))
    env["PATH"] = f"{folder}:{env['PATH']}"
    done = subprocess.run(["bash", "-euc", block], cwd=service, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("before", ["compose", "none"])
def test_overlays_are_had_when_kubernetes_is_switched_on(
    own_template: Path, tmp_path: Path, render: Render, before: str
) -> None:
    """The update brings the base, the page's commands the rest: then all is as if it had been so from the beginning."""
    service = copy_service(own_template, tmp_path / "my service", deploy=before)
    commit_all(service, "render")
    assert (service / "Dockerfile").exists() is (before == "compose")
    update_service(service, deploy="both")
    assert conflicts(service) == []
    assert (service / BASE / "kustomization.yaml").is_file()
    assert not (service / OWN).exists()
    commit_all(service, "update")
    later(service, tmp_path)
    fresh = render(deploy="both")
    assert list(files(service / "deploy")) == list(files(fresh / "deploy"))
    assert build(service, "production") == build(fresh, "production")
    assert (service / "Dockerfile").is_file()


def test_overlays_that_are_there_are_not_replaced(deployed: Path, tmp_path: Path) -> None:
    """The same commands, run by mistake, change nothing."""
    later(deployed, tmp_path)
    assert git(deployed, "status", "--porcelain") == ""


def test_base_of_a_release_reaches_every_overlay(own_template: Path, deployed: Path) -> None:
    """An update changes the base only, and each overlay is built with it, the team's own among them."""
    before = {name: build(deployed, name) for name in OVERLAYS}
    append(own_template / "template" / OWN / "production/network.yaml.jinja", "of release 2")
    base = own_template / "template" / BASE / "deployment.yaml.jinja"
    base.write_text(text(base).replace("minReadySeconds: 10", "minReadySeconds: 20"))
    commit_all(own_template, "release 2")
    git(own_template, "tag", "2.0.0")
    update_service(deployed)
    assert conflicts(deployed) == []
    assert git(deployed, "status", "--porcelain", "--", OWN) == ""
    for name in (*OVERLAYS, "canary"):
        documents = build(deployed, name)
        assert [one["spec"]["minReadySeconds"] for one in documents if one["kind"] == "Deployment"] == [20]
        assert name == "canary" or [one["kind"] for one in documents] == [one["kind"] for one in before[name]]


def test_feature_that_goes_takes_its_part_of_the_base(deployed: Path) -> None:
    """Its folder and its line go; an overlay is built without it, and has nothing to change."""
    update_service(deployed, features=["rate_limit"])
    assert conflicts(deployed) == []
    assert not (deployed / BASE / "features/auth").exists()
    assert git(deployed, "status", "--porcelain", "--", OWN) == ""
    (deployment,) = (one for one in build(deployed, "production") if one["kind"] == "Deployment")
    assert [one["name"] for one in deployment["spec"]["template"]["spec"]["volumes"]] == ["tmp"]


def test_kubernetes_that_is_switched_off_leaves_the_overlays(deployed: Path) -> None:
    """The base goes with its page; what the team filled in stays, and so does what both answers need."""
    update_service(deployed, deploy="compose")
    assert conflicts(deployed) == []
    assert not (deployed / BASE).exists()
    assert not (deployed / "docs/chassis/kubernetes.md").exists()
    assert "registry.orders.example" in text(deployed / OWN / "production/kustomization.yaml")
    assert (deployed / "compose.yaml").is_file()
    assert (deployed / "Dockerfile").is_file()
