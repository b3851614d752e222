"""A real Valkey for tests."""

from app.chassis.redis.testing.server import ValkeyServer

__all__ = ["ValkeyServer"]
