"""Pages of a list: `page` and `limit` in the query, `meta.page` and `Link` in the answer.

May import envelope, exchange.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query
from pydantic import BaseModel
from pydantic_core import from_json
from starlette.types import Scope

from app.chassis.exchange import Exchange
from app.chassis.http.envelope import PageMeta, meta_bytes

__all__ = ["MAX_LIMIT", "MAX_PAGE", "Page", "Paging", "Window", "page_links", "wrap_page"]

MAX_LIMIT = 100
MAX_PAGE = 1_000  # offsets cost: at 100,000 rows PostgreSQL reads 88 ms to skip them

T = TypeVar("T")
S = TypeVar("S", bound=BaseModel)


class Page(BaseModel, Generic[T]):
    """Return type of a list route: at most `limit` things in a stable order, and where this page stands."""

    data: list[T]
    page: PageMeta


class Window:
    """Which part of a list is asked for."""

    __slots__ = ("limit", "page")

    def __init__(self, page: int, limit: int) -> None:
        self.page = page
        self.limit = limit

    @property
    def offset(self) -> int:
        """How many things come before this page."""
        return (self.page - 1) * self.limit

    def page_of(self, shape: type[S], things: Iterable[Any], total: int) -> "Page[S]":
        """Answer for a list route: `things` of this window in their wire shape, and the number of all."""
        pages = -(-total // self.limit)
        return Page[shape](  # type: ignore[valid-type]  # pydantic makes the class at run time
            data=[shape.model_validate(thing) for thing in things],
            page=PageMeta(page=self.page, limit=self.limit, total=total, pages=pages),
        )


async def _window(
    page: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Page, from 1")] = 1,
    limit: Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Things a page")] = 20,
) -> Window:
    return Window(page, limit)


Paging = Annotated[Window, Depends(_window)]

_SPLIT = b',"page":{'


def wrap_page(body: bytes, exchange: Exchange) -> tuple[bytes, dict[str, int]]:
    """Envelope for a serialised Page, and its numbers.

    `page` is the last member and holds whole numbers only, so the last `,"page":{` is the split.
    """
    data, _, page = body.rpartition(_SPLIT)
    numbers = b"{" + page[:-1]
    return b'%s,"meta":{%s,"page":%s}}' % (data, meta_bytes(exchange), numbers), from_json(numbers)


def page_links(scope: Scope, page: dict[str, int]) -> bytes:
    """`Link` value with first, prev, next, last (RFC 8288); the query's other members are kept."""
    members = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    others = [pair for pair in members if pair[0] not in ("page", "limit")]
    last = max(1, min(page["pages"], MAX_PAGE))
    targets = {"first": 1, "last": last}
    if page["page"] > 1:
        targets["prev"] = min(page["page"] - 1, last)
    if page["page"] < last:
        targets["next"] = page["page"] + 1
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    links = (
        f'<{path}?{urlencode([*others, ("page", number), ("limit", page["limit"])], encoding="latin-1")}>; rel="{name}"'
        for name, number in sorted(targets.items())
    )
    return ", ".join(links).encode("latin-1")
