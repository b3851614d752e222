"""The page that shows the API to people. May import routing."""

from fastapi import Response
from fastapi.openapi.docs import get_swagger_ui_html

from app.chassis.http.routing import Router

__all__ = ["docs_router"]

_ASSETS = "https://cdn.jsdelivr.net"
_POLICY = (
    f"default-src 'none'; connect-src 'self'; img-src 'self' data: https://fastapi.tiangolo.com; "
    f"style-src {_ASSETS} 'unsafe-inline'; script-src {_ASSETS} 'unsafe-inline'; frame-ancestors 'none'"
)


def docs_router(versions: list[str], title: str) -> Router:
    """`/docs`, with the newest version's contract in it; without any version there is nothing to show."""
    router = Router(include_in_schema=False)
    if versions:

        @router.get("/docs", response_class=Response)
        async def docs() -> Response:
            page = get_swagger_ui_html(openapi_url=f"/{versions[-1]}/openapi.json", title=title)
            page.headers["Content-Security-Policy"] = _POLICY
            return page

    return router
