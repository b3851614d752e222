"""HTTP as routes see it. Team code imports from here."""

from app.chassis.exchange import Caller
from app.chassis.http.access import Public
from app.chassis.http.deprecation import Deprecated
from app.chassis.http.failures import fails_with
from app.chassis.http.idempotency import IdempotencyKey, RequiredIdempotencyKey
from app.chassis.http.location import Location
from app.chassis.http.paging import CursorPage, CursorPaging, Page, Paging
from app.chassis.http.preconditions import ExpectedVersion, NewTag, ReadTag
from app.chassis.http.routing import Router
from app.chassis.http.schema import MAX_ID, Email, Schema
from app.chassis.http.values import DecimalText, Moment
from app.chassis.http.work import Read, Write

__all__ = [
    "MAX_ID",
    "Caller",
    "CursorPage",
    "CursorPaging",
    "DecimalText",
    "Deprecated",
    "Email",
    "ExpectedVersion",
    "IdempotencyKey",
    "Location",
    "Moment",
    "NewTag",
    "Page",
    "Paging",
    "Public",
    "Read",
    "ReadTag",
    "RequiredIdempotencyKey",
    "Router",
    "Schema",
    "Write",
    "fails_with",
]
