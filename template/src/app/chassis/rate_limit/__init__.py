"""How often each caller may ask each route. A feature: `feature.py` is what the service knows of it."""
