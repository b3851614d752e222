"""An HTTP client over a real socket that checks every answer: envelope, headers, and what the contract declares."""

import http.client
import json
import socket
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import jsonschema  # type: ignore[import-untyped]  # its types are a package of their own

from app.chassis.testing.rooms import caller_headers

__all__ = ["Answer", "Client", "raw_exchange"]

_ERROR = {
    "type", "code", "title", "status", "detail", "expected", "retryable", "retry_after", "fields",
}  # fmt: skip
_BEFORE_ROUTES = {414, 431}  # the parser's refusals, declared as `default`
_FIELD = {"in", "pointer", "code", "detail", "expected"}


@dataclass(slots=True)
class Answer:
    """One answer: status, headers (names in lower case; a repeated one keeps its last value), body bytes."""

    status: int
    headers: dict[str, str]
    body: bytes = b""
    operation: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """Parsed body."""
        return json.loads(self.body)

    @property
    def data(self) -> Any:
        """`data` of a success."""
        return self.json["data"]

    @property
    def error(self) -> Any:
        """`error` of a failure."""
        return self.json["error"]

    def check_envelope(self) -> None:
        """Fail unless this is the one shape: `data` or `error`, never both, and `meta` with the header's request id."""
        assert self.headers.get("x-request-id"), self
        assert self.headers.get("x-content-type-options") == "nosniff", self
        if self.status in (204, 304):
            assert not self.body
            assert "content-type" not in self.headers
            return
        kind = self.headers.get("content-type", "")
        if not self.body or not kind.startswith(("application/json", "application/problem+json")):
            assert self.status < 400, f"an error outside the envelope: {self}"
            return
        body = self.json
        if kind == "application/problem+json":
            meta = {name: body.pop(name) for name in ("request_id", "api_version")}
            body = {"error": body, "meta": meta}
        assert ("data" in body) != ("error" in body), body
        if "idempotent-replayed" not in self.headers:  # then it is that of the first request
            assert body["meta"]["request_id"] == self.headers["x-request-id"], body
        assert (self.status >= 400) == ("error" in body), body
        if "error" in body:
            error = body["error"]
            assert set(error) == _ERROR, error
            assert error["status"] == self.status, error
            assert all(set(problem) == _FIELD for problem in error["fields"]), error


class Client:
    """Talks to one service as a caller who may do everything, unless its `headers` are changed.

    Keeps a connection as long as the service does.
    """

    def __init__(self, base: str, contracts: dict[str, Any] | None = None, timeout_seconds: float = 30.0) -> None:
        self.address = base.removeprefix("http://")
        self.headers = caller_headers()
        self.contracts = contracts or {}
        self.reached: set[tuple[str, str, int]] = set()
        self._timeout = timeout_seconds
        self._connection: http.client.HTTPConnection | None = None

    def request(
        self,
        method: str,
        path: str,
        *,
        json_body: Any = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        check: bool = True,
    ) -> Answer:
        """Send one request and check its answer; `json_body` is sent as JSON, `body` as it is."""
        sent = self.headers | (headers or {})
        if json_body is not None:
            body = json.dumps(json_body).encode()
            sent.setdefault("Content-Type", "application/json")
        if self._connection is None:
            self._connection = http.client.HTTPConnection(self.address, timeout=self._timeout)
        try:
            self._connection.request(method, path, body=body, headers=sent)
            response = self._connection.getresponse()
            content = response.read()
        except (OSError, http.client.HTTPException):
            self.close()
            raise
        answer = Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, content)
        if response.will_close:
            self.close()
        if check:
            if method != "HEAD":
                answer.check_envelope()
            self._check_declared(method, path, answer)
        return answer

    def close(self) -> None:
        """Let the connection go."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _check_declared(self, method: str, path: str, answer: Answer) -> None:
        """Fail if the contract does not declare this status for this operation, or another shape for it."""
        version = answer.headers.get("x-api-version", "")
        contract = self.contracts.get(version)
        if contract is None:
            return
        template = _template(path.partition("?")[0].removeprefix(f"/{version}"), tuple(contract["paths"]))
        operation = contract["paths"].get(template, {}).get(method.lower())
        if operation is None:
            return
        self.reached.add((method, f"/{version}{template}", answer.status))
        declared = operation["responses"].get(str(answer.status))
        if declared is None and answer.status in _BEFORE_ROUTES:
            declared = operation["responses"]["default"]
        assert declared is not None, (
            f"{method} {template} answers {answer.status}, which its route does not declare; "
            f"expected responses=fails_with(…) to name its code: {answer}"
        )
        schema = declared.get("content", {}).get(answer.headers.get("content-type"), {}).get("schema")
        if schema and answer.body:
            jsonschema.Draft202012Validator({**schema, "components": contract["components"]}).validate(answer.json)


@cache
def _template(path: str, templates: tuple[str, ...]) -> str | None:
    """The contract's path that matches; a plain segment wins over a parameter."""
    parts = path.split("/")
    fitting = []
    for template in templates:
        wanted = template.split("/")
        if len(wanted) == len(parts) and all(
            w == p or (w[:1] == "{" and p) for w, p in zip(wanted, parts, strict=True)
        ):
            fitting.append(template)
    return min(fitting, key=lambda template: template.count("{"), default=None)


def raw_exchange(base: str, data: bytes, *, timeout_seconds: float = 15.0, half_close: bool = False) -> bytes:
    """Send bytes as they are and return everything that comes back until the service closes or falls silent."""
    host, _, port = base.removeprefix("http://").rpartition(":")
    with socket.create_connection((host, int(port)), timeout=timeout_seconds) as connection:
        connection.sendall(data)
        if half_close:
            connection.shutdown(socket.SHUT_WR)
        received = b""
        try:
            while chunk := connection.recv(65536):
                received += chunk
                head, split, body = received.partition(b"\r\n\r\n")
                length = next((h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:")), None)
                if split and length and len(body) >= int(length.split(b":")[1]):
                    break
        except (TimeoutError, ConnectionResetError):
            pass
        return received
