"""Logs and metrics. May import exchange and its own settings; knows no routes."""
