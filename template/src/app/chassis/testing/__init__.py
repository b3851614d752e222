"""What tests stand on: the service as a real process, a client that checks every answer. For tests only."""

from app.chassis.testing.client import Answer, Client
from app.chassis.testing.process import ServiceProcess

__all__ = ["Answer", "Client", "ServiceProcess"]
