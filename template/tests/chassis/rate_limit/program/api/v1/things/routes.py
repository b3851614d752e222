"""A route for each kind of rule; `limits.toml` names them."""

# ruff: noqa: D103

from app.chassis.errors import NotFoundError
from app.chassis.http import Router

router = Router()


@router.get("/plain")
async def plain() -> str:
    return "here"


@router.get("/hundred")
async def hundred() -> str:
    return "here"


@router.get("/address")
async def address() -> str:
    return "here"


@router.get("/together")
async def together() -> str:
    return "here"


@router.get("/twofold")
async def twofold() -> str:
    return "here"


@router.get("/lost")
async def lost() -> str:
    raise NotFoundError("it is lost")


@router.get("/open")
async def opened() -> str:
    return "here"


@router.get("/closed")
async def closed() -> str:
    return "here"
