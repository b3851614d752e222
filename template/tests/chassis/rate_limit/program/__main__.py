"""Serves it: `python -m tests.chassis.rate_limit.program`."""

import sys

from app.chassis.server import serve
from tests.chassis.rate_limit.program.main import service

sys.exit(serve(service, service.state.settings))
