"""The service; a caller is who its header says."""

from fastapi import Request

from app.chassis.app import create_app
from app.chassis.exchange import Caller
from app.chassis.settings import ChassisSettings


async def _identify(request: Request) -> None:
    subject = request.headers.get("x-subject")
    if subject is not None:
        request.scope["exchange"].caller = Caller(subject)


service = create_app(settings=ChassisSettings, api="tests.chassis.rate_limit.program.api", domains="app.domains")
service.state.guards = (_identify, *service.state.guards)
