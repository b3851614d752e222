"""Pages of a list: `page`, `limit` and `cursor` in the query, `meta.page` and `Link` in the answer.

May import cursor, database, envelope, errors, exchange.
"""

from collections.abc import Iterable
from typing import Annotated, Any, Generic, TypeVar
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query, Request
from pydantic import AfterValidator, BaseModel
from pydantic_core import PydanticCustomError, from_json
from starlette.types import Scope

from app.chassis.database.keyset import Part, Slice
from app.chassis.errors import FieldProblem, InvalidError
from app.chassis.exchange import Exchange
from app.chassis.http.cursor import CURSOR_FORMAT, MAX_CURSOR, Cursor, list_of, read_cursor, write_cursor
from app.chassis.http.envelope import CursorPageMeta, PageMeta, meta_bytes

__all__ = [
    "MAX_LIMIT",
    "MAX_PAGE",
    "CursorPage",
    "CursorPaging",
    "CursorWindow",
    "Page",
    "Paging",
    "Window",
    "page_links",
    "wrap_page",
]

MAX_LIMIT = 100
MAX_PAGE = 1_000  # offsets cost: at 100,000 rows PostgreSQL reads 88 ms to skip them; a cursor costs the same anywhere

T = TypeVar("T")
S = TypeVar("S", bound=BaseModel)


class Page(BaseModel, Generic[T]):
    """Return type of a list route: at most `limit` things in a stable order, and where this page stands."""

    data: list[T]
    page: PageMeta


class CursorPage(Page[T], Generic[T]):
    """Return type of a list route that also takes a cursor."""

    page: CursorPageMeta


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


class CursorWindow:
    """Which part of a list is asked for, by page or by cursor."""

    __slots__ = ("_list", "_page", "part")

    def __init__(self, page: int, part: Part, list_: bytes) -> None:
        self._page = page
        self._list = list_
        self.part = part

    def page_of(self, shape: type[S], found: Slice[Any]) -> "CursorPage[S]":
        """Answer for a list route: the rows that were found, in their wire shape, and the way to the next ones."""
        following = None if found.end is None else Cursor(found.end, self._page + 1, found.total)
        return CursorPage[shape](  # type: ignore[valid-type]  # pydantic makes the class at run time
            data=[shape.model_validate(thing) for thing in found.rows],
            page=CursorPageMeta(
                page=self._page,
                limit=self.part.limit,
                total=found.total,
                pages=-(-found.total // self.part.limit),
                next_cursor=None if following is None else write_cursor(following, self._list),
            ),
        )


def _reachable(page: int) -> int:
    if page > MAX_PAGE:
        expected = f"{MAX_PAGE} or less, or cursor: the next_cursor of the page before"
        raise PydanticCustomError("less_than_equal", "too far", {"expected": expected})
    return page


_Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Things a page")]


async def _window(
    page: Annotated[int, Query(ge=1, le=MAX_PAGE, description="Page, from 1")] = 1, limit: _Limit = 20
) -> Window:
    return Window(page, limit)


async def _cursor_window(
    request: Request,
    page: Annotated[
        int,
        Query(ge=1, description="Page, from 1", json_schema_extra={"maximum": MAX_PAGE}),
        AfterValidator(_reachable),
    ] = 1,
    limit: _Limit = 20,
    cursor: Annotated[
        str,  # noqa: RUF013  # absent, never null; a union would tell two problems for one
        Query(
            max_length=MAX_CURSOR,
            pattern="^[A-Za-z0-9_-]+$",
            description="Where to go on, instead of a page: the next_cursor of the page before",
            json_schema_extra={"format": CURSOR_FORMAT},
        ),
    ] = None,  # type: ignore[assignment]
) -> CursorWindow:
    list_ = list_of(request)
    if cursor is None:
        return CursorWindow(page, Part(limit, offset=(page - 1) * limit), list_)
    read = read_cursor(cursor, list_)
    if page != 1:  # which is what clients send that send every default
        problem = FieldProblem("query", "/page", "beside_cursor", "is given beside a cursor", "one of the two")
        raise InvalidError("1 input is not valid", expected="see fields", fields=[problem])
    return CursorWindow(read.page, Part(limit, after=read.after, total=read.total), list_)


Paging = Annotated[Window, Depends(_window)]
CursorPaging = Annotated[CursorWindow, Depends(_cursor_window)]

_SPLIT = b',"page":{'
_NOT_IN_A_LINK = str.maketrans({"<": "%3C", ">": "%3E"})


def wrap_page(body: bytes, exchange: Exchange) -> tuple[bytes, dict[str, Any]]:
    """Envelope for a serialised Page, and its `page`.

    `page` is the last member and holds whole numbers and a cursor, so the last `,"page":{` is the split.
    """
    data, _, page = body.rpartition(_SPLIT)
    members = b"{" + page[:-1]
    return b'%s,"meta":{%s,"page":%s}}' % (data, meta_bytes(exchange), members), from_json(members)


def page_links(scope: Scope, page: dict[str, Any]) -> bytes:
    """`Link` value with first, prev, next, last (RFC 8288); the query's other members are kept.

    Where there is a cursor, next goes by it: pages by number shift when things come and go between them. The last page
    is told only where it can be asked for.
    """
    members = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True, encoding="latin-1")
    own = {"page", "limit"} | ({CURSOR_FORMAT} if "next_cursor" in page else set())
    others = [pair for pair in members if pair[0] not in own]
    last = max(1, page["pages"])
    targets: dict[str, tuple[str, Any]] = {"first": ("page", 1)}
    is_walk = CURSOR_FORMAT in own and any(name == CURSOR_FORMAT for name, _ in members)
    if not is_walk and last <= MAX_PAGE:
        targets["last"] = ("page", last)
    if not is_walk and page["page"] > 1:
        targets["prev"] = ("page", min(page["page"] - 1, last, MAX_PAGE))
    if page.get("next_cursor"):
        targets["next"] = (CURSOR_FORMAT, page["next_cursor"])
    elif page["page"] < min(last, MAX_PAGE) and CURSOR_FORMAT not in own:
        targets["next"] = ("page", page["page"] + 1)
    path = scope.get("raw_path", scope["path"].encode()).decode("latin-1").translate(_NOT_IN_A_LINK)
    links = (
        f'<{path}?{urlencode([*others, target, ("limit", page["limit"])], encoding="latin-1")}>; rel="{name}"'
        for name, target in sorted(targets.items())
    )
    return ", ".join(links).encode("latin-1")
