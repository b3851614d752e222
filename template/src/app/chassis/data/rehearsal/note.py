"""Writes what a rehearsal found: JSON for programs, Markdown for the change note. May import rehearse."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from app.chassis.data.rehearsal.rehearse import MOMENTS, Rehearsal

__all__ = ["markdown", "write_note"]


def write_note(done: Rehearsal, path: Path, **about: Any) -> None:
    """Write `path`.json and `path`.md; `about` is told in front."""
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = {
        moment: {name: one.rows for name, one in tables.items()}
        for moment, tables in done.tables.items()
        if moment in MOMENTS
    }
    steps = [asdict(step) for step in done.steps]
    facts = {**about, "start": done.start, "steps": steps, "rows": rows, "findings": done.findings}
    path.with_suffix(".json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    head = "".join(f"- {name}: {value}\n" for name, value in about.items())
    path.with_suffix(".md").write_text(f"# Rehearsal of a migration\n\n{head}\n{markdown(done)}\n", encoding="utf-8")


def markdown(done: Rehearsal) -> str:
    """Seconds of each revision, rows of each table at each moment, and what was found."""
    lines = ["| revision | " + " | ".join(f"{moment}, s" for moment in MOMENTS[1:]) + " |", "|---|---|---|---|"]
    for revision in dict.fromkeys(step.revision for step in done.steps):
        taken = {step.direction: step for step in done.steps if step.revision == revision}
        steps = [taken.get(one) for one in MOMENTS[1:]]
        cells = [f"{one.seconds:.2f}{' failed' * bool(one.failure)}" if one else "" for one in steps]
        lines.append(f"| {revision} | {' | '.join(cells)} |")
    lines += ["", "| table | " + " | ".join(f"rows {moment}" for moment in MOMENTS) + " |", "|---|---|---|---|---|"]
    for name in sorted({name for tables in done.tables.values() for name in tables}):
        counts = [done.tables[one][name].rows if name in done.tables.get(one, {}) else "" for one in MOMENTS]
        lines.append(f"| {_cell(name)} | {' | '.join(map(str, counts))} |")
    found = [f"- {finding}" for finding in done.findings] or ["Nothing was lost, and everything came back."]
    return "\n".join([*lines, "", *found])


def _cell(name: str) -> str:
    return name.replace("|", "\\|").replace("\n", " ")
