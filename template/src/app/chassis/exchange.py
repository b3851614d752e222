"""One request and its answer, as every room sees it. May import deadline."""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from app.chassis.deadline import Deadline

__all__ = ["ANONYMOUS", "Caller", "Exchange", "current_exchange"]


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: `subject` is None for an anonymous caller; `scopes` is what it may do."""

    subject: str | None = None
    scopes: frozenset[str] = frozenset()

    def may(self, *scopes: str) -> bool:
        """Whether its token holds all of these."""
        return self.scopes.issuperset(scopes)


ANONYMOUS = Caller()


@dataclass(slots=True)
class Exchange:
    """What the edge, the routes and the log know of one request. Lives as long as the request."""

    request_id: str
    method: str
    path: str = ""
    client: str | None = None
    asked_version: str | None = None
    api_version: str | None = None
    route: str | None = None
    caller: Caller = ANONYMOUS
    caller_problem: Exception | None = None
    has_idempotency_key: bool = False
    claim: Any = None
    wants_problem: bool = False
    status: int = 0
    is_error_told: bool = False
    headers: list[tuple[bytes, bytes]] | None = None
    deadline: Deadline | None = None
    works: dict[type, Any] = field(default_factory=dict)

    def disarm_deadline(self) -> None:
        """From here on the request timeout no longer strikes: the commit has begun, or the answer is on its way."""
        if self.deadline is not None:
            self.deadline.disarm()
            self.deadline = None


current_exchange: ContextVar[Exchange | None] = ContextVar("current_exchange", default=None)
