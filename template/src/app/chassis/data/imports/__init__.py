"""`make import`: rows of a file into a domain. `run` begins. A domain's `imports.py` imports from here."""

from app.chassis.data.imports.rows import Email, ImportRow

__all__ = ["Email", "ImportRow"]
