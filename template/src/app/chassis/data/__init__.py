"""Tools for the data: no part of a running service."""
