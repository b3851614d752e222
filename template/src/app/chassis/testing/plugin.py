"""Pytest plugin, loaded by `pytest.ini`: fixtures for the conformance suite and for the team's own tests."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.chassis.testing.client import Client
from app.chassis.testing.process import ServiceProcess
from app.chassis.testing.team import Team, team

__all__: list[str] = []

explored: dict[str, list[str]] = {}
"""What the conformance test reached of each version, as a table, for the last lines of the run."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Say which statuses each route was seen to answer with."""
    for version, table in explored.items():
        terminalreporter.section(f"statuses reached in {version}", sep="-")
        for line in table:
            terminalreporter.line(line)


@pytest.fixture(scope="session")
def team_service() -> Team:
    """What `tests/service.py` tells about the service."""
    return team()


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, team_service: Team) -> Iterator[ServiceProcess]:
    """One service for the whole run, seeded, with probe routes and small limits."""
    limits = {
        "SECURITY_MAX_BODY_BYTES": "65536",
        "SECURITY_ALLOWED_HOSTS": "localhost,127.0.0.1,*.example.com",
        "SECURITY_CORS_ORIGINS": "https://app.example.com",
        "DATABASE_BUSY_TIMEOUT_SECONDS": "0.3",
        "SERVER_MAX_IN_FLIGHT": "8",
        "SERVER_REQUEST_TIMEOUT_SECONDS": "1.5",
        "SERVER_BODY_TIMEOUT_SECONDS": "1",
        "SERVER_HEADER_TIMEOUT_SECONDS": "1",
        "SERVER_WRITE_TIMEOUT_SECONDS": "1",
    }
    folder: Path = tmp_path_factory.mktemp("service")
    with ServiceProcess(folder, **limits) as process:
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
