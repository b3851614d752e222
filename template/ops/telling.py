"""What is said to whoever watches. Standard library only."""

import time
from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


def say(text: str) -> None:
    """Print it, if anybody is there to read it: a terminal that is gone stops nothing half way."""
    with suppress(OSError, ValueError):
        print(text, flush=True)


def plain(markdown: str) -> str:
    """What a page says, for a terminal: a name is spelt there so that no browser takes it for a tag."""
    return markdown.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")


def step(verb: str, what: str, do: Callable[[], T]) -> T:
    """Do it, and say how long it took."""
    begun = time.monotonic()
    found = do()
    say(f"{verb:8} {what}: {time.monotonic() - begun:.1f} s")
    return found
