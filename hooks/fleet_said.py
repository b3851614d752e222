"""Of what a failing gate printed, the line that says why. Pure functions, standard library only."""

import re
from collections.abc import Sequence
from itertools import pairwise

_MAKES = ("make:", "make[")
_PLACE = "-->"  # ruff says what is wrong, and below it where
# pytest's summary, which comes last and is looked for first; a checker's place and word, or what programs end with.
_SUMMARY = re.compile(r"(?:FAILED|ERROR) \S+\.py\b")
_FAULT = re.compile(r"\S+:\d+(?::\d+)?: error\b|[\w.]*(?:Error|Exception|Exit): |(?:error|fatal|not done|not told): ")


def headline(lines: Sequence[str]) -> str:
    """The first line that looks like a fault, else the last that is not make's own."""
    said = [line.strip() for line in lines if line.strip()]
    if found := [line for line in said if _SUMMARY.match(line)]:
        return found[0]
    for line, below in pairwise([*said, ""]):
        if below.startswith(_PLACE) and not line.startswith(_MAKES):
            return f"{line} {below}"
        if _FAULT.match(line):
            return line
    return next((line for line in reversed(said) if not line.startswith(_MAKES)), [*said, "it said nothing"][0])
