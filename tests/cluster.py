"""What a cluster makes of an overlay: its documents, their schemas, a container's environment, a probe.

Imports tools, kubernetes_validate and the standard library.
"""

import base64
import copy
import http.client
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import kubernetes_validate
import yaml
from tools import require

OVERLAYS = ("staging", "production")
OLDEST = "1.30"  # which knows `sleep`
Documents = list[dict[str, Any]]


def build(service: Path, overlay: str) -> Documents:
    """Every document that `kubectl apply --kustomize` would send."""
    command = [require("kubectl"), "kustomize", f"deploy/kubernetes/overlays/{overlay}"]
    done = subprocess.run(command, cwd=service, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "a warning of something that will be gone"
    return list(yaml.safe_load_all(done.stdout))


def problems(documents: Iterable[Mapping], version: str) -> list[str]:
    """What the strict schemas of a Kubernetes version say against the documents."""
    found = []
    for document in documents:
        try:
            kubernetes_validate.validate(document, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            found.append(f"{document['kind']}: {'/'.join(map(str, error.path))}: {error.message}")
    return found


def defaults(service: Path) -> dict[str, str]:
    """Every setting of the service that has a default."""
    return dict(re.findall(r"^#([A-Z_]+)=(.+)$", (service / ".env.example").read_text("utf-8"), re.MULTILINE))


class Built:
    """The documents of an overlay, by what they are."""

    def __init__(self, service: Path, documents: Documents) -> None:
        """Keep both; the documents may be changed."""
        self.service, self.documents = service, documents

    def every(self, kind: str) -> Documents:
        """All of one kind."""
        return [document for document in self.documents if document["kind"] == kind]

    def one(self, kind: str) -> dict[str, Any]:
        """The only one of its kind."""
        (found,) = self.every(kind)
        return found

    def pod(self, kind: str = "Deployment") -> dict[str, Any]:
        """What the Deployment, or the Job, wants of a pod."""
        return self.one(kind)["spec"]["template"]["spec"]

    def container(self, kind: str = "Deployment") -> dict[str, Any]:
        """The only container of that pod."""
        (found,) = self.pod(kind)["containers"]
        return found

    def labels(self, kind: str = "Deployment") -> dict[str, str]:
        """Labels of those pods."""
        return self.one(kind)["spec"]["template"]["metadata"]["labels"]

    def setting(self, name: str) -> float:
        """A number as the pods have it: from the ConfigMap, else the default."""
        return float(self.one("ConfigMap")["data"].get(name) or defaults(self.service)[name])

    def changed(self, kind: str, path: str, value: Any = None) -> "Built":
        """The same with another value at a path such as `spec/minReplicas`; None takes it away."""
        other = Built(self.service, copy.deepcopy(self.documents))
        *parents, last = [int(part) if part.isdigit() else part.replace("~", "/") for part in path.split("/")]
        place: Any = other.every(kind)[0]
        for part in parents:
            place = place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value
        return other


def fits(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether labels have all that a selector asks for."""
    return selector.items() <= labels.items()


def environment(built: Built, kind: str, secrets: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """A container's environment as its kubelet makes it.

    Raises:
        LookupError: it does not start, for what it refers to is not there.
    """
    container = built.container(kind)
    maps = {one["metadata"]["name"]: one["data"] for one in built.every("ConfigMap")}
    found: dict[str, str] = {}
    for source in container["envFrom"]:
        found |= maps[source["configMapRef"]["name"]]
    for variable in container["env"]:
        if "value" in variable:
            found[variable["name"]] = variable["value"]
            continue
        wanted = variable["valueFrom"]["secretKeyRef"]
        if wanted.get("optional"):
            raise AssertionError(f"{variable['name']} is optional")
        found[variable["name"]] = secrets[wanted["name"]][wanted["key"]]
    return found


def secret(document: str) -> tuple[str, dict[str, str]]:
    """Name and content of a Secret that kubectl printed."""
    made = yaml.safe_load(document)
    return made["metadata"]["name"], {key: base64.b64decode(text).decode() for key, text in made["data"].items()}


def probed(address: str, probe: Mapping[str, Any], pod: str = "10.244.1.7:8000") -> int:
    """Status of a probe's answer, asked as a kubelet asks: by the pod's address, without another header."""
    connection = http.client.HTTPConnection(address, timeout=probe["timeoutSeconds"])
    headers = {"Host": pod, "User-Agent": "kube-probe/1.37", "Accept": "*/*", "Connection": "close"}
    headers |= {header["name"]: header["value"] for header in probe["httpGet"].get("httpHeaders", ())}
    try:
        connection.putrequest("GET", probe["httpGet"]["path"], skip_host=True, skip_accept_encoding=True)
        for name, value in headers.items():
            connection.putheader(name, value)
        connection.endheaders()
        return connection.getresponse().status
    finally:
        connection.close()
