"""Which limit holds for which route: the team's `limits.toml` beside its routes, else the default.

May import http, settings, tables, windows.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from fastapi.routing import iter_route_contexts

from app.chassis.http.versions import VersionApp
from app.chassis.rate_limit.windows import Limit, Window, read_windows
from app.chassis.settings import ChassisSettings, SettingsError
from app.chassis.tables import Table, TablesError, read_tables

__all__ = ["FILE", "Rule", "Rules", "read_rules"]

FILE = "limits.toml"

Per = Literal["caller", "client", "all"]
Answer = Literal["open", "closed"]


class _Row(Table):
    operation: str
    limit: Limit
    per: Per = "caller"
    when_store_is_down: Answer = "open"


@dataclass(frozen=True, slots=True)
class Rule:
    """How often whom, and what happens while nobody knows the counts; `source` is the file or setting that says so."""

    limit: str
    windows: tuple[Window, ...]
    per: Per
    when_store_is_down: Answer
    source: str


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules by (API version, operation), and the one for all other routes."""

    default: Rule
    own: Mapping[tuple[str, str], Rule]

    def of(self, version: str | None, operation: str | None) -> Rule:
        """The rule of a route."""
        return self.own.get((version or "", operation or ""), self.default)


def read_rules(settings: ChassisSettings, versions: Collection[VersionApp]) -> Rules:
    """Every rule there is.

    Raises:
        SettingsError: a file cannot be used, or has a rule for a route that does not exist.
    """
    text = settings.rate_limit_default
    default = Rule(text, read_windows(text), "caller", settings.rate_limit_store_down, "RATE_LIMIT_DEFAULT")
    own: dict[tuple[str, str], Rule] = {}
    strays = {file for version in versions for file in version.folder.parent.rglob(FILE)}
    for version in versions:
        routes = iter_route_contexts(version.routes)
        known = {one.name for one in routes if getattr(one.original_route, "is_guarded", False)}
        for file in sorted(version.folder.rglob(FILE)):
            strays.discard(file)
            source = file.relative_to(version.folder.parents[1]).as_posix()
            for row in _rows(file, source):
                key = version.name, row.operation
                if row.operation not in known or key in own:
                    found = "a second time" if key in own else f"but {version.name} has no such route"
                    raise SettingsError(
                        f"{source}: operation {row.operation!r} is named {found}; "
                        f"expected each at most once, of: {', '.join(sorted(filter(None, known)))}"
                    )
                own[key] = Rule(row.limit, read_windows(row.limit), row.per, row.when_store_is_down, source)
    if strays:
        raise SettingsError(f"{min(strays)}: nothing reads it there; expected it beside the routes of a version")
    return Rules(default, own)


def _rows(file: Path, source: str) -> list[_Row]:
    try:
        return read_tables(file, "limits", _Row)
    except TablesError as error:
        raise SettingsError(f"{source}: {error}") from None
