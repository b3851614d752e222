"""Of what a failing gate printed, the line that says why. Pure functions, standard library only."""

import re
from collections.abc import Sequence
from itertools import pairwise

_MAKES = ("make:", "make[")
_PLACE = "-->"  # ruff says what is wrong, and below it where
# pytest's summary; a checker's place and word; what Python and programs of operations end with.
_FAULT = re.compile(
    r"(?:FAILED|ERROR) \S+\.py\b|\S+:\d+:.*\berror\b|"
    r"[\w.]*(?:Error|Exception|Exit): |(?:error|fatal|not done|not told): "
)


def headline(lines: Sequence[str]) -> str:
    """The first line that looks like a fault, else the last that is not make's own."""
    said = [line.strip() for line in lines if line.strip()]
    for line, below in pairwise([*said, ""]):
        if below.startswith(_PLACE) and not line.startswith(_MAKES):
            return f"{line} {below}"
        if _FAULT.match(line):
            return line
    return next((line for line in reversed(said) if not line.startswith(_MAKES)), [*said, "it said nothing"][0])
