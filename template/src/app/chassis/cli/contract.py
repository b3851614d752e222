"""`python -m app contract …` and `mock`: the contract with clients. May import every room."""

import os
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from app.chassis.about import project_root
from app.chassis.cli.loading import load_service
from app.chassis.http.recordings import ContractError, cases_of, contract_folder
from app.chassis.settings import SettingsError

__all__ = ["contract", "mock"]

contract = typer.Typer(no_args_is_help=True, help="Record and check what clients rely on.", rich_markup_mode=None)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except ContractError as error:
        _not_done(str(error))
    except ModuleNotFoundError as error:
        _not_done(f"{error}; expected what `make setup` installs, and tests/service.py")
    except (SettingsError, typer.Exit):
        raise
    except Exception as error:  # noqa: BLE001  # the team's code and files may do anything; where it happened is what helps
        last = traceback.extract_tb(error.__traceback__)[-1]
        _not_done(f"{type(error).__name__}: {error} ({last.filename}:{last.lineno}); expected code and files that work")


def _not_done(why: str) -> NoReturn:
    typer.echo(f"not done: {why}", err=True)
    raise typer.Exit(2) from None


@contract.command("record")
def record_contract() -> None:
    """Record every case in contract/ again, begin those that are missing, and write each openapi.json."""
    folder = contract_folder()
    with _explained():
        from app.chassis.contract.record import record, write_document
        from app.chassis.testing.team import team

        apps = _versions()
        for gone in sorted({path.name for path in folder.glob("v*/")} - {name for name, _ in apps}):
            typer.echo(f"{gone} is not served: delete contract/{gone}", err=True)
        for version, app in apps:
            for line in record(folder, version, app.openapi(), team()):
                typer.echo(line)
            app.openapi_schema = None  # its examples were just recorded
            for line in write_document(folder, version, app.openapi()):
                typer.echo(line)


@contract.command("check")
def check_contract(
    base: Annotated[str | None, typer.Option(help="Commit to compare with; default: the last release tag.")] = None,
) -> None:
    """Say what a client of the last release would miss in the service of today."""
    with _explained():
        from app.chassis.contract.base import NothingReleasedError, find_base
        from app.chassis.contract.report import report
        from app.chassis.contract.waivers import read_waivers
        from app.chassis.testing.team import team

        waivers = read_waivers(contract_folder())
        try:
            found = find_base(project_root(), base or None)
        except NothingReleasedError as nothing:
            typer.echo(f"nothing released: {nothing}")
            return
        is_good = True
        for line in report(found, dict(_versions()), waivers, team()):
            is_good = is_good and line.is_good
            typer.echo(line.text)
        if not is_good:
            raise typer.Exit(1)


@contract.command("client")
def client(
    version: Annotated[str | None, typer.Option(help="API version, such as v1; default: the newest.")] = None,
    to: Annotated[Path, typer.Option(help="Folder to write.")] = Path("client"),
) -> None:
    """Write a typed Python client of one API version."""
    from app.chassis.contract.client import write_client

    with _explained():
        apps = dict(_versions())
        name = version or next(reversed(apps), "")
        if name not in apps:
            raise ContractError(
                f"no API version {name or 'at all'}; expected one of: {', '.join(apps) or 'none served'}"
            )
        for line in write_client(project_root() / to, name, apps[name].openapi()):
            typer.echo(line)


def mock(
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port to listen on; wins over PORT.")] = None,
) -> None:
    """Serve the recorded answers: the service itself, without its routes' work and its database."""
    from app.chassis.contract.mock import mock as with_recordings
    from app.chassis.server import serve

    if port is not None:
        os.environ["PORT"] = str(port)
    service = load_service()
    with _explained():
        with_recordings(service, contract_folder())
    raise typer.Exit(serve(service, service.state.settings))


def _versions() -> list[tuple[str, Any]]:
    """Each served version and its app, once every recorded case was read."""
    apps = load_service().versions.apps
    for version in apps:
        cases_of(contract_folder(), version)
    return list(apps.items())
