"""What an API server says of the kinds it knows, as far as kubectl asks. For remembering.py; standard library only."""

from typing import Any

RESOURCES = {
    "v1": ["Namespace", "ServiceAccount", "ConfigMap", "Secret", "Service"],
    "apps/v1": ["Deployment", "ReplicaSet"],
    "batch/v1": ["Job"],
    "autoscaling/v2": ["HorizontalPodAutoscaler"],
    "policy/v1": ["PodDisruptionBudget"],
    "networking.k8s.io/v1": ["NetworkPolicy"],
}


def plural(kind: str) -> str:
    """Its name in a path."""
    return kind.lower().replace("policy", "policie") + "s"


KINDS = {plural(kind): {"apiVersion": version, "kind": kind} for version in RESOURCES for kind in RESOURCES[version]}


def discovered(path: str) -> dict[str, Any] | None:
    """What kubectl asks to learn which kinds there are."""
    groups = [one.split("/") for one in RESOURCES if "/" in one]
    if path == "api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "apis":
        known = [(name, {"groupVersion": f"{name}/{version}", "version": version}) for name, version in groups]
        return {
            "kind": "APIGroupList",
            "apiVersion": "v1",
            "groups": [{"name": name, "versions": [one], "preferredVersion": one} for name, one in known],
        }
    if path == "openapi/v3":
        places = [f"{'apis' if '/' in version else 'api'}/{version}" for version in RESOURCES]
        return {"paths": {place: {"serverRelativeURL": f"/openapi/v3/{place}"} for place in places}}
    if path.startswith("openapi/v3/"):
        return validating(path.removeprefix("openapi/v3/"))
    version = path.removeprefix("apis/").removeprefix("api/")
    if version not in RESOURCES or not path.startswith("api"):
        return None
    verbs = ["create", "delete", "get", "list", "patch", "watch"]
    kinds = [
        {"name": plural(kind), "kind": kind, "namespaced": kind != "Namespace", "singularName": "", "verbs": verbs}
        for kind in RESOURCES[version]
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": version, "resources": kinds}


def validating(place: str) -> dict[str, Any]:
    """What makes kubectl leave the validation to the server."""
    *_, group, version = f"/{place.partition('/')[2]}".split("/")
    named = {kind: {"group": group, "version": version, "kind": kind} for kind in RESOURCES[place.partition("/")[2]]}
    parameters = [{"name": "fieldValidation", "in": "query"}]
    paths = {
        f"/{place}/{plural(kind)}/{{name}}": {
            "patch": {"x-kubernetes-group-version-kind": one, "parameters": parameters}
        }
        for kind, one in named.items()
    }
    return {"openapi": "3.0.0", "info": {"title": place, "version": "1"}, "paths": paths}
