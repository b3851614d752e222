"""What tests stand on: the service as a real process, a client that checks every answer. For tests only."""

from app.chassis.testing.client import Answer, Client
from app.chassis.testing.process import ServiceProcess
from app.chassis.testing.scenarios import Outcome, at_once

__all__ = ["Answer", "Client", "Outcome", "ServiceProcess", "at_once"]
