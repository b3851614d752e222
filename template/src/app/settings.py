"""The team's settings. Each field is an environment variable of the same name in capitals (or a line in `.env`)."""

from app.chassis.settings import ChassisSettings


class Settings(ChassisSettings):
    """Add fields here; a `SecretStr` without a real value stops the service from starting in production."""
