"""The commands of docs/chassis/kubernetes.md, run by kubectl as they stand there, and what they send in which order."""

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cluster import build
from conftest import Render
from remembering import Remembering, remembering
from rendered import text
from tools import require

PAGE, OVERLAY = "docs/chassis/kubernetes.md", "deploy/kubernetes/overlays/production/kustomization.yaml"
SERVER = {"Service", "Deployment", "HorizontalPodAutoscaler", "PodDisruptionBudget"}


class Operator:
    """Somebody who follows the page, step by step."""

    def __init__(self, service: Path, cluster: Remembering, configuration: Path) -> None:
        """Stand in a service, before a cluster that remembers."""
        self.service, self.cluster = service, cluster
        path = f"{Path(require('kubectl')).parent}:{os.environ['PATH']}"
        self.env = os.environ | {"KUBECONFIG": str(configuration), "HOME": str(configuration.parent), "PATH": path}

    def follow(self, section: str) -> list[str]:
        """Run the commands of a section, no further than the first that fails; returns what each printed."""
        told = text(self.service / PAGE).partition(f"\n## {section}\n")[2].partition("\n## ")[0]
        (block,) = re.findall(r"```bash\n(.*?)```", told, re.DOTALL)
        said = []
        # A Secret goes to a real cluster in another form than JSON; test_kubernetes_pod.py sees what is in it.
        for command in block.replace(" --from-env-file", " --dry-run=client --from-env-file").splitlines():
            done = subprocess.run(
                ["bash", "-c", command], cwd=self.service, env=self.env, capture_output=True, text=True, timeout=60
            )
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            said.append(done.stdout)
        return said

    def pods(self) -> tuple[str, str]:
        """Image and ConfigMap of the pods that the cluster is told to run."""
        (found,) = (one for one in self.cluster.objects.values() if one["kind"] == "Deployment")
        (container,) = found["spec"]["template"]["spec"]["containers"]
        return container["image"], container["envFrom"][0]["configMapRef"]["name"]

    def release(self, tag: str, hosts: str) -> None:
        """Write the next release into the overlay, with another setting."""
        overlay = self.service / OVERLAY
        content = re.sub('newTag: "[^"]+"', f'newTag: "{tag}"', text(overlay))
        overlay.write_text(re.sub("ALLOWED_HOSTS=[^ ]+", f"ALLOWED_HOSTS={hosts}", content), encoding="utf-8")
        self.cluster.done.clear()


@pytest.fixture
def operator(render: Render, tmp_path: Path) -> Iterator[Operator]:
    """Return somebody who has made the namespace, as the page says."""
    service = shutil.copytree(render("everything"), tmp_path / "service", ignore=shutil.ignore_patterns(".git"))
    (tmp_path / "production.env").write_text("DATABASE_URL=postgresql+asyncpg://u:p@db/app\nOPERATIONS_TOKEN=x\n")
    with remembering(tmp_path) as (cluster, configuration):
        somebody = Operator(service, cluster, configuration)
        somebody.follow("The first deployment")
        assert cluster.done == [("created", "Namespace", "example-service-production")]
        cluster.done.clear()
        yield somebody


def test_first_deployment_migrates_before_anything_serves(operator: Operator) -> None:
    """The Job and what it needs are sent and waited for; all that serves comes after, and nothing is left out."""
    said = operator.follow("Deploy")
    kinds = [kind for verb, kind, _ in operator.cluster.done if verb == "created"]
    before, behind = kinds[: -len(SERVER)], kinds[-len(SERVER) :]
    assert {"Job", "ConfigMap", "ServiceAccount", "NetworkPolicy"} == set(before)
    assert set(behind) == SERVER
    assert "condition met" in said[2]
    assert "successfully rolled out" in said[4]
    assert sorted([*kinds, "Namespace"]) == sorted(one["kind"] for one in build(operator.service, "production"))
    record = subprocess.run(
        ["python3", "ops/deploys.py"], cwd=operator.service, capture_output=True, text=True, check=True
    )
    assert record.stdout.split()[1:3] == ["1.2.0", "ok"]


def test_next_release_replaces_the_job_and_can_be_undone(operator: Operator) -> None:
    """The old Job goes, a new one is made, then the pods change; undone, they are those of before, settings too."""
    operator.follow("Deploy")
    before = operator.pods()
    operator.release("1.2.0", "orders.example.org")
    operator.follow("Deploy")
    (settings,) = (name for verb, kind, name in operator.cluster.done if (verb, kind) == ("created", "ConfigMap"))
    job = "example-service-migrate"
    assert operator.cluster.done == [
        ("deleted", "Job", job),
        ("created", "ConfigMap", settings),
        ("created", "Job", job),
        ("changed", "Deployment", "example-service"),
    ]
    after = operator.pods()
    assert after[0].endswith(":1.2.0")
    assert after[1] == settings
    operator.follow("Rollback")
    assert operator.cluster.done[-1] == ("undone", "Deployment", "example-service")
    assert operator.pods() == before
    assert {before[1], after[1]} <= {one["metadata"]["name"] for one in operator.cluster.objects.values()}
