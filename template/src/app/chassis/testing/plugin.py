"""Pytest plugin, loaded by `pytest.ini`: fixtures for the conformance suite and for the team's own tests."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.chassis.testing.client import Client
from app.chassis.testing.databases import ENGINES, Databases
from app.chassis.testing.guarded import ServerMissingError
from app.chassis.testing.process import ServiceProcess
from app.chassis.testing.team import Team, team

__all__: list[str] = []

explored: dict[str, list[str]] = {}
"""What the conformance test reached of each version, as a table, for the last lines of the run."""


_missing: list[str] = []


def pytest_configure(config: pytest.Config) -> None:
    """The markers of tests in `tests/chassis`."""
    config.addinivalue_line("markers", "engines(*names): the engines a test runs on")
    config.addinivalue_line("markers", "thorough: of a tool that no team changes; runs with THOROUGH=1")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Tests of our tools were run before a release: a service runs the short ones, unless it is told otherwise."""
    if not os.environ.get("THOROUGH"):
        left = [item for item in items if item.get_closest_marker("thorough")]
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in left]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Whatever asks the database runs on each engine; of the chassis' own tests those that say so."""
    if "engine" in metafunc.fixturenames:
        mark = metafunc.definition.get_closest_marker("engines")
        engines = mark.args if mark else ENGINES[:1] if "tests/chassis/" in metafunc.definition.nodeid else ENGINES
        # SQLite is what everybody has: its tests keep their plain names.
        ids = [pytest.HIDDEN_PARAM if name == ENGINES[0] else name for name in engines]
        metafunc.parametrize("engine", engines, ids=ids, indirect=True, scope="session")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which statuses each route was seen to answer with, and whether an engine was left out."""
    if _missing:
        terminalreporter.section("NOT TESTED ON POSTGRESQL", red=True)
        terminalreporter.line(_missing[0])
    for version, table in explored.items():
        terminalreporter.section(f"statuses reached in {version}", sep="-")
        for line in table:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def team_service() -> Team:
    """What `tests/service.py` tells about the service."""
    return team()


@pytest.fixture(scope="session")
def engine(request: pytest.FixtureRequest) -> str:
    """`sqlite` or `postgresql`."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def databases() -> Iterator[Databases]:
    """What makes databases; whatever it started is stopped at the end."""
    made = Databases()
    yield made
    made.close()


@pytest.fixture(scope="session")
def new_database(engine: str, databases: Databases) -> Callable[[Path], str]:
    """Makes an empty database of the engine; given a folder, returns its URL."""

    def make(folder: Path) -> str:
        try:
            return databases.new(engine, folder)
        except ServerMissingError as error:
            _missing.append(str(error))
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))

    return make


@pytest.fixture
def database_url(new_database: Callable[[Path], str], tmp_path: Path) -> str:
    """URL of an empty database."""
    return new_database(tmp_path)


@pytest.fixture(scope="session")
def service(
    tmp_path_factory: pytest.TempPathFactory, team_service: Team, new_database: Callable[[Path], str]
) -> Iterator[ServiceProcess]:
    """One service for the whole run, seeded, with probe routes and small limits."""
    limits = {
        "SECURITY_MAX_BODY_BYTES": "65536",
        "SECURITY_ALLOWED_HOSTS": "localhost,127.0.0.1,*.example.com",
        "SECURITY_CORS_ORIGINS": "https://app.example.com",
        "DATABASE_BUSY_TIMEOUT_SECONDS": "0.3",
        "SECURITY_TRUSTED_PROXIES": "1",
        "SERVER_MAX_IN_FLIGHT": "8",
        "SERVER_REQUEST_TIMEOUT_SECONDS": "1.5",
        "SERVER_BODY_TIMEOUT_SECONDS": "1",
        "SERVER_HEADER_TIMEOUT_SECONDS": "1",
        "SERVER_WRITE_TIMEOUT_SECONDS": "1",
    }
    folder: Path = tmp_path_factory.mktemp("service")
    with ServiceProcess(folder, DATABASE_URL=new_database(folder), **limits) as process:
        team_service.seed(process.client())
        yield process


@pytest.fixture(scope="session")
def contracts(service: ServiceProcess) -> dict[str, Any]:
    """OpenAPI document of each served version, as the service itself gives it."""
    client = service.client()
    names = client.request("GET", "/health").data["api_versions"]
    return {name: client.request("GET", f"/{name}/openapi.json", check=False).json for name in names}


@pytest.fixture
def client(service: ServiceProcess, contracts: dict[str, Any]) -> Iterator[Client]:
    """A client that checks every answer against the envelope and the contract."""
    client = service.client(contracts)
    yield client
    client.close()
