"""How the rows of a fleet are told: a table for people, JSON, an exit code. Standard library only."""

import json
import textwrap
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

Row = dict[str, Any]
LOOK, UNDONE = ("conflict", "lock", "lost", "gate"), ("left", "failed")
FAULTS = ("drift", "conflicts", "losses", "gates")
MEANS = {
    "good": "updated on its branch, every gate passes",
    "newest": "has the newest release",
    "there": "its branch was there before; nothing was done",
    "conflict": "updated on its branch; files hold markers to settle",
    "lock": "updated on its branch; uv.lock does not fit",
    "lost": "not updated: work of the team's would be lost",
    "gate": "updated on its branch; a gate fails",
    "left": "not done yet: the run was interrupted",
    "failed": "not done",
}
INDENT = "    "


def exit_code(rows: Iterable[Row]) -> int:
    """0 all is good, 1 somebody has to look, 2 something could not be told or done."""
    codes = {0}
    for row in rows:
        if row["failed"] or row.get("state") in UNDONE:
            codes.add(2)
        elif row["state"] in LOOK if "state" in row else any(row[name] for name in FAULTS):
            codes.add(1)
    return max(codes)


def shown_table(rows: Sequence[Row], width: int, *, with_names: bool) -> str:
    """The table of `fleet show`; what else is known of a service stands below its row."""
    head = ("service", "has", "newest", "behind", "drift", "conflicts", "lost", "gates")
    counted = ("drift", "conflicts", "losses")
    cells = [
        (
            row["service"],
            *_releases(row),
            "?" if row["behind"] is None else str(row["behind"]),
            *("?" if row[name] is None else str(len(row[name])) for name in counted),
            "" if row["gates"] is None else f"{len(row['gates'])} failing" if row["gates"] else "pass",
        )
        for row in rows
    ]
    return _table(head, cells, [list(_notes(row, with_names=with_names)) for row in rows], width)


def _notes(row: Row, *, with_names: bool) -> Iterator[str]:
    if row["failed"]:
        yield f"not told: {row['failed']}"
    if row["branch"]:
        yield f"the branch {row['branch']} is there"
    for gate in row["gates"] or ():
        yield f"make {gate['target']} fails: {gate['why']}"
    if with_names:
        yield from (f"{one['what']}: {one['path']}" for one in row["drift"] or ())
        yield from (f"ejected: {path}: {reason}" for path, reason in sorted(row["ejected"].items()))
        yield from (f"conflict: {path}" for path in row["conflicts"] or ())
        yield from (f"LOST: {words}" for words in row["losses"] or ())


def _releases(row: Row) -> tuple[str, str]:
    return _cut(row["from"] or "?", 12), _cut(row["to"] or "?", 12)


def updated_table(rows: Sequence[Row], width: int) -> str:
    """The table of `fleet update`; what somebody has to look at stands below its row."""
    head = ("service", "from", "to", "files", "drift", "manual", "seconds", "result")
    cells = [(row["service"], *_releases(row), *numbers(row), f"{row['seconds']:.0f}", row["state"]) for row in rows]
    return _table(head, cells, [list(_troubles(row)) for row in rows], width)


def _troubles(row: Row) -> Iterator[str]:
    if row["failed"]:
        yield f"not done: {row['failed']}"
    yield from (f"conflict: {path}" for path in row["conflicts"])
    yield from (f"LOST: {words}" for words in row["losses"])
    if row["lock"]:
        yield f"uv.lock: {row['lock']}"
    if row["gate"]:
        yield f"make {row['gate']['target']} fails: {row['gate']['why']} (all of it: {row['gate']['log']})"


def numbers(row: Row) -> tuple[str, str, str]:
    """How many files change, are edited, and steps the releases leave to the team; ? where that is not known."""
    if row["state"] in UNDONE:
        return "?", "?", "?"
    manual = "?" if row["notes"] is None else str(sum(len(one["manual"]) for one in row["notes"]))
    return str(len(row["changed"])), str(len(row["drift"])), manual


def line(row: Row) -> str:
    """An update in a line, for who sees no progress bar."""
    ended = f"{row['from']} -> {row['to']}, {row['branch']}" if row["commit"] else row["failed"] or MEANS[row["state"]]
    return plain(f"{row['service']}: {row['state']}: {ended} ({row['seconds']:.0f} s)")


def shown_line(row: Row) -> str:
    """The same of `fleet show`."""
    return plain(f"{row['service']}: {row['failed'] or 'looked at'}")


def as_json(rows: Sequence[Row], **more: object) -> str:
    """The rows for programs."""
    return json.dumps({**more, "exit": exit_code(rows), "services": list(rows)}, indent=2) + "\n"


def plain(text: str) -> str:
    """A text without what would break a line or a terminal; bytes that are no text become a question mark."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    return "".join(each if each.isprintable() else " " for each in text)


def _columns(text: str) -> int:
    wide = sum(1 for each in text if unicodedata.east_asian_width(each) in "WF")
    return len(text) + wide - sum(1 for each in text if unicodedata.combining(each))


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], below: Sequence[Sequence[str]], width: int) -> str:
    """Columns as wide as what is in them; a first column that is too wide for `width` (0: any) is cut in the middle."""
    rows = [[plain(cell) for cell in row] for row in rows]
    widths = [max(_columns(line[index]) for line in (head, *rows)) for index in range(len(head))]
    if width:
        widths[0] = min(widths[0], max(12, width - sum(widths[1:]) - 2 * (len(head) - 1)))
    lines = [_line(head, widths)]
    for row, notes in zip(rows, below, strict=True):
        lines.append(_line([_cut(row[0], widths[0]), *row[1:]], widths))
        for note in notes:
            options = {"initial_indent": INDENT, "subsequent_indent": INDENT * 2, "break_on_hyphens": False}
            lines += textwrap.wrap(plain(note), width, **options) if width else [INDENT + plain(note)]
    return "\n".join(lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell + " " * (wide - _columns(cell)) for cell, wide in zip(cells, widths, strict=True)).rstrip()


def _cut(text: str, most: int) -> str:
    if _columns(text) <= most:
        return text
    half = (most - 1) // 2
    return f"{text[: most - 1 - half]}…{text[-half:]}"
