"""Where two JSON values differ. Imports nothing of the chassis."""

from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["differences"]


def differences(recorded: Any, now: Any, varies: Sequence[str] = (), pointer: str = "") -> Iterator[str]:
    """A line for each place of two JSON values that differs, `varies` left out."""
    if pointer in varies or recorded == now:
        return
    if isinstance(recorded, dict) and isinstance(now, dict):
        for key in {**recorded, **now}:
            place = f"{pointer}/{key}"
            if key not in now or key not in recorded:
                if place not in varies:
                    yield f"{place}: {'gone' if key not in now else 'new'}"
            else:
                yield from differences(recorded[key], now[key], varies, place)
    elif isinstance(recorded, list) and isinstance(now, list) and len(recorded) == len(now):
        for index, (old, new) in enumerate(zip(recorded, now, strict=True)):
            yield from differences(old, new, varies, f"{pointer}/{index}")
    else:
        yield f"{pointer}: recorded {_brief(recorded)}, now {_brief(now)}"


def _brief(value: Any) -> str:
    text = repr(value)
    return text if len(text) < 80 else f"{text[:76]} ..."
