"""What was found: by an exploration, by a comparison. May import operations."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import requests

from app.chassis.contract.operations import Operation

__all__ = ["Break", "Exploration", "Finding", "error_of", "refusal_of"]


@dataclass(frozen=True, slots=True)
class Break:
    """Something a client of the release relies on that is not so any more; `name` is what a waiver says.

    Not certain is what breaks some clients only, or may have been for want of data.
    """

    name: str
    told: str
    is_certain: bool = True


@dataclass(frozen=True, slots=True)
class Finding:
    """One way in which an operation does not keep the contract, with a request that shows it."""

    operation: str
    kind: str
    pointer: str
    told: str


@dataclass(slots=True)
class Exploration:
    """What was found, and which statuses each operation answered with: (operation id, status) -> times."""

    findings: list[Finding] = field(default_factory=list)
    reached: dict[tuple[str, int], int] = field(default_factory=dict)

    def note(self, operation: str, status: int) -> None:
        """Count an answer."""
        self.reached[operation, status] = self.reached.get((operation, status), 0) + 1

    def unseen(self, operations: Iterable[Operation]) -> Iterator[tuple[Operation, str]]:
        """Each operation with a success that its contract declares and nobody saw."""
        for one in operations:
            for status in one.about["responses"]:
                if status.startswith("2") and (one.id, int(status)) not in self.reached:
                    yield one, status

    def table(self) -> list[str]:
        """A line for each operation: its statuses, and how often each came."""
        names = sorted({operation for operation, _ in self.reached})
        width = max(map(len, names), default=0)
        return [
            f"{name.ljust(width)}  "
            + "  ".join(f"{s}: {n}" for (one, s), n in sorted(self.reached.items()) if one == name)
            for name in names
        ]


def error_of(answer: requests.Response) -> Any:
    """The error an answer tells, in the envelope or as a problem document."""
    body = answer.json()
    return body.get("error", body)


def refusal_of(answer: requests.Response) -> str:
    """Status, code and wrong inputs of a refusal, on one line."""
    error = error_of(answer)
    fields = [f"{one['in']} {one['pointer']} {one['detail']}, expected {one['expected']}" for one in error["fields"]]
    return "; ".join([f"{answer.status_code} {error['code']}", *fields])
