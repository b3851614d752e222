"""An API server that only remembers: enough of one for kubectl to send, read back and wait. Imports kinds.

It judges nothing: what it is sent it keeps, a Job is complete and a rollout over at once. So it shows what commands
send and in which order, and nothing of what a cluster would make of it.
"""

import copy
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from kinds import KINDS, discovered

APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
DONE = {
    "Job": {"conditions": [{"type": "Complete", "status": "True"}]},
    "Deployment": {"observedGeneration": 1, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
}


class Remembering(ThreadingHTTPServer):
    """Objects by their paths, and what was done to them in order."""

    daemon_threads = True

    def __init__(self) -> None:
        """Listen on a free port of this machine."""
        super().__init__(("127.0.0.1", 0), Handler)
        self.objects: dict[str, dict[str, Any]] = {}
        self.done: list[tuple[str, str, str]] = []


class Handler(BaseHTTPRequestHandler):
    """Answers one connection."""

    protocol_version = "HTTP/1.1"
    server: Remembering

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def answer(self, content: dict[str, Any], status: int = 200) -> None:
        """Send JSON."""
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def missing(self) -> None:
        """Say so as Kubernetes does."""
        self.answer({"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404}, 404)

    def body(self) -> dict[str, Any]:
        """What was sent."""
        return json.loads(self.rfile.read(int(self.headers.get("Content-Length") or 0)) or b"{}")

    def keep(self, path: str, document: dict[str, Any]) -> None:
        """Remember an object as if all that it asks for had happened."""
        document["metadata"] |= {"uid": path, "resourceVersion": "1", "generation": 1}
        document["status"] = DONE.get(document["kind"], {})
        self.server.objects[path] = document
        if document["kind"] == "Deployment":
            document["spec"]["replicas"] = 1  # as the autoscaler, or the default, would
            self.revise(path, document)
        self.answer(document, 201)

    def revise(self, path: str, deployment: dict[str, Any]) -> None:
        """Keep a Deployment's pods as its next revision, as its controller does in a ReplicaSet."""
        folder, number = path.replace("/deployments/", "/replicasets/"), 1
        while f"{folder}-{number}" in self.server.objects:
            number += 1
        name, spec = f"{deployment['metadata']['name']}-{number}", deployment["spec"]
        about = {"name": name, "uid": name, "labels": spec["selector"]["matchLabels"]}
        about["annotations"] = {"deployment.kubernetes.io/revision": str(number)}
        about["ownerReferences"] = [KINDS["deployments"] | {"name": "it", "uid": path, "controller": True}]
        kept = {
            "metadata": deployment["metadata"] | about,
            "spec": {key: spec[key] for key in ("replicas", "selector", "template")},
        }
        self.server.objects[f"{folder}-{number}"] = KINDS["replicasets"] | kept

    def note(self, verb: str, document: dict[str, Any]) -> None:
        """Remember what was done to whom."""
        self.server.done.append((verb, document["kind"], document["metadata"]["name"]))

    def do_GET(self) -> None:
        """What there is, an object, or a list."""
        url = urlsplit(self.path)
        path, query = url.path, parse_qs(url.query)
        kind = KINDS.get(path.rpartition("/")[2])
        if found := discovered(path.strip("/")) or self.server.objects.get(path):
            self.answer(found)
        elif kind and "watch" in query:
            self.answer({})  # nothing will happen any more
        elif kind:
            name = query.get("fieldSelector", [""])[0].removeprefix("metadata.name=")
            items = [one for place, one in self.server.objects.items() if place.startswith(f"{path}/{name}")]
            listed = {"kind": f"{kind['kind']}List", "apiVersion": kind["apiVersion"], "items": items}
            self.answer(listed | {"metadata": {"resourceVersion": "1"}})
        else:
            self.missing()

    def do_POST(self) -> None:
        """Make an object."""
        document = self.body()
        self.note("created", document)
        self.keep(f"{urlsplit(self.path).path}/{document['metadata']['name']}", document)

    def do_PATCH(self) -> None:
        """Change an object: to what is applied, or its pods alone to those of a revision."""
        path, change = urlsplit(self.path).path, self.body()
        if isinstance(change, list):
            document = copy.deepcopy(self.server.objects[path])
            (document["spec"]["template"],) = (one["value"] for one in change if one["path"] == "/spec/template")
            self.note("undone", document)
        elif "metadata" not in change:  # what replaces a part by the same
            self.answer(self.server.objects[path])
            return
        else:
            document = json.loads(change["metadata"]["annotations"][APPLIED])
            document["metadata"].setdefault("annotations", {})[APPLIED] = json.dumps(document)
            self.note("changed", document)
        self.keep(path, document)

    def do_DELETE(self) -> None:
        """Forget an object."""
        self.body()
        if document := self.server.objects.pop(urlsplit(self.path).path, None):
            self.note("deleted", document)
            self.answer({"kind": "Status", "apiVersion": "v1", "status": "Success", "details": {"uid": "1"}})
        else:
            self.missing()


@contextmanager
def remembering(folder: Path) -> Iterator[tuple[Remembering, Path]]:
    """Run one; gives it, and the file that leads kubectl to it."""
    with Remembering() as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "here",
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
            "clusters": [{"name": "here", "cluster": {"server": f"http://127.0.0.1:{server.server_port}"}}],
            "users": [{"name": "nobody", "user": {}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(config), encoding="utf-8")
        try:
            yield server, folder / "kubeconfig"
        finally:
            server.shutdown()
            thread.join()
