"""Says in lines what was found on all engines. May import advice, database, gate."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from app.chassis.data.plans.advice import idle_indexes, keys_without_index
from app.chassis.data.plans.gate import Report
from app.chassis.database.columns import Base

__all__ = ["Summary", "summary"]


@dataclass(slots=True)
class Summary:
    """Lines to print; how many plans are bad, and how many queries could not be looked at."""

    lines: list[str] = field(default_factory=list)
    bad: int = 0
    failed: int = 0


def summary(reports: Mapping[str, Report], accepted: Mapping[str, tuple[Path, str]]) -> Summary:
    """What was found, what was let pass, what is left over. `reports` by engine, `accepted` by query."""
    found = Summary()
    for engine, report in reports.items():
        rows, tables = sum(report.rows.values()), len(report.rows)
        told = f"{tables} tables, {rows:,} rows made in {report.fill_seconds:.1f} s"
        found.lines.append(f"{engine}: {told}; {len(report.queries)} queries, {report.statements} statements explained")
    passed = list(_plans(reports, accepted, found))
    for name, advice in keys_without_index(Base.metadata):
        found.bad += 1
        found.lines += [f"BAD foreign key {name}: no index begins with it", f"    {advice}"]
    for query in sorted({query for report in reports.values() for query in report.failed}):
        found.failed += 1
        where = {engine: report.failed[query] for engine, report in reports.items() if query in report.failed}
        found.lines.append(f"NOT CHECKED {query} ({', '.join(where)}): {next(iter(where.values()))}")
        found.lines.append("    expected: arguments that it takes, in tests/volume.py: ARGUMENTS")
    used = {name for report in reports.values() for name in report.used}
    found.lines += passed
    found.lines += [f"no query uses the index {told}" for told in idle_indexes(Base.metadata, used)]
    silent = {query for report in reports.values() for query in report.silent}
    if silent:
        found.lines.append(f"nothing to explain: {', '.join(sorted(silent))}")
    found.lines.append(f"{found.bad} bad plan{'s' * (found.bad > 1)}" if found.bad else "every plan is good")
    return found


def _plans(reports: Mapping[str, Report], accepted: Mapping[str, tuple[Path, str]], found: Summary) -> Iterator[str]:
    """Adds the bad plans to `found`; gives the lines about those that are let pass."""
    keys = dict.fromkeys(key for report in reports.values() for key in report.findings)
    for key in keys:
        if key[1] == "sort" and (key[0], "scan", key[2]) in keys:
            continue  # what is not read in order is read whole and sorted: told once
        if key[0] not in accepted:
            found.bad += 1
            one = next(report.findings[key] for report in reports.values() if key in report.findings)
            found.lines.append(f"BAD {one.query}: {one.told}")
            found.lines += [
                f"    {engine}: {report.findings[key].plan}"
                for engine, report in reports.items()
                if key in report.findings
            ]
            found.lines.append(f"    {one.advice}")
    for query, (file, reason) in accepted.items():
        if any(key[0] == query for key in keys):
            yield f"accepted {query}: {reason}"
        else:
            name = query.removesuffix(".total")
            why = "no query of that name" if all(name not in report.queries for report in reports.values()) else ""
            why = why or f"its plan is good on {' and '.join(reports)}{': remove the entry' * (len(reports) > 1)}"
            why = "it was not checked" if any(name in report.failed for report in reports.values()) else why
            yield f"lets nothing pass: {query} in {file}: {why}"
    for key in dict.fromkeys(key for report in reports.values() for key in report.notes):
        if key not in keys and key[0] not in accepted:
            one = next(report.notes[key] for report in reports.values() if key in report.notes)
            yield f"note {one.query}: {one.told}, which no index makes better; {one.advice}"
