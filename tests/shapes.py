"""Routes of every shape a team may have; a test copies this file into a service as `api/v1/shapes/routes.py`."""

from collections.abc import AsyncIterator
from datetime import date, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal
from uuid import UUID, uuid4

from app.chassis.errors import InvalidError, NotFoundError
from app.chassis.http import MAX_ID, RequiredIdempotencyKey, Router, Schema, fails_with
from fastapi import Query, Response
from fastapi.responses import StreamingResponse
from pydantic import Field


class ParcelNotFoundError(NotFoundError):
    """There is no parcel with that key."""

    code = "parcel_not_found"


class ParcelTooHeavyError(InvalidError):
    """No schema says what a carrier carries."""

    code = "parcel_too_heavy"


class Carrier(StrEnum):
    """Who carries it."""

    SHIP = "ship"
    RAIL = "rail"


class Line(Schema):
    """One kind of thing in a parcel."""

    sku: Annotated[str, Field(min_length=1, max_length=20, examples=["BOB-1"])]
    count: Annotated[int, Field(ge=1, le=MAX_ID)]


class ParcelIn(Schema):
    """What is sent."""

    carrier: Carrier
    lines: Annotated[list[Line], Field(max_length=5)]
    day: date
    at: datetime | None = None
    weight: Annotated[str, Field(pattern=r"^[0-9]{1,9}[.][0-9]{2}$", examples=["1.00"])]
    labels: dict[str, str] = Field(default_factory=dict)
    extra: dict[str, Any] = Field(default_factory=dict)
    marks: set[int] = Field(default_factory=set, max_length=5)


class ParcelOut(ParcelIn):
    """What comes back."""

    id: UUID


class CarrierIn(Schema):
    """A change."""

    carrier: Carrier | None = None


class Count(Schema):
    """How many."""

    number: int


router = Router(tags=["odd ones & more"])
PARCELS: dict[UUID, ParcelOut] = {}


def parcel_of(key: UUID) -> ParcelOut:
    """The parcel."""
    if key not in PARCELS:
        raise ParcelNotFoundError("no parcel has that key", expected="the key of a parcel")
    return PARCELS[key]


@router.get("/count")
async def count_parcels() -> Count:
    return Count(number=len(PARCELS))


@router.get("/parcels")
async def list_parcels(carrier: Carrier, before: int | None = None) -> list[ParcelOut]:
    return [one for one in PARCELS.values() if one.carrier == carrier and (before is None or one.day.year < before)]


@router.post("/parcels", status_code=202, responses=fails_with("parcel_too_heavy"))
async def send_parcel(body: ParcelIn) -> ParcelOut:
    if body.weight.startswith("9"):
        raise ParcelTooHeavyError("too heavy", expected="a weight that does not begin with 9")
    parcel = ParcelOut(id=uuid4(), **body.model_dump())
    PARCELS[parcel.id] = parcel
    return parcel


@router.get("/parcels/export", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def export_parcels() -> Response:
    return Response("id,carrier\n", media_type="text/csv")


@router.get("/parcels/{parcel_id}", responses=fails_with("parcel_not_found"))
def read_parcel(parcel_id: UUID) -> ParcelOut:
    return parcel_of(parcel_id)


@router.patch("/parcels/{parcel_id}", responses=fails_with("parcel_not_found"))
async def change_parcel(parcel_id: UUID, body: CarrierIn) -> ParcelOut:
    parcel = parcel_of(parcel_id)
    PARCELS[parcel_id] = parcel.model_copy(update={"carrier": body.carrier or parcel.carrier})
    return PARCELS[parcel_id]


@router.get("/parcels/{parcel_id}/lines/{number}", responses=fails_with("parcel_not_found"))
async def read_line(parcel_id: UUID, number: int) -> Line:
    lines = parcel_of(parcel_id).lines
    if not 0 <= number < len(lines):
        raise ParcelNotFoundError("no such line", expected="the number of a line")
    return lines[number]


@router.post("/lines")
async def count_lines(body: list[Line]) -> Count:
    return Count(number=len(body))


@router.post("/orders", status_code=201)
async def order_lines(body: list[Line], _key: RequiredIdempotencyKey) -> Count:
    return Count(number=len(body))


@router.post("/words")
async def count_words(word: Annotated[list[str] | None, Query(max_length=3)] = None) -> Count:
    return Count(number=len(word or ()))


@router.get("/kinds/{kind}")
async def read_kind(kind: Literal["large", "small"]) -> dict[str, str]:
    return {"kind": kind}


@router.get("/lines", response_class=StreamingResponse, responses={200: {"content": {"text/plain": {}}}})
async def stream_lines() -> StreamingResponse:
    async def lines() -> AsyncIterator[bytes]:
        yield b"one\n"

    return StreamingResponse(lines(), media_type="text/plain")


@router.head("/parcels/{parcel_id}/lines", responses=fails_with("parcel_not_found"))
async def has_lines(parcel_id: UUID) -> None:
    parcel_of(parcel_id)
