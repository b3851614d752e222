"""What is deployed to Kubernetes, as kustomize builds it: valid, and every property that the page promises."""

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import surroundings  # noqa: F401 - fills INVARIANTS
import yaml
from cluster import OLDEST, OVERLAYS, Built, build, fits, problems
from conftest import Render
from invariants import INVARIANTS
from kubernetes_validate import latest_version
from rendered import subsets
from test_features import CHOICES
from tools import require

VERSIONS = (OLDEST, latest_version())
PAGE = "docs/chassis/kubernetes.md"


@pytest.fixture(scope="module", params=OVERLAYS)
def built(request: pytest.FixtureRequest, render: Render) -> Built:
    """Return an overlay as it is rendered. Not to be changed."""
    service = render("everything")
    return Built(service, build(service, request.param))


@pytest.mark.parametrize("answers", [{}, *({"features": some} for some in subsets(CHOICES)[:-1])], ids=str)
@pytest.mark.parametrize("overlay", OVERLAYS)
def test_overlay_fits_the_schemas(render: Render, overlay: str, answers: dict) -> None:
    """As rendered, whatever the features, each document is one of the oldest Kubernetes promised and of the newest."""
    documents = build(render("everything", **answers), overlay)
    assert len(documents) == 11 + ("rate_limit" in answers.get("features", CHOICES))
    assert [problem for version in VERSIONS for problem in problems(documents, version)] == []


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "path", "value"),
    [
        ("Deployment", "spec/template/spec/containers/0/readynessProbe", {}),
        ("Deployment", "spec/strategy/rollingUpdate/maxUnavailible", 0),
        ("Deployment", "spec/minReadySeconds", "ten"),
        ("Job", "spec/template/spec/securityContext/runAsUser", "app"),
        ("NetworkPolicy", "spec/egress/0/port", 53),
        ("HorizontalPodAutoscaler", "spec/maxReplicas", None),
    ],
)
def test_schemas_find_a_typo(built: Built, version: str, kind: str, path: str, value: object) -> None:
    """A misspelt key, a value of another type and a key that is missing are found, and nothing else is."""
    (problem,) = problems(built.changed(kind, path, value).documents, version)
    assert problem.startswith(f"{kind}: ")


def test_page_names_the_oldest_version(built: Built) -> None:
    """The one whose schemas are tried above: since then the `sleep` before SIGTERM is had without asking."""
    assert f"Kubernetes {OLDEST} or newer" in (built.service / PAGE).read_text("utf-8")


@pytest.mark.parametrize("name", INVARIANTS)
def test_overlay_has_the_property(built: Built, name: str) -> None:
    """Each is asked of the overlay as it is built, patches and all."""
    INVARIANTS[name].holds(built)


@pytest.mark.parametrize(
    ("name", "change"), [(name, change) for name, one in INVARIANTS.items() for change in one.broken_by]
)
def test_property_that_is_broken_is_found(built: Built, name: str, change: tuple) -> None:
    """What asks for a property fails where it is taken away or changed."""
    with pytest.raises((AssertionError, LookupError)):
        INVARIANTS[name].holds(built.changed(*change))


@pytest.mark.parametrize("slug", ["true", "a" * 40])
def test_any_slug_is_a_name(render: Render, slug: str) -> None:
    """A slug that YAML takes for something else, or as long as one may be, names everything and is selected by."""
    service = render(service_slug=slug, deploy="kubernetes", ci="none")
    built = Built(service, build(service, "staging"))
    assert problems(built.documents, VERSIONS[-1]) == []
    assert built.one("Deployment")["metadata"]["name"] == slug
    assert fits(built.one("Service")["spec"]["selector"], built.labels())
    assert all(len(document["metadata"]["name"]) <= 63 for document in built.documents)


def test_digest_takes_the_place_of_the_tag(render: Render, tmp_path: Path) -> None:
    """The comment in the overlay works: the image is named by its digest, for the pods and for the Job."""
    service = shutil.copytree(render("everything"), tmp_path / "service", ignore=shutil.ignore_patterns(".git"))
    overlay = service / "deploy/kubernetes/overlays/production/kustomization.yaml"
    digest = f"sha256:{'0a' * 32}"
    overlay.write_text(re.sub("newTag: .*", f"digest: {digest}", overlay.read_text("utf-8")), encoding="utf-8")
    built = Built(service, build(service, "production"))
    for kind in ("Deployment", "Job"):
        assert built.container(kind)["image"] == f"registry.example.com/example-service@{digest}"
    INVARIANTS["image"].holds(built)


