"""What must hold of all that stands around the pods of an overlay: one function a property, and what breaks each.

For test_kubernetes.py. Imports cluster, invariants.
"""

import re
from typing import Any

from cluster import Built, fits
from invariants import CONTAINER, WORKLOADS, invariant

MOST_CONNECTIONS = 97  # of PostgreSQL's 100, for three are kept for its administrators


@invariant(
    ("Service", "spec/selector/app.kubernetes.io~component"),
    ("Service", "spec/ports/0/targetPort", 80),
    ("Deployment", "spec/selector/matchLabels/app.kubernetes.io~component", "migrate"),
)
def service(built: Built) -> None:
    """Requests reach the server's pods and never the Job's."""
    for selector in (
        built.one("Service")["spec"]["selector"],
        built.one("Deployment")["spec"]["selector"]["matchLabels"],
    ):
        assert fits(selector, built.labels())
        assert not fits(selector, built.labels("Job"))
    assert [port["targetPort"] for port in built.one("Service")["spec"]["ports"]] == ["http"]


@invariant(
    ("Deployment", "spec/replicas", 3),
    ("HorizontalPodAutoscaler", "spec/scaleTargetRef/name", "another"),
    ("HorizontalPodAutoscaler", "spec/maxReplicas", 1),
    ("HorizontalPodAutoscaler", "spec/minReplicas", 0),
)
def autoscaler(built: Built) -> None:
    """It alone says how many pods there are: in staging one or two, in production never fewer than two."""
    deployment, spec = built.one("Deployment"), built.one("HorizontalPodAutoscaler")["spec"]
    assert spec["scaleTargetRef"] == {
        "apiVersion": deployment["apiVersion"],
        "kind": "Deployment",
        "name": deployment["metadata"]["name"],
    }
    assert "replicas" not in deployment["spec"]
    is_staging = deployment["metadata"]["namespace"].endswith("-staging")
    least, most = spec["minReplicas"], spec["maxReplicas"]
    assert 1 <= least < most
    assert most <= 2 if is_staging else least >= 2


@invariant(
    ("HorizontalPodAutoscaler", "spec/maxReplicas", 7),
    ("ConfigMap", "data/DATABASE_POOL_SIZE", "50"),
)
def connections(built: Built) -> None:
    """All pods of a rollout and the Job find a connection at a PostgreSQL that nobody has tuned."""
    pods = built.one("HorizontalPodAutoscaler")["spec"]["maxReplicas"]
    pods += built.one("Deployment")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    each = built.setting("DATABASE_POOL_SIZE") + built.setting("DATABASE_POOL_OVERFLOW")
    assert pods * each + 2 <= MOST_CONNECTIONS


