"""What a limit is: how many requests in how long, written `10/second; 300/minute`. Imports nothing of the chassis."""

import re
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated

from pydantic import AfterValidator

__all__ = ["GRAMMAR", "Limit", "Window", "read_windows"]

GRAMMAR = "1/second to 1000000/31 days, as COUNT/second, COUNT/minute, COUNT/hour, COUNT/day or COUNT/5 minutes"
_WINDOW = re.compile(r"(\d{1,7})/(?:(\d{1,7}) )?(second|minute|hour|day)(s?)", re.ASCII)
_MILLISECONDS = {"second": 1_000, "minute": 60_000, "hour": 3_600_000, "day": 86_400_000}
_MOST, _LONGEST = 1_000_000, 31 * 86_400_000  # their product, doubled, is a whole number in Lua as well
_WINDOWS = 4


@dataclass(frozen=True, slots=True)
class Window:
    """At most `count` requests in so many milliseconds."""

    count: int
    milliseconds: int
    name: str


def read_windows(text: str) -> tuple[Window, ...]:
    """The windows of a limit, the shortest first.

    Raises:
        ValueError: "what is wrong; what is expected".
    """
    windows = sorted((_window(part.strip()) for part in text.split(";")), key=lambda window: window.milliseconds)
    if len(windows) > _WINDOWS:
        raise ValueError(f"has {len(windows)} windows; at most {_WINDOWS}")
    for short, long in pairwise(windows):
        if short.milliseconds == long.milliseconds or short.count >= long.count:
            raise ValueError("has a window that never says no; a longer window that allows more than a shorter one")
    return tuple(windows)


def _readable(text: str) -> str:
    read_windows(text)
    return text


Limit = Annotated[str, AfterValidator(_readable)]
"""Text of a limit, as a setting or a file has it."""


def _window(text: str) -> Window:
    found = _WINDOW.fullmatch(text)
    if found is None:
        raise ValueError(f"is not a limit; {GRAMMAR}, several with a semicolon between them")
    count, many, unit = int(found[1]), int(found[2] or 1), found[3]
    milliseconds = many * _MILLISECONDS[unit]
    if not (1 <= count <= _MOST and 1 <= milliseconds <= _LONGEST) or (found[4] and not found[2]):
        raise ValueError(f"is not a limit that can be counted; {GRAMMAR}")
    return Window(count, milliseconds, unit if many == 1 else f"{many}-{unit}s")
