"""Rows of the report: a figure, its target, the verdict; as a table for people or JSON for programs."""

import json
import platform
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from importlib import metadata

__all__ = ["Report", "Row"]


@dataclass
class Row:
    """One figure. `target` is the least (or, with `is_ceiling`, the most) it should be; None: only told."""

    name: str
    value: float
    unit: str
    target: float | None = None
    is_ceiling: bool = True
    note: str = ""

    @property
    def verdict(self) -> str:
        """Say met or missed; nothing without a target."""
        if self.target is None:
            return ""
        is_met = self.value <= self.target if self.is_ceiling else self.value >= self.target
        return "met" if is_met else "missed"

    def cells(self) -> tuple[str, ...]:
        """Texts of one line of the table."""
        sign = "<=" if self.is_ceiling else ">="
        target = "" if self.target is None else f"{sign} {self.target:g}"
        return self.name, f"{self.value:.2f}", self.unit, target, self.verdict, self.note


@dataclass
class Report:
    """What was measured, in sections."""

    sections: dict[str, list[Row]] = field(default_factory=dict)

    def add(self, section: str, rows: Sequence[Row]) -> None:
        """Add rows to a section and show them at once on standard error: a run takes minutes."""
        self.sections.setdefault(section, []).extend(rows)
        for row in rows:
            print("  ".join(filter(None, row.cells())), file=sys.stderr)

    def as_json(self, versions: dict[str, str]) -> str:
        """Everything, with the versions it was measured on."""
        rows = {name: [{**asdict(row), "verdict": row.verdict} for row in rows] for name, rows in self.sections.items()}
        return json.dumps({"versions": versions, "sections": rows}, indent=2)

    def as_table(self, versions: dict[str, str]) -> str:
        """Markdown tables, aligned for the eye."""
        blocks = [", ".join(f"{name} {version}" for name, version in versions.items())]
        head = ("figure", "value", "unit", "target", "verdict", "note")
        for name, rows in self.sections.items():
            lines = [head, *(row.cells() for row in rows)]
            widths = [max(len(line[index]) for line in lines) for index in range(len(head))]
            texts = ["| " + " | ".join(c.ljust(w) for c, w in zip(line, widths, strict=True)) + " |" for line in lines]
            rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
            blocks.append("\n".join([f"## {name}", "", texts[0], rule, *texts[1:]]))
        return "\n\n".join(blocks)


def tool_versions() -> dict[str, str]:
    """What runs the benchmark itself."""
    return {"bench on Python": platform.python_version(), "copier": metadata.version("copier")}
