"""Alembic's entry: the chassis runs the revisions. May import database."""

from app.chassis.database.migrations import run_env

run_env()
