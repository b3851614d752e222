"""The page that shows the API to people: `/docs`, from files of this machine alone. May import codes, routing."""

from html import escape
from importlib import resources
from typing import Annotated

from fastapi import Query, Response

from app.chassis.http.codes import CodedHTTPError
from app.chassis.http.routing import Router

__all__ = ["docs_router"]

_POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' data:; style-src 'self'; script-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title} {version}</title>
<link rel="icon" href="data:,">
<link rel="stylesheet" href="/docs/swagger-ui.css">
{links}
<main id="ui" data-contract="/{version}/openapi.json"></main>
<script src="/docs/swagger-ui-bundle.js"></script>
<script src="/docs/start.js"></script>
</html>
"""
_START = """SwaggerUIBundle({
  url: document.getElementById("ui").dataset.contract,
  dom_id: "#ui",
  deepLinking: true,
  presets: [SwaggerUIBundle.presets.apis],
  validatorUrl: null,
});
"""
_TYPES = {"swagger-ui.css": "text/css", "swagger-ui-bundle.js": "text/javascript", "start.js": "text/javascript"}


def docs_router(versions: list[str], title: str) -> Router:
    """`/docs`, with the contract of the newest version or the one asked for; without any there is nothing to show."""
    router = Router(include_in_schema=False)
    if not versions:
        return router
    others = " ".join(f'<a href="/docs?version={name}">{name}</a>' for name in reversed(versions))
    links = f"<nav>{others}</nav>" if len(versions) > 1 else ""

    @router.get("/docs", response_class=Response)
    async def docs(version: Annotated[str, Query()] = versions[-1]) -> Response:
        if version not in versions:
            raise CodedHTTPError("route_not_found", expected=f"one of: {', '.join(versions)}")
        page = _PAGE.format(title=escape(title), version=version, links=links)
        return Response(page, media_type="text/html", headers={"Content-Security-Policy": _POLICY})

    @router.get("/docs/{name}", response_class=Response)
    def file(name: str) -> Response:
        if name not in _TYPES:
            raise CodedHTTPError("route_not_found", expected="a path this service documents")
        found = resources.files("fastapi_offline") / "static" / name
        content = _START.encode() if name == "start.js" else found.read_bytes()
        return Response(content, media_type=_TYPES[name], headers={"Cache-Control": "max-age=3600"})

    return router
