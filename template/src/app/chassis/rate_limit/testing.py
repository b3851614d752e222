"""What a test of a service with this room needs. Imports nothing of the chassis."""

__all__ = ["ENVIRONMENT", "headers"]

ENVIRONMENT = {"RATE_LIMIT_ENABLED": "false"}
"""A suite asks more often than any caller; the room's own tests switch it on again."""


def headers() -> dict[str, str]:
    """Nothing is asked of a caller."""
    return {}
