"""Which methods a path answers. RFC 9110 §10.2.1 wants all of them in `Allow`; Starlette names one route's."""

from fastapi import FastAPI
from fastapi.routing import iter_route_contexts
from starlette._utils import get_route_path
from starlette.routing import compile_path
from starlette.types import Scope

__all__ = ["allowed_methods"]

_ORDER = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def allowed_methods(app: FastAPI, scope: Scope) -> list[str]:
    """Every method some route of `app` has for the request's path, plus HEAD beside GET, plus OPTIONS."""
    path, methods = get_route_path(scope), {"OPTIONS"}
    for context in iter_route_contexts(app.routes):
        if context.path and context.methods and compile_path(context.path)[0].match(path):
            methods |= context.methods
    if "GET" in methods:
        methods.add("HEAD")
    return sorted(methods, key=lambda method: (_ORDER.index(method) if method in _ORDER else 99, method))
