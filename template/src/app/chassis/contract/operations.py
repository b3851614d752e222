"""The operations of an OpenAPI document. May import http."""

from collections.abc import Iterator
from typing import Any

from app.chassis.http.recordings import Case

__all__ = ["Operation", "operations_of", "overlap"]

_METHODS = ("get", "put", "post", "delete", "patch")  # HEAD has no body that could tell anything


class Operation:
    """One operation of a contract: its method, path template, parameters, and the codes it fails with by status."""

    def __init__(self, contract: dict[str, Any], method: str, template: str) -> None:
        self.method = method.upper()
        self.template = template
        self.about: dict[str, Any] = contract["paths"][template][method]
        self.id: str = self.about["operationId"]
        self.codes = dict(_codes(self.about))
        self.parameters = {(one["in"], _name(one)): one for one in self.about.get("parameters", ())}

    def __str__(self) -> str:
        return f"{self.method} {self.template}"

    def fails_in(self, case: Case) -> bool:
        """Whether the case is named by an error."""
        return case.name.partition(".")[0] in self.codes


def operations_of(contract: dict[str, Any]) -> dict[str, Operation]:
    """The operations of an OpenAPI document by their ids."""
    found = [
        Operation(contract, method, template)
        for template, item in contract["paths"].items()
        for method in _METHODS
        if method in item
    ]
    return {operation.id: operation for operation in found}


def _name(parameter: dict[str, Any]) -> str:
    name: str = parameter["name"]
    return name.lower() if parameter["in"] == "header" else name  # RFC 9110 §5.1


def _codes(operation: dict[str, Any]) -> Iterator[tuple[str, int]]:
    for status, response in operation["responses"].items():
        if status[0] in "45":
            for name in response["content"]["application/json"]["examples"]:
                yield name.partition(".")[0], int(status)


def overlap(template: str, other: str) -> bool:
    """Whether some path fits both templates."""
    ours, theirs = template.split("/"), other.split("/")
    return len(ours) == len(theirs) and all(a == b or "{" in a or "{" in b for a, b in zip(ours, theirs, strict=True))
