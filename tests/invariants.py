"""What must hold of the pods of every overlay: one function a property, and what breaks each.

For test_kubernetes.py. Imports cluster.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

from cluster import Built, fits

CONTAINER = "spec/template/spec/containers/0"
WORKLOADS = ("Deployment", "Job")


class Invariant(NamedTuple):
    """A property, and changes of the documents of which each takes it away."""

    holds: Callable[[Built], None]
    broken_by: tuple[tuple, ...]


INVARIANTS: dict[str, Invariant] = {}


def invariant(*broken_by: tuple) -> Callable[[Callable[[Built], None]], Callable[[Built], None]]:
    """Name a function among the properties."""

    def add(holds: Callable[[Built], None]) -> Callable[[Built], None]:
        INVARIANTS[holds.__name__] = Invariant(holds, broken_by)
        return holds

    return add


@invariant(
    ("Deployment", f"{CONTAINER}/startupProbe"),
    ("Deployment", f"{CONTAINER}/livenessProbe"),
    ("Deployment", f"{CONTAINER}/livenessProbe/httpGet/path", "/readyz"),
    ("Deployment", f"{CONTAINER}/readinessProbe"),
    ("Deployment", f"{CONTAINER}/readinessProbe/httpGet/path", "/livez"),
    ("Deployment", f"{CONTAINER}/readinessProbe/timeoutSeconds", 1),
    ("Deployment", f"{CONTAINER}/ports/0/containerPort", 80),
)
def probes(built: Built) -> None:
    """Start and life ask nothing else; readiness asks the checks, and outlasts the two seconds each may take."""
    container = built.container()
    asked = {name: container[f"{name}Probe"]["httpGet"] for name in ("startup", "liveness", "readiness")}
    assert {name: one["path"] for name, one in asked.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz",
    }
    assert {one["port"] for one in asked.values()} == {"http"}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == {"http": int(built.setting("PORT"))}
    assert container["readinessProbe"]["timeoutSeconds"] > 2


@invariant(
    ("Deployment", f"{CONTAINER}/lifecycle"),
    ("Deployment", "spec/template/spec/terminationGracePeriodSeconds"),
    ("Deployment", "spec/template/spec/terminationGracePeriodSeconds", 40),
    ("ConfigMap", "data/SERVER_SHUTDOWN_SECONDS", "60"),
)
def stop(built: Built) -> None:
    """Endpoints are gone before SIGTERM comes, and all that was accepted is answered before SIGKILL may come."""
    sleep = built.container()["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert sleep >= 3
    needed = sleep + built.setting("SERVER_DRAIN_SECONDS") + built.setting("SERVER_SHUTDOWN_SECONDS")
    assert built.pod()["terminationGracePeriodSeconds"] > needed + 1
    assert built.setting("SERVER_SHUTDOWN_SECONDS") >= built.setting("SERVER_REQUEST_TIMEOUT_SECONDS")


@invariant(
    ("Deployment", "spec/strategy/rollingUpdate/maxUnavailable", 1),
    ("Deployment", "spec/strategy/rollingUpdate/maxSurge", 0),
    ("Deployment", "spec/strategy/type", "Recreate"),
    ("Deployment", "spec/minReadySeconds"),
    ("Deployment", "spec/progressDeadlineSeconds"),
    ("Deployment", "spec/revisionHistoryLimit", 0),
)
def rollout(built: Built) -> None:
    """A new pod is there and stays ready before an old one goes; a rollout ends, and can be undone."""
    spec = built.one("Deployment")["spec"]
    assert spec["strategy"]["type"] == "RollingUpdate"
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["strategy"]["rollingUpdate"]["maxSurge"] >= 1
    assert 0 < spec["minReadySeconds"] < spec["progressDeadlineSeconds"]
    assert spec["revisionHistoryLimit"] >= 1


@invariant(
    ("Deployment", "spec/template/spec/topologySpreadConstraints"),
    ("Deployment", "spec/template/spec/topologySpreadConstraints/0/labelSelector/matchLabels/tier", "web"),
)
def spread(built: Built) -> None:
    """Over machines and zones, as far as there are several; one machine alone still takes all."""
    rules = built.pod()["topologySpreadConstraints"]
    assert [rule["topologyKey"] for rule in rules] == ["kubernetes.io/hostname", "topology.kubernetes.io/zone"]
    for rule in rules:
        assert fits(rule["labelSelector"]["matchLabels"], built.labels())
        assert rule["whenUnsatisfiable"] == "ScheduleAnyway"


@invariant(
    ("Deployment", f"{CONTAINER}/resources/requests/cpu"),
    ("Deployment", f"{CONTAINER}/resources/limits/memory"),
    ("Job", f"{CONTAINER}/resources"),
)
def resources(built: Built) -> None:
    """What a pod may count on, and what it may take at most."""
    for kind in WORKLOADS:
        for most in ("requests", "limits"):
            assert built.container(kind)["resources"][most].keys() == {"cpu", "memory"}


@invariant(
    ("Deployment", "spec/template/spec/securityContext/runAsNonRoot", False),
    ("Job", "spec/template/spec/securityContext/runAsUser", 0),
)
def user(built: Built) -> None:
    """The image's own user, who is not root."""
    (uid,) = re.findall(r"^USER (\d+):\1$", (built.service / "Dockerfile").read_text("utf-8"), re.MULTILINE)
    for kind in WORKLOADS:
        context = built.pod(kind)["securityContext"]
        assert context["runAsNonRoot"] is True
        assert [context[key] for key in ("runAsUser", "runAsGroup", "fsGroup")] == [int(uid)] * 3


