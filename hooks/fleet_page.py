"""The report of a fleet's update as a page for people. Pure functions, standard library only."""

from collections.abc import Sequence

from fleet_report import INDENT, MEANS, Row, numbers, plain

MOST_FILES = 20


def as_markdown(rows: Sequence[Row], gates: Sequence[str], began: str) -> str:
    """The report of an update for people."""
    states = [row["state"] for row in rows]
    counts = ", ".join(f"{states.count(state)} {state}" for state in MEANS if state in states)
    told = ["# Update of the fleet", "", f"Begun {began}. Gates: {', '.join(f'`make {gate}`' for gate in gates)}."]
    told += [f"Services: {counts}. Nothing was pushed.", ""]
    told += [
        "| service | from | to | branch | commit | files | drift | manual | result | seconds |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        cells = [row["service"], row["from"], row["to"], row["branch"], row["commit"][:12]]
        cells += [*numbers(row), row["state"], row["seconds"]]
        told.append(f"| {' | '.join(map(_cell, cells))} |")
    told += ["", *(f"- {state}: {MEANS[state]}" for state in MEANS if state in states), ""]
    for row in rows:
        told += _section(row)
    return "\n".join(told).rstrip("\n") + "\n"


def _section(row: Row) -> list[str]:
    told = [f"## {plain(row['service'])}", "", f"`{plain(row['path'])}`: {MEANS[row['state']]}.", ""]
    told += [f"- not done: {plain(row['failed'])}"] if row["failed"] else []
    told += [f"- conflict: `{plain(path)}`" for path in row["conflicts"]]
    told += [f"- LOST: {plain(words)}" for words in row["losses"]]
    told += [f"- `uv.lock`: {plain(row['lock'])}"] if row["lock"] else []
    told += _afterwards(row)
    if changed := [f"`{plain(path)}`" for path in row["changed"][:MOST_FILES]]:
        more = len(row["changed"]) - MOST_FILES
        told += [f"- changed: {', '.join(changed)}{f' and {more} more, all in report.json' if more > 0 else ''}"]
    if gate := row["gate"]:
        ended = "was ended" if gate["code"] is None else f"ended with {gate['code']}"
        told += [
            f"- `make {gate['target']}` {ended}: {plain(gate['why'])}",
            f"- its last lines, all of them in {plain(gate['log'])}:",
            "",
        ]
        told += [f"{INDENT}{INDENT}{plain(text)}" for text in gate["tail"]]
    return [*told, ""] if told[-1] else told


def _afterwards(row: Row) -> list[str]:
    """What the team does by hand, what `make drift` will name, what comes and goes with the releases."""
    notes = row["notes"] or []
    told = [f"- {one['version']}: BY HAND: {plain(words)}" for one in notes for words in one["manual"]]
    told += ["- notes of the releases: not to be had from the template"] if row["notes"] is None else []
    told += [f"- drift: `{plain(one['path'])}` is {one['what']}" for one in row["drift"]]
    told += [f"- ejected, and other in this release: `{plain(path)}`" for path in row["ejected"]]
    for what in ("added", "removed"):
        if names := row[f"settings_{what}"]:
            told += [f"- settings {what}: {', '.join(f'`{plain(name)}`' for name in names)}"]
    return told + [f"- {one['version']}: {plain(words)}" for one in notes for words in one["sees"]]


def _cell(value: object) -> str:
    return plain(str(value)).replace("|", "\\|")
