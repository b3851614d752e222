"""Puts a service together: settings, rooms, features, API versions. May import every room of the chassis."""

import gc
import pkgutil
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import timedelta
from importlib import import_module
from time import time
from typing import Any

from fastapi import FastAPI
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.chassis.about import about
from app.chassis.database.engine import Database
from app.chassis.database.failures import DATABASE_ERRORS, told
from app.chassis.database.idempotency import forgetting
from app.chassis.database.revisions import pending_rooms
from app.chassis.edge import Edge
from app.chassis.errors import UnavailableError
from app.chassis.feature import loaded_features
from app.chassis.health import Health, health_router
from app.chassis.http.catalogue import catalogue_router
from app.chassis.http.docs import docs_router
from app.chassis.http.handlers import install_handlers
from app.chassis.http.routing import EnvelopeRoute, require_envelopes
from app.chassis.http.versions import FoundVersion, VersionApp, Versions, discover_versions, inner_stack, versioned
from app.chassis.observability.log import AccessLog, configure_logs
from app.chassis.observability.metrics import Metrics
from app.chassis.observability.writer import LineWriter
from app.chassis.settings import ChassisSettings, SettingsError, load_settings

__all__ = ["Service", "create_app", "import_models"]

Lifespan = Callable[["Service"], AbstractAsyncContextManager[None]]


class Service(FastAPI):
    """The ASGI application. Routes and middleware added to it work as on any FastAPI app, inside the edge."""

    def __init__(self, settings: ChassisSettings, versions: list[FoundVersion], lifespan: Lifespan | None) -> None:
        super().__init__(
            title=about().name,
            version=about().version,
            openapi_url=None,
            redirect_slashes=False,
            lifespan=self._live,
            telemetry={"tracing": False, "metrics": False},
        )
        self.router.route_class = EnvelopeRoute
        self._team_lifespan = lifespan
        state = self.state
        state.settings = settings
        state.writer = LineWriter(settings.log_buffer_lines)
        state.access_log = AccessLog(state.writer, settings)
        state.metrics = Metrics(about().version)
        state.database = Database(settings)
        state.health = Health({"database": self._database_answers, "migrations": self._migrations_done})
        hooks = (*(one.guard for one in loaded_features()), *(one.admit for one in loaded_features()))
        state.guards = tuple(hook for hook in hooks if hook is not None)
        for feature in loaded_features():
            if feature.readiness is not None:
                state.health.checks[feature.name] = lambda check=feature.readiness: check(self)
        apps = {
            found.name: VersionApp(found, about=about(), state=state, docs=settings.docs_enabled) for found in versions
        }
        self.versions = state.versions = Versions(apps, settings.api_default_version)
        for feature in loaded_features():
            if feature.setup is not None:
                feature.setup(state)
        self.start_problem: SettingsError | None = None
        self._are_migrations_done = False

    def build_middleware_stack(self) -> ASGIApp:
        """The edge, the team's middleware, then version or own routes."""
        install_handlers(self)
        for kind in DATABASE_ERRORS:
            self.add_exception_handler(kind, _database_error)
        for version in self.versions.apps.values():
            version.exception_handlers = self.exception_handlers  # the team's own count for every version
        self.router.default = self.versions.serve_rest
        self._own = inner_stack(self)
        app: ASGIApp = self._dispatch
        for cls, args, kwargs in reversed(self.user_middleware):
            app = cls(app, *args, **kwargs)
        if self.user_middleware:  # what it raises is told like what a route raises
            app = ExceptionMiddleware(app, handlers=self.exception_handlers)
        return Edge(app, self.state)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or start and stop with the server."""
        if scope["type"] == "lifespan":
            await self.router.lifespan(scope, receive, self._without_trace(send))
            return
        if self.middleware_stack is None:
            self.middleware_stack = self.build_middleware_stack()
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)

    def _without_trace(self, send: Send) -> Send:
        """Settings that turn out wrong at the start are one message, which the server gives, and no trace."""

        async def told(message: Message) -> None:
            await send(message if self.start_problem is None else {**message, "message": ""})

        return told

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        app = self.versions.by_path(scope["path"], scope["exchange"])
        if app is None:
            await self._own(scope, receive, send)
        else:
            await app.inner(versioned(scope, app, scope["path"]), receive, send)

    @asynccontextmanager
    async def _live(self, _app: FastAPI) -> AsyncIterator[None]:
        for app in (self, *self.versions.apps.values()):
            require_envelopes(app)
        configure_logs(self.state.settings, self.state.writer)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self.state.database.close)
            max_age = timedelta(hours=self.state.settings.idempotency_keep_hours)
            await stack.enter_async_context(forgetting(self.state.database, max_age))
            try:
                for live in (one.lifespan for one in loaded_features() if one.lifespan is not None):
                    await stack.enter_async_context(live(self))
            except SettingsError as problem:
                self.start_problem = problem
                raise
            if self._team_lifespan is not None:
                await stack.enter_async_context(self._team_lifespan(self))
            self.state.metrics.start_time.set(time())
            gc.collect()
            gc.freeze()  # what lives as long as the service is not looked at again: the longest pause falls to a tenth
            yield

    async def _database_answers(self) -> None:
        await self.state.database.check()

    async def _migrations_done(self) -> None:
        if self._are_migrations_done:
            return
        if rooms := await pending_rooms(self.state.database):
            raise UnavailableError(f"{', '.join(rooms)} not migrated; run `make migrate`")
        self._are_migrations_done = True


async def _database_error(_request: Any, error: Exception) -> Any:
    if refusal := told(error):
        raise refusal from error
    raise error


def create_app(settings: type[ChassisSettings], api: str, domains: str, *, lifespan: Lifespan | None = None) -> Service:
    """Make the service from the team's settings class and the packages of its API versions and domains.

    Args:
        settings: The team's settings class; read from the environment and `.env`.
        api: Package with one folder `vN` a served version; every `routes.py` below it has a `router`.
        domains: Package whose folders hold `models.py` with the team's tables.
        lifespan: What the team starts and stops with the service; runs inside the chassis' own.

    Raises:
        SettingsError: a variable cannot be used.
    """
    loaded = load_settings(settings)
    import_models(domains)
    service = Service(loaded, discover_versions(api), lifespan)
    service.include_router(health_router())
    service.include_router(catalogue_router())
    if loaded.docs_enabled:
        service.include_router(docs_router(list(service.versions.apps), about().name))
    for feature in loaded_features():
        for router in feature.routers:
            service.include_router(router)
    return service


def import_models(domains: str) -> None:
    """Import each domain's `models.py`, so that its tables are known to migrations."""
    root = import_module(domains)
    for module in pkgutil.walk_packages(root.__path__, f"{domains}."):
        if module.name.endswith(".models"):
            import_module(module.name)
