"""Commands of `python -m app`. Exit codes: 0 good, 1 found something bad, 2 could not tell or wrong use."""

import asyncio
import json
import os
import sys
from importlib import import_module
from typing import Annotated

import typer

from app.chassis.cli import audit, contract, imports, migrations, plans, sample, show, versions
from app.chassis.cli.loading import load_service
from app.chassis.features import FEATURES
from app.chassis.http.catalogue import catalogue_page
from app.chassis.settings import SettingsError

__all__ = ["cli", "main"]

cli = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)
cli.add_typer(versions.api, name="api")
cli.add_typer(contract.contract, name="contract")
cli.command()(contract.mock)
cli.command()(migrations.migrate_rehearse)
cli.command()(migrations.migrate_check)
cli.command()(plans.plans)
cli.command("import")(imports.import_rows)
cli.command()(audit.audit)
for _room in FEATURES:
    cli.add_typer(import_module(f"app.chassis.{_room}.commands").commands)
_Json = Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")]


def main() -> None:
    """Run the command line; settings that cannot be used are one message and exit code 2."""
    try:
        try:
            cli()
        finally:
            print(end="", flush=True)
    except SettingsError as error:
        fail(f"settings cannot be used:\n{error}")
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left would be tried again at exit
        fail(f"not finished: {error}", 1)


def fail(message: str, code: int = 2) -> None:
    """Say what went wrong on standard error and leave with `code`."""
    print(message, file=sys.stderr)
    sys.exit(code)


@cli.command()
def serve(
    host: Annotated[str | None, typer.Option(help="Address to listen on; wins over HOST.")] = None,
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; wins over PORT.")] = None,
) -> None:
    """Run the service until SIGTERM or Ctrl-C."""
    from app.chassis.server import serve as run

    if os.environ.get("WEB_CONCURRENCY", "1") not in ("", "1"):
        fail("WEB_CONCURRENCY: more than one process asked for; expected 1, and one `serve` for each replica")
    os.environ |= {name: str(value) for name, value in (("HOST", host), ("PORT", port)) if value is not None}
    service = load_service()
    sys.exit(run(service, service.state.settings))


@cli.command()
def routes(*, as_json: _Json = False) -> None:
    """List every route: methods, path, name, what its caller has to show, where it is defined."""
    rows = show.route_rows(load_service())
    print(json.dumps(rows, indent=2) if as_json else show.table(rows))


@cli.command()
def settings(*, as_json: _Json = False) -> None:
    """List every setting: variable, value (secrets hidden), default, meaning."""
    rows = show.setting_rows()
    print(json.dumps(rows, indent=2) if as_json else show.table(rows))
    for warning in show.unknown_names():
        print(warning, file=sys.stderr)


@cli.command()
def errors() -> None:
    """Print the chassis' error codes as the table of docs/chassis/errors.md."""
    print(catalogue_page())


@cli.command()
def openapi(
    version: Annotated[str | None, typer.Option(help="API version, such as v1; default: the newest.")] = None,
) -> None:
    """Print the OpenAPI document of one API version."""
    apps = load_service().versions.apps
    name = version or (list(apps)[-1] if apps else "")
    if name not in apps:
        fail(f"no API version {name or 'at all'}; expected one of: {', '.join(apps) or 'none served'}")
    print(json.dumps(apps[name].openapi(), indent=2))


@cli.command()
def migrate(
    to: Annotated[str, typer.Option(help="Revision to reach: head, a number, or -1 for one step back.")] = "head",
) -> None:
    """Bring the database to a revision; `head` by default."""
    from alembic.util import CommandError
    from sqlalchemy.exc import SQLAlchemyError

    from app.chassis.database.applying import RevisionError
    from app.chassis.database.migrations import migrate as migrate_to
    from app.chassis.errors import UnavailableError

    if not to:
        fail("not migrated: --to names nothing; expected head, base, -1 or one of the numbers in migrations/versions/")
    database = load_service().state.database
    try:
        lines = asyncio.run(migrate_to(database, to))
    except CommandError as error:
        fail(f"not migrated: {error}; expected head, base, -1 or one of the numbers in migrations/versions/")
    except RevisionError as error:
        fail(f"not migrated: {error}", 1)
    except (SQLAlchemyError, UnavailableError) as error:
        reason = error.__cause__ if isinstance(error, UnavailableError) else error.args[0]
        fail(f"not migrated: {reason}; expected a database that DATABASE_URL can open and write", 1)
    else:
        print("\n".join(lines))


@cli.command()
def migration(name: Annotated[str, typer.Argument(help="What it does, such as 'add price to items'.")]) -> None:
    """Write the next revision from what the models say beyond the revisions so far."""
    from alembic.util import CommandError

    from app.chassis.database.migrations import new_revision

    if not (1 <= len(name) <= 80 and name.isprintable() and any(map(str.isalnum, name))) or set('"\\') & set(name):
        fail('NAME: cannot be used; expected 1 to 80 characters on one line, a letter or digit in it, no " and no \\')
    load_service()
    try:
        print(new_revision(name))
    except CommandError as error:
        fail(f"not written: {error}; expected one line of revisions in migrations/versions/")


@cli.command("remove-sample")
def remove_sample(
    name: Annotated[str | None, typer.Argument(help="items or accounts; without it every sample there is.")] = None,
) -> None:
    """Remove the samples: routes, domains, tests, and their tables by a new revision."""
    if name is not None and name not in sample.SAMPLES:
        fail(f"not removed: NAME: expected one of {', '.join(sample.SAMPLES)}, or nothing for all")
    try:
        for line in sample.remove([name] if name else list(sample.SAMPLES)):
            print(line)
    except sample.SampleError as error:
        fail(str(error), 1)
