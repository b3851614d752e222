"""One FastAPI app a folder `api/vN`; path or header leads to it.

May import about, codes, deprecation, errors, exchange, guards, handlers, openapi, settings.
"""

import pkgutil
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from fastapi import APIRouter, FastAPI, Request
from fastapi.middleware.asyncexitstack import AsyncExitStackMiddleware
from starlette.datastructures import State
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from app.chassis.about import About
from app.chassis.errors import GoneError
from app.chassis.exchange import Exchange
from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.deprecation import Deprecated, DeprecatedVersion
from app.chassis.http.guards import let_in, no_route
from app.chassis.http.handlers import install_handlers
from app.chassis.http.openapi import enveloped_openapi
from app.chassis.settings import SettingsError

__all__ = ["FoundVersion", "VersionApp", "Versions", "discover_versions", "inner_stack"]

_FOLDER = re.compile(r"v[1-9][0-9]{0,3}")


class VersionSunsetError(GoneError):
    """That API version was served once and is not any more."""

    code = "api_version_sunset"


def inner_stack(app: FastAPI) -> ASGIApp:
    """FastAPI's inner stack without its server-error layer: the edge is that layer, for every path alike."""
    return ExceptionMiddleware(AsyncExitStackMiddleware(app.router), handlers=app.exception_handlers)


class VersionApp(FastAPI):
    """All routes of one API version, under `/vN`, with a contract of its own at `/vN/openapi.json`."""

    def __init__(self, found: "FoundVersion", *, about: About, state: State, docs: bool) -> None:
        super().__init__(
            title=about.name,
            description=about.description,
            contact=_contact(about),
            version=found.name,
            servers=[{"url": f"/{found.name}"}],
            root_path_in_servers=False,
            redirect_slashes=False,
            telemetry={"tracing": False, "metrics": False},
            openapi_url="/openapi.json" if docs else None,
            docs_url=None,
            redoc_url=None,
        )
        self.name = found.name
        self.successor = found.successor
        self.deprecated = found.deprecated
        self.state = state
        self.folder = found.folder
        install_handlers(self)
        self.router.default = no_route
        for router in found.routers:
            # A discovered router's paths are complete: adding them flat saves a level of matching a request.
            self.router.routes.extend(router.routes)

    @cached_property
    def inner(self) -> ASGIApp:
        """Only what routes need; the team's middleware wraps all versions from outside."""
        stack = inner_stack(self)
        if self.deprecated is None:
            return stack
        return DeprecatedVersion(stack, self.deprecated.headers(self.successor), self.state.metrics)

    def openapi(self) -> dict[str, Any]:
        """OpenAPI document in which every answer has its envelope."""
        if self.openapi_schema is None:
            self.openapi_schema = enveloped_openapi(self, self.deprecated)
        return self.openapi_schema


def _contact(about: About) -> dict[str, str]:
    contact = about.owner_contact
    known = {"url": contact} if contact.startswith("https://") else {"email": contact} if "@" in contact[1:] else {}
    return {"name": about.owner} | known if known else {"name": f"{about.owner}, {contact}"}


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """A folder `api/vN`: the `router` of each `routes.py` below it, its `DEPRECATED`, the newest version if later."""

    name: str
    folder: Path
    routers: list[APIRouter]
    deprecated: Deprecated | None
    successor: str | None


def discover_versions(package: str) -> list[FoundVersion]:
    """Every version folder, oldest first; the routers of each in order of name."""
    root = import_module(package)
    names = sorted((m.name for m in pkgutil.iter_modules(root.__path__) if _FOLDER.fullmatch(m.name)), key=_number)
    return [
        FoundVersion(
            name,
            Path(next(iter(root.__path__))) / name,
            list(_routers(f"{package}.{name}")),
            getattr(import_module(f"{package}.{name}"), "DEPRECATED", None),
            names[-1] if name != names[-1] else None,
        )
        for name in names
    ]


def _number(name: str) -> int:
    return int(name[1:])


def _routers(package: str) -> Iterator[APIRouter]:
    root = import_module(package)
    for module in sorted(pkgutil.walk_packages(root.__path__, f"{package}."), key=lambda found: found.name):
        if module.name.endswith(".routes"):
            yield import_module(module.name).router


class Versions:
    """Which version a request means: its path names one, or `X-API-Version` does, or the pinned one answers."""

    def __init__(self, apps: dict[str, VersionApp], pinned: str | None) -> None:
        self.apps = apps
        self.pinned = pinned or next(iter(apps), None)
        self.newest = _number(next(reversed(apps), "v0"))
        if apps and pinned and _number(pinned) > self.newest:
            raise SettingsError(
                f"API_DEFAULT_VERSION: names a version that was never served; expected one of: {', '.join(apps)}"
            )

    def by_path(self, path: str, exchange: Exchange) -> VersionApp | None:
        """App of a path `/vN/…` if it is served and the header does not contradict: the fast road."""
        if not path.startswith("/v"):
            return None
        name = path[1:].partition("/")[0]
        app = self.apps.get(name)
        if app is None or exchange.asked_version not in (None, name):
            return None
        exchange.api_version = name
        return app

    async def serve_rest(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Every other road: version by header or pin, or a refusal that names the served versions.

        Raises:
            CodedHTTPError: `api_version_unknown`, `api_version_conflict`, `route_not_found` (no version at all).
            VersionSunsetError: the version is older than the newest and not served any more, or the pin is.
        """
        try:
            chosen = self._chosen(scope)
        except (CodedHTTPError, VersionSunsetError):
            await let_in(Request(scope))
            raise
        app = self.apps[chosen]
        await app.inner(versioned(scope, app, f"/{chosen}{scope['path']}"), receive, send)

    def _chosen(self, scope: Scope) -> str:
        exchange: Exchange = scope["exchange"]
        first = scope["path"][1:].partition("/")[0]
        named = first if _FOLDER.fullmatch(first) else None
        if named and exchange.asked_version not in (None, named):
            raise CodedHTTPError(
                "api_version_conflict", "path and X-API-Version differ", expected="one version, named once"
            )
        chosen = named or exchange.asked_version or self.pinned
        if chosen is None:
            raise CodedHTTPError("route_not_found", expected="a path this service documents")
        if chosen not in self.apps:
            raise self._refusal(chosen)
        exchange.api_version = chosen
        return chosen

    def _refusal(self, name: str) -> Exception:
        expected = f"one of: {', '.join(self.apps) or 'none'}"
        if _FOLDER.fullmatch(name) and (_number(name) < self.newest or name == self.pinned):
            return VersionSunsetError("that API version is no longer served", expected=expected)
        return CodedHTTPError("api_version_unknown", "no such API version", expected=expected)


def versioned(scope: Scope, app: VersionApp, path: str) -> Scope:
    """Scope for a version's app, as a mount would make it."""
    scope["root_path"] = f"{scope.get('root_path', '')}/{app.name}"
    scope["path"] = path
    scope["app"] = app
    return scope
