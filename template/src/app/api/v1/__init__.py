"""Version 1 of the API. Every `routes.py` below is found by its name."""
