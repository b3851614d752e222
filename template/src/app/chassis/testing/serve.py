"""Migrates and runs the service with the probe routes: `python -m app.chassis.testing.serve`. For tests only."""

import asyncio
import sys

from app.chassis.database.engine import Database
from app.chassis.database.migrations import migrate
from app.chassis.server import serve
from app.chassis.testing.probes import ProbeMiddleware, direct_write, probe_router
from app.chassis.testing.rooms import probe_routes
from app.chassis.testing.team import team

if __name__ == "__main__":
    service = team().app()
    asyncio.run(migrate(Database(service.state.settings)))
    service.router.routes.extend([*probe_router().routes, *probe_routes()])
    service.add_middleware(ProbeMiddleware)
    service.post("/-probe/direct")(direct_write)
    sys.exit(serve(service, service.state.settings))