def test_feature_that_is_off_asks_for_nothing(render: Render) -> None:
    """Without a feature no key, volume or way out of it is there."""
    service = render("everything", features=[])
    plain = Built(service, build(service, "staging"))
    assert [one["name"] for one in plain.container()["env"]] == ["DATABASE_URL", "OPERATIONS_TOKEN"]
    assert [one["name"] for one in plain.pod()["volumes"]] == ["tmp"]
    assert len(plain.every("NetworkPolicy")) == 3
    assert list((service / "deploy/kubernetes/base").rglob("features/*/*")) == []


def test_page_lists_every_place_to_fill_in(render: Render) -> None:
    """Each mark in an overlay has a row on the page, file by file, and no row is without a mark."""
    service = render("everything")
    rows = re.findall(r"^\| `(\w+\.yaml)` \| ", (service / PAGE).read_text("utf-8"), re.MULTILINE)
    for overlay in OVERLAYS:
        folder = service / "deploy/kubernetes/overlays" / overlay
        marks = [path.name for path in sorted(folder.iterdir()) for _ in path.read_text("utf-8").split("FILL IN")[1:]]
        assert marks == rows


SHOWN: dict[str, Callable[[Built], float]] = {
    "`sleep` before SIGTERM": lambda one: one.container()["lifecycle"]["preStop"]["sleep"]["seconds"],
    "`SERVER_DRAIN_SECONDS`": lambda one: one.setting("SERVER_DRAIN_SECONDS"),
    "`SERVER_SHUTDOWN_SECONDS`": lambda one: one.setting("SERVER_SHUTDOWN_SECONDS"),
    "`terminationGracePeriodSeconds`": lambda one: one.pod()["terminationGracePeriodSeconds"],
    "startup probe": lambda one: patience(one.container()["startupProbe"]),
    "liveness probe": lambda one: patience(one.container()["livenessProbe"]),
    "readiness probe": lambda one: patience(one.container()["readinessProbe"]),
    "`minReadySeconds`": lambda one: one.one("Deployment")["spec"]["minReadySeconds"],
    "pods in production": lambda one: one.one("HorizontalPodAutoscaler")["spec"]["minReplicas"],
    "connections to PostgreSQL": lambda one: connections(one),
}


def patience(probe: dict) -> int:
    """How long a probe may fail before something is done."""
    return probe["periodSeconds"] * probe["failureThreshold"]


def connections(built: Built) -> float:
    """What all pods together may open while a release takes over."""
    pods = built.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    pods += built.one("Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    return pods * (built.setting("DATABASE_POOL_SIZE") + built.setting("DATABASE_POOL_OVERFLOW"))


def test_numbers_of_the_page_are_those_that_are_built(render: Render) -> None:
    """The table of the page, row by row."""
    service = render("everything")
    table = (service / PAGE).read_text("utf-8").partition("| number | value |")[2].partition("\n\n")[0]
    told = dict(re.findall(r"^\| ([^|]+) \| (\d+)", table, re.MULTILINE))
    production = Built(service, build(service, "production"))
    assert {name: float(told[name]) for name in told} == {name: float(read(production)) for name, read in SHOWN.items()}


def test_scrape_of_the_page_is_one_prometheus_takes(render: Render, tmp_path: Path) -> None:
    """The block is YAML, finds the pods by labels and a port that the overlay has, and asks with the token."""
    service = render("everything")
    (block,) = re.findall(r"```yaml\n(.*?)```", (service / PAGE).read_text("utf-8"), re.DOTALL)
    # Debian's promtool knows no Kubernetes: it checks all but how the pods are found.
    known = re.sub(r"kubernetes_sd_configs:(\n {6}.*)+", "static_configs: []", block)
    (tmp_path / "prometheus.yml").write_text(known, encoding="utf-8")
    command = [require("promtool"), "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    (job,) = yaml.safe_load(block)["scrape_configs"]
    production = Built(service, build(service, "production"))
    (namespaces,) = (one["namespaces"]["names"] for one in job["kubernetes_sd_configs"])
    assert namespaces == [production.one("Deployment")["metadata"]["namespace"]]
    kept = {
        rule["source_labels"][0].removeprefix("__meta_kubernetes_pod_"): rule.get("regex")
        for rule in job["relabel_configs"]
    }
    assert kept["label_app_kubernetes_io_component"] == production.labels()["app.kubernetes.io/component"]
    assert kept["container_port_name"] == production.container()["ports"][0]["name"]
