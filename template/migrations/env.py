"""Alembic's entry: the chassis runs the revisions. Add imports of your own above the call if a revision needs them."""

from app.chassis.database.migrations import run_env

run_env()
