"""Alembic's entry for the tables of this room. May import database."""

from app.chassis.database.migrations import run_env

run_env()
