"""What `routes` and `settings` print. May import settings and redaction."""

import difflib
import inspect
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dotenv import dotenv_values
from fastapi.routing import iter_route_contexts
from pydantic import Secret, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.chassis.about import project_root
from app.chassis.cli.loading import loaded_settings
from app.chassis.observability.redact import HIDDEN, redact_text
from app.chassis.settings import env_file, load_settings

__all__ = ["route_rows", "setting_rows", "table", "unknown_names"]


def route_rows(service: Any) -> list[dict[str, str]]:
    """One row a route, versions first."""
    apps = [(f"/{name}", app) for name, app in service.versions.apps.items()] + [("", service)]
    return [row for prefix, app in apps for row in _rows_of(prefix, app)]


def _rows_of(prefix: str, app: Any) -> Iterator[dict[str, str]]:
    told = app.openapi().get("paths", {}) if prefix else {}
    for context in iter_route_contexts(app.routes):
        endpoint = context.endpoint
        file = Path(inspect.getsourcefile(inspect.unwrap(endpoint)) or "") if endpoint else Path()
        where = file.relative_to(project_root()) if file.is_relative_to(project_root()) else Path(file.name)
        methods = sorted(context.methods or ())
        security = [told.get(context.path, {}).get(method.lower(), {}).get("security", []) for method in methods]
        yield {
            "methods": ",".join(methods),
            "path": f"{prefix}{context.path}",
            "name": context.name or "",
            "caller": _callers(security[0] if security else []),
            "file": str(where),
        }


def _callers(security: list[dict[str, list[str]]]) -> str:
    """Schemes and scopes that an operation asks for; empty where anybody may call it."""
    return " or ".join(" ".join((scheme, *scopes)) for one in security for scheme, scopes in one.items())


REQUIRED = "(required)"


class _OpsSettings(BaseSettings):
    """What programs of ops/ and migrate-rehearse read from the same file; nothing here judges their values."""

    model_config = SettingsConfigDict(extra="ignore", env_ignore_empty=True, use_attribute_docstrings=True)

    backup_folder: str = "var/backups"
    """make backup, restore: folder of this service's backups alone; old ones are deleted there."""
    backup_keep: str = "14"
    """make backup: how many backups stay, and as many that restores made."""
    pg_bin: str = ""
    """make backup, restore, migrate-rehearse: folder of PostgreSQL's programs; empty: they are found on PATH."""
    scratch_database_url: str = ""
    """make backup, migrate-rehearse: a PostgreSQL where scratch databases are made; empty: beside the service's."""
    status_slow_seconds: str = "0.5"
    """make status: a p95 above it is slow."""
    status_error_percent: str = "1"
    """make status: more answers of 500 and above are failing."""
    deploys_file: str = "var/deploys.jsonl"
    """make status, shipped: where deployments are recorded."""
    deploy_driver: str = "process"
    """make deploy: what runs the two slots."""
    deploy_ports: str = ""
    """make deploy: where the two slots listen; unset: PORT + 1 and + 2."""
    deploy_watch_seconds: str = "10.0"
    """make deploy: how long clients are watched before and after; 0 not at all."""


def setting_rows() -> list[dict[str, str]]:
    """One row a setting, last those of ops/; a secret shows whether it is set, never what it is."""
    return [
        {
            "variable": name.upper(),
            "value": _shown(getattr(settings, name)),
            "default": REQUIRED
            if field.is_required()
            else _shown(field.get_default(call_default_factory=True, validated_data={})),
            "meaning": (field.description or "").replace("\n", " "),
        }
        for settings in (loaded_settings(), load_settings(_OpsSettings))
        for name, field in type(settings).model_fields.items()
    ]


def _shown(value: Any) -> str:
    if isinstance(value, SecretStr | Secret):
        return HIDDEN
    if isinstance(value, dict):
        return redact_text(json.dumps(value))
    if isinstance(value, tuple):
        return ",".join(map(str, value))
    if isinstance(value, bool):
        return str(value).lower()  # as the environment wants it
    return "" if value is None else redact_text(str(value))


def unknown_names() -> Iterator[str]:
    """A line for each name in `.env` that no setting reads: most often a slip of the pen."""
    file = env_file()
    known = [name.upper() for name in (*type(loaded_settings()).model_fields, *_OpsSettings.model_fields)]
    found = dotenv_values(file, interpolate=False, encoding="utf-8-sig") if file.is_file() else {}
    for name in [name.upper() for name, value in found.items() if value is not None and name.upper() not in known]:
        near = difflib.get_close_matches(name, known, 1)
        yield f"{file}: {name} is read by no setting" + (f"; did you mean {near[0]}?" if near else "")


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Rows under their names, in columns."""
    if not rows:
        return "none"
    names = list(rows[0])
    widths = [max(len(name), *(len(row[name]) for row in rows)) for name in names]
    lines = [names, *([row[name] for name in names] for row in rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )
