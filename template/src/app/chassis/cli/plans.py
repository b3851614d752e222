"""`python -m app plans`: every query explained on tables full of rows, on each engine. May import every room."""

import asyncio
import json
import os
import tempfile
import traceback
from contextlib import closing
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from sqlalchemy.exc import SQLAlchemyError

from app.chassis.cli.loading import load_service
from app.chassis.errors import UnavailableError
from app.chassis.settings import SettingsError

__all__ = ["plans"]


def plans(
    rows: Annotated[int, typer.Option(min=2_000, max=5_000_000, help="Rows a table.")] = 50_000,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print each query's plans and milliseconds.")] = False,
) -> None:
    """Explain every query on tables full of rows; a plan that reads or sorts too much fails."""
    from app.chassis.data.plans.team import PlansError

    try:
        is_good = _checked(rows, as_json=as_json)
    except (SettingsError, typer.Exit):
        raise
    except PlansError as error:
        _not_checked(str(error))
    except (SQLAlchemyError, UnavailableError, OSError) as error:
        reason = getattr(error, "orig", None) or error.__cause__ or error
        _not_checked(
            f"{str(reason).splitlines()[0]}; expected a database that works, and space in {tempfile.gettempdir()}"
        )
    except Exception as error:  # noqa: BLE001  # the team's code may raise anything; where it happened is what helps
        last = traceback.extract_tb(error.__traceback__)[-1]
        _not_checked(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno}); expected code that runs")
    else:
        if not is_good:
            raise typer.Exit(1)


def _not_checked(why: str) -> NoReturn:
    typer.echo(f"not checked: {why}", err=True)
    raise typer.Exit(2) from None


def _checked(rows: int, *, as_json: bool) -> bool:
    from app.chassis.data.plans.gate import explain_queries, queries_of
    from app.chassis.data.plans.report import summary
    from app.chassis.data.plans.team import read_accepted, read_volume
    from app.chassis.database.engine import Database
    from app.chassis.database.migrations import migrate
    from app.chassis.database.settings import DatabaseSettings
    from app.chassis.testing.databases import ENGINES, Databases
    from app.chassis.testing.guarded import ServerMissingError

    load_service()
    queries, volume, accepted = queries_of("app.domains"), read_volume(), read_accepted()
    reports: dict[str, Any] = {}
    databases, missing = Databases(), ""
    with tempfile.TemporaryDirectory(prefix="service-plans-") as folder, closing(databases):
        for engine in ENGINES:
            try:
                settings = DatabaseSettings(database_url=databases.new(engine, Path(folder)))
            except ServerMissingError as error:
                missing = str(error)
                continue
            asyncio.run(migrate(Database(settings)))
            reports[engine] = asyncio.run(explain_queries(Database(settings), queries, volume, rows))
    found = summary(reports, accepted)
    typer.echo(_figures(reports) if as_json else "\n".join(found.lines))
    if missing:
        typer.echo(f"NOT CHECKED ON POSTGRESQL: {missing}", err=True)
    if not found.bad and (found.failed or (missing and os.environ.get("CI"))):
        raise typer.Exit(2)
    return not found.bad


def _figures(reports: dict[str, Any]) -> str:
    return json.dumps({
        f"{name} on {engine}": {"ms": round(seconds * 1000, 3), "plans": sorted(set(report.plans.get(name, ())))}
        for engine, report in reports.items()
        for name, seconds in report.seconds.items()
    }, indent=2)  # fmt: skip
