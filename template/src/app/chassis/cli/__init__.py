"""The command line `python -m app`. May import every room; the service itself is loaded by name."""

from app.chassis.cli.main import main

__all__ = ["main"]
