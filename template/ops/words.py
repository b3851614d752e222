"""Why a program ended, in one line, from all that it printed. Standard library only."""

import json
import re
from collections.abc import Iterator

SETTINGS = "settings cannot be used:"
# A line of a trace that is in the service's own files, and not in a library's.
PLACE = re.compile(r'\s*File "(?:[^"]*/)?((?:src|migrations)/[^"]+)", line (\d+)')
# Said behind the reason, and no reason: by uv, nginx and uvicorn.
ECHOES = re.compile(r"hint\b|nginx: configuration file .* test failed|Application startup failed\. Exiting\.")
MOST = 300


def reason(text: str) -> str:
    """The last thing that was said, with its place where it is an error of the service's; empty where nothing was."""
    lines = [line for line in _lines(text) if line.strip() and not ECHOES.match(line)]
    if SETTINGS in lines:
        at = lines.index(SETTINGS)
        return f"{SETTINGS} {'; '.join(lines[at + 1 :])}"[:MOST]
    if not lines:
        return ""
    traces = [number for number, line in enumerate(lines) if line.startswith("Traceback ")]
    places = [match for line in lines[traces[-1] if traces else 0 :] if (match := PLACE.match(line))]
    return lines[-1].strip()[:MOST] + (f" ({places[-1][1]}:{places[-1][2]})" if places else "")


def _lines(text: str) -> Iterator[str]:
    """What was printed, and of the log what it says; who asked what meanwhile is no reason."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
            event = str(found["event"])
        except (ValueError, KeyError, TypeError, RecursionError):
            yield line
            continue
        if event != "request":
            yield from event.splitlines()
            yield from str(found.get("trace") or "").splitlines()