@invariant(
    ("Deployment", f"{CONTAINER}/securityContext/readOnlyRootFilesystem"),
    ("Deployment", f"{CONTAINER}/volumeMounts/0/mountPath", "/srv"),
    ("Deployment", "spec/template/spec/volumes/0", {"name": "tmp", "hostPath": {"path": "/"}}),
    ("Job", "spec/template/spec/volumes/0/emptyDir/sizeLimit"),
)
def files(built: Built) -> None:
    """Nothing is written but below /tmp, to a folder that goes with the pod and has a size."""
    for kind in WORKLOADS:
        container, volumes = built.container(kind), built.pod(kind)["volumes"]
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        writable = {one["name"]: one["mountPath"] for one in container["volumeMounts"] if not one.get("readOnly")}
        assert writable == {"tmp": "/tmp"}  # noqa: S108 - a path in the container
        assert next(one for one in volumes if one["name"] == "tmp")["emptyDir"]["sizeLimit"]
        assert all({"emptyDir", "secret"} & one.keys() for one in volumes)


@invariant(
    ("Deployment", f"{CONTAINER}/securityContext/capabilities/drop/0", "NET_RAW"),
    ("Deployment", f"{CONTAINER}/securityContext/capabilities/add", ["NET_ADMIN"]),
    ("Deployment", f"{CONTAINER}/securityContext/allowPrivilegeEscalation", True),
    ("Deployment", "spec/template/spec/hostNetwork", True),
    ("Job", "spec/template/spec/securityContext/seccompProfile"),
)
def privileges(built: Built) -> None:
    """No capability, no way to gain one, only the system calls of the default profile, nothing of the host."""
    for kind in WORKLOADS:
        context = built.container(kind)["securityContext"]
        assert context["capabilities"] == {"drop": ["ALL"]}
        assert context["allowPrivilegeEscalation"] is False
        assert "privileged" not in context
        assert built.pod(kind)["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not [key for key in built.pod(kind) if key.startswith("host")]


@invariant(
    ("ServiceAccount", "automountServiceAccountToken"),
    ("Deployment", "spec/template/spec/automountServiceAccountToken", True),
    ("Deployment", "spec/template/spec/serviceAccountName"),
    ("Job", "spec/template/spec/enableServiceLinks"),
)
def account(built: Built) -> None:
    """An account of its own that may ask the cluster nothing, and no variables of the neighbours."""
    assert built.one("ServiceAccount")["automountServiceAccountToken"] is False
    for kind in WORKLOADS:
        assert built.pod(kind)["serviceAccountName"] == built.one("ServiceAccount")["metadata"]["name"]
        assert built.pod(kind)["automountServiceAccountToken"] is False
        assert built.pod(kind)["enableServiceLinks"] is False
