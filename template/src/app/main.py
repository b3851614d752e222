"""The service itself: settings, API versions and domains, put together. Add middleware, routes or mounts below."""

from app.chassis.app import create_app
from app.settings import Settings

app = create_app(settings=Settings, api="app.api", domains="app.domains")
