"""What `make contract-check` says, line by line.

May import about, base, check, findings, structure, testing, waivers.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

from app.chassis.about import project_root
from app.chassis.contract.base import Base
from app.chassis.contract.check import breaks_of_version
from app.chassis.contract.findings import Break
from app.chassis.contract.structure import StructureError, structural_breaks
from app.chassis.contract.waivers import Waiver
from app.chassis.testing.team import Team

__all__ = ["Line", "report"]

_WAYS_OUT = """
A planned change belongs into a new version: python -m app api new-version.
A break that is meant needs a waiver in contract/waivers.toml; its name may end after the operation, for all of it:

[[waiver]]
break = "{name}"
reason = "why no client minds, or who was asked"
until = {until}
"""


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the report, and whether it leaves the contract whole."""

    text: str
    is_good: bool = True


def report(base: Base, apps: Mapping[str, Any], waivers: Mapping[str, Waiver], team: Team) -> Iterator[Line]:
    """Every break of every released version, waived or not, and what was looked at.

    Raises:
        ContractError: a released file cannot be used.
    """
    yield Line(f"base: {base.name}, {base.why}")
    if base.has_other("tests/service.py"):
        yield Line(f"tests/service.py is not that of {base.name}: a new seed, or a new header, hides or makes breaks")
    found: list[Break] = []
    for version in base.versions:
        if version in apps:
            yield Line(f"{version}: the released document and the recorded answers are asked of the service of today")
            found += breaks_of_version(base, version, apps[version].openapi(), team)
            yield from _structure(base, version, apps[version].openapi(), found)
        else:
            yield from _ended(base, version, found)
    open_breaks = []
    for one in found:
        if not one.is_certain:
            yield Line(f"MAY BREAK {one.name}\n  {one.told}")
            continue
        waiver = _waiver_of(one.name, waivers)
        if waiver is not None and waiver.until >= _today():
            yield Line(f"waived until {waiver.until} {one.name}: {waiver.reason}")
        else:
            open_breaks.append(one)
            expired = f"\n  the waiver ended on {waiver.until}; expected a later day, or no break" if waiver else ""
            yield Line(f"BREAKS {one.name}\n  {one.told}{expired}", is_good=False)
    for name in sorted(set(waivers) - {name for one in found for name in _names(one.name)}):
        yield Line(f"waiver {name} lets nothing pass: delete it")
    if open_breaks:
        until = _today().replace(year=_today().year + 1, day=1)
        yield Line(_WAYS_OUT.format(name=open_breaks[0].name, until=until))
    else:
        is_waived = any(one.is_certain for one in found)
        yield Line("nothing a client relies on is broken" + (", but for what is waived" if is_waived else ""))


def _structure(base: Base, version: str, contract: dict[str, Any], found: list[Break]) -> Iterator[Line]:
    try:
        told = list(structural_breaks(version, base.document(version), contract, project_root() / ".tools/npm"))
    except StructureError as error:
        yield Line(f"{version}: documents not compared by oasdiff: {error}; by our own rules they were")
        return
    yield Line(f"{version}: documents compared by oasdiff")
    found += told


def _ended(base: Base, version: str, found: list[Break]) -> Iterator[Line]:
    """A version may go when its end was announced in a release, and the day it named has come."""
    document = base.document(version)
    operations = [operation for item in document["paths"].values() for operation in item.values()]
    sunset = document["info"].get("x-sunset")
    if not all(operation.get("deprecated") for operation in operations):
        found.append(Break(f"{version}.removed", f"{version} is gone, and {base.name} did not say that it would end"))
    elif sunset and date.fromisoformat(sunset[:10]) > _today():
        found.append(Break(f"{version}.removed", f"{version} is gone; {base.name} promised it until {sunset[:10]}"))
    else:
        yield Line(f"{version}: is gone, as {base.name} announced")


def _waiver_of(name: str, waivers: Mapping[str, Waiver]) -> Waiver | None:
    return next((waivers[one] for one in _names(name) if one in waivers), None)


def _names(name: str) -> list[str]:
    """The break itself, its operation, nothing wider: a waiver for a whole version would hide all that comes."""
    return [name, ".".join(name.split(".")[:2])]


def _today() -> date:
    return datetime.now(UTC).date()
