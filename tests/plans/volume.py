"""What the plan gate cannot know of the books."""

from typing import Any


def book(number: int) -> dict[str, Any]:
    """Ten languages, a hundred years each."""
    return {"language": f"l{number % 10}", "year": 1900 + number // 10 % 100}


ROWS = {"shelves": 20, "reviews": 20_000}
VALUES = {"books": book}
ARGUMENTS = {
    "books.good_given": {"filters": {"isbn": "isbn 7"}},
    "books.bad_cast": {"code": "7"},
    "books.bad_rare": {"price": 5_000},
}
