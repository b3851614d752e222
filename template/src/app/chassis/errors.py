"""Error kinds, in the service's own words. Knows no HTTP. Imports nothing of the chassis.

ServiceError
├── InvalidError               understood, but a rule says no
├── UnauthenticatedError       who are you?
├── ForbiddenError             we know you; you may not
├── NotFoundError              no such thing
├── ConflictError              it clashes with what is there
├── GoneError                  it was here and will not come back
├── PreconditionFailedError    it changed since you read it
├── PreconditionRequiredError  say which state you change
└── UnavailableError           refused before any work; try again

A domain derives its own from a kind and names a `code`; `http/codes.py` gives the kind its status.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

__all__ = [
    "ConflictError",
    "FieldProblem",
    "ForbiddenError",
    "GoneError",
    "InvalidError",
    "NotFoundError",
    "PreconditionFailedError",
    "PreconditionRequiredError",
    "ServiceError",
    "UnauthenticatedError",
    "UnavailableError",
    "error_kinds",
]

Place = Literal["body", "query", "path", "header", "cookie"]


@dataclass(frozen=True, slots=True)
class FieldProblem:
    """One wrong input: where (`place`, JSON pointer of RFC 6901), which rule (`code`), what is wrong, what is expected.

    Holds no input value: what a caller sent never comes back.
    """

    place: Place
    pointer: str
    code: str
    detail: str
    expected: str


class ServiceError(Exception):
    """A failure the caller is told about: `detail` says what failed, `expected` what would have been right."""

    code: ClassVar[str] = "internal"
    kind: ClassVar[str] = "internal"
    title: ClassVar[str | None] = None

    def __init__(
        self,
        detail: str | None = None,
        *,
        expected: str | None = None,
        fields: Sequence[FieldProblem] = (),
        retry_after: int | None = None,
    ) -> None:
        super().__init__(detail or self.code)
        self.detail = detail
        self.expected = expected
        self.fields = tuple(fields)
        self.retry_after = retry_after

    def __init_subclass__(cls) -> None:
        """A class directly below ServiceError is a kind: its code names it. Below that, the kind is inherited."""
        if ServiceError in cls.__bases__:
            cls.kind = cls.code


class InvalidError(ServiceError):
    """The request is understood and breaks a rule."""

    code = "validation_failed"


class UnauthenticatedError(ServiceError):
    """The caller is not known."""

    code = "unauthenticated"


class ForbiddenError(ServiceError):
    """The caller is known and may not do this."""

    code = "forbidden"


class NotFoundError(ServiceError):
    """The thing asked for does not exist, or the caller may not know that it does."""

    code = "not_found"


class ConflictError(ServiceError):
    """The change clashes with what is there."""

    code = "conflict"


class GoneError(ServiceError):
    """The thing existed and is gone for good."""

    code = "gone"


class PreconditionFailedError(ServiceError):
    """The thing changed since the caller read it."""

    code = "precondition_failed"


class PreconditionRequiredError(ServiceError):
    """The caller must say which state it means to change."""

    code = "precondition_required"


class UnavailableError(ServiceError):
    """Refused before any work was done; safe to send again after `retry_after` seconds."""

    code = "unavailable"


def error_kinds(base: type[ServiceError] = ServiceError) -> Iterator[type[ServiceError]]:
    """Every error class that is imported, kinds and the domains' own."""
    for child in base.__subclasses__():
        yield child
        yield from error_kinds(child)