@invariant(
    ("PodDisruptionBudget", "spec/maxUnavailable", 2),
    ("PodDisruptionBudget", "spec/selector/matchLabels/tier", "web"),
)
def disruptions(built: Built) -> None:
    """A machine that is emptied takes one pod at a time, and a single pod keeps no machine from it."""
    spec = built.one("PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert "minAvailable" not in spec
    assert fits(spec["selector"]["matchLabels"], built.labels())


def _allowed(built: Built, direction: str, kind: str) -> list[dict[str, Any]]:
    """Rules for those pods; without a policy of this direction everything would be let through."""
    policies = [one["spec"] for one in built.every("NetworkPolicy")]
    chosen = [one for one in policies if fits(one["podSelector"].get("matchLabels", {}), built.labels(kind))]
    chosen = [one for one in chosen if direction.title() in one["policyTypes"]]
    assert chosen
    return [rule for one in chosen for rule in one.get(direction, ())]


@invariant(
    ("NetworkPolicy", "spec/policyTypes", ["Egress"]),
    ("NetworkPolicy", "spec/ingress", [{}]),
    ("NetworkPolicy", "spec/podSelector/matchLabels/app.kubernetes.io~component", "server"),
)
def callers(built: Built) -> None:
    """Only what the overlay names by its namespace reaches the server, at its one port; nobody reaches the Job."""
    for rule in _allowed(built, "ingress", "Deployment"):
        assert [port["port"] for port in rule["ports"]] == ["http"]
        assert [one.keys() for one in rule["from"]] == [{"namespaceSelector"}] * 2
    assert _allowed(built, "ingress", "Job") == []


@invariant(
    ("NetworkPolicy", "spec/policyTypes", ["Ingress"]),
    ("NetworkPolicy", "spec/egress/0/ports"),
    ("NetworkPolicy", "spec/egress/0/ports/1/port", 443),
)
def ways_out(built: Built) -> None:
    """Names from anywhere, databases at the addresses that the overlay names, and nothing else."""
    for kind, ports in (("Deployment", {53, 5432, 6379}), ("Job", {53, 5432})):
        rules = _allowed(built, "egress", kind)
        assert {port["port"] for rule in rules for port in rule["ports"]} == ports
        for rule in rules:
            assert {port["port"] for port in rule["ports"]} == {53} or [one.keys() for one in rule["to"]] == [
                {"ipBlock"}
            ]


@invariant(
    ("Job", f"{CONTAINER}/image", "another:1"),
    ("Job", f"{CONTAINER}/command", ["python3", "-m", "app", "serve"]),
    ("Job", f"{CONTAINER}/envFrom/0/configMapRef/name", "another"),
    ("Job", "spec/activeDeadlineSeconds"),
    ("Job", "spec/template/spec/restartPolicy", "OnFailure"),
)
def migration(built: Built) -> None:
    """The Job is the same release with the same settings and migrates; it ends, and says by its pods why not."""
    job, server = built.container("Job"), built.container()
    assert [job[key] for key in ("image", "envFrom")] == [server[key] for key in ("image", "envFrom")]
    assert job["command"] == ["python3", "-m", "app", "migrate"]
    assert built.one("Job")["spec"]["activeDeadlineSeconds"] > 0
    assert built.pod("Job")["restartPolicy"] == "Never"


@invariant(
    ("ConfigMap", "data/ENVIRONMENT", "development"),
    ("ConfigMap", "data/LOG_FORMAT", "text"),
    ("ConfigMap", "data/SECURITY_ALLOWED_HOSTS"),
    ("ConfigMap", "data/OPERATIONS_TOKEN", "a-token-in-git-1234"),
    ("ConfigMap", "metadata/name", "settings"),
)
def settings(built: Built) -> None:
    """Production, logs for machines, the overlay's host names; no secret, and another name for another content."""
    told, data = built.one("ConfigMap")["metadata"]["name"], built.one("ConfigMap")["data"]
    assert (data["ENVIRONMENT"], data["LOG_FORMAT"], data["HOST"]) == ("production", "json", "0.0.0.0")  # noqa: S104
    assert "example.com" in data["SECURITY_ALLOWED_HOSTS"]
    assert not [name for name in data if re.search("TOKEN|URL|KEY|SECRET|PASSWORD", name)]
    assert re.fullmatch(r"[a-z0-9-]+-[a-z0-9]{10}", told)


@invariant(
    ("Deployment", f"{CONTAINER}/env/0"),
    ("Deployment", f"{CONTAINER}/env/1/valueFrom/secretKeyRef/optional", True),
    ("Deployment", f"{CONTAINER}/env/0", {"name": "DATABASE_URL", "value": "postgresql+asyncpg://u:p@db/app"}),
    ("ConfigMap", "kind", "Secret"),
    ("Job", f"{CONTAINER}/env/0/valueFrom/secretKeyRef/key", "POSTGRES_URL"),
)
def secrets(built: Built) -> None:
    """Never rendered, and no pod starts without: PostgreSQL, the token of operations, the Redis that pods share."""
    assert built.every("Secret") == []
    name = built.one("Deployment")["metadata"]["name"]
    for kind, wanted in (("Deployment", {"REDIS_URL"}), ("Job", set())):
        referred = {one["name"]: one["valueFrom"] for one in built.container(kind)["env"] if "valueFrom" in one}
        assert referred == {key: {"secretKeyRef": {"name": name, "key": key}} for key in referred}
        assert referred.keys() == wanted | {"DATABASE_URL", "OPERATIONS_TOKEN"}


@invariant(
    ("Deployment", "metadata/namespace", "default"),
    ("Namespace", "metadata/labels"),
)
def namespace(built: Built) -> None:
    """Everything is in the overlay's own namespace, which takes no pod with more rights."""
    own = built.one("Namespace")["metadata"]
    assert own["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    rest = [one["metadata"]["namespace"] for one in built.documents if one["kind"] != "Namespace"]
    assert set(rest) == {own["name"]}


@invariant(
    ("Deployment", f"{CONTAINER}/image", "registry.example.com/example-service"),
    ("Deployment", f"{CONTAINER}/image", "registry.example.com/example-service:latest"),
)
def image(built: Built) -> None:
    """One that stays what it is: a tag that is a version, or a digest."""
    for kind in WORKLOADS:
        assert re.fullmatch(r"[^:@]+(:\d[\w.-]*|@sha256:[0-9a-f]{64})", built.container(kind)["image"])
