"""`python -m app audit`: the checklist asked of the running service. May import every room."""

import json
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from app.chassis.about import project_root
from app.chassis.cli.loading import load_service, loaded_settings
from app.chassis.settings import ChassisSettings, SettingsError

__all__ = ["audit"]


def audit(
    url: Annotated[str | None, typer.Option(help="Address of the service; default: HOST and PORT.")] = None,
    area: Annotated[list[str] | None, typer.Option(help="Only this area; may be given several times.")] = None,
    log: Annotated[Path | None, typer.Option(help="File with the log of the service.")] = None,
    advisories: Annotated[str | None, typer.Option(help="Address of a mirror of osv.dev.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="UNKNOWN is exit code 2.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of lines.")] = False,
) -> None:
    """Ask the running service a checklist: permissions, secrets, headers, limits, logging, dependencies, container."""
    from app.chassis.audit.checks import areas, checklist
    from app.chassis.audit.run import as_json as told_as_json
    from app.chassis.audit.run import as_lines, exit_code, run_checks
    from app.chassis.audit.target import Target

    if unknown := [name for name in area or () if name not in areas()]:
        _stop(f"--area: no area {unknown[0][:32]}; expected one of: {', '.join(areas())}")
    settings = loaded_settings()
    try:
        target = Target(_own_url(settings) if url is None else url, settings, load_service(), project_root())
    except ValueError as error:
        _stop(str(error))
    except (SettingsError, typer.Exit):
        raise
    except Exception as error:  # noqa: BLE001  # the team's code may raise anything
        _stop(f"{type(error).__name__} in src/app; expected code that runs")
    target.log, target.advisories = log or target.log, advisories
    checks = [one for one in checklist() if one.area in (area or areas())]
    if any(one.asks for one in checks) and (trouble := target.trouble()):
        _stop(trouble)
    results = run_checks(target, checks)
    typer.echo(json.dumps(told_as_json(target, results), indent=2) if as_json else "\n".join(as_lines(results)))
    if code := exit_code(results, is_strict=strict):
        raise typer.Exit(code)


def _own_url(settings: ChassisSettings) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104  # compared, not bound
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


def _stop(why: str) -> NoReturn:
    typer.echo(f"not audited: {why}", err=True)
    raise typer.Exit(2) from None
