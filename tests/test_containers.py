"""The rendered service as containers: its image is built, its compose.yaml runs it, on a real engine."""

from collections.abc import Iterator

import pytest
from composed import Composed, composed
from conftest import Render
from engine import PYTHON_VERSION, Engine, running_engine

MIGRATION = '''"""Fails."""

revision = "0099"
down_revision = {before!r}


def upgrade() -> None:
    """Fail before anything is changed."""
    raise RuntimeError("the revision fails")
'''


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    """Return an engine; without one, all that follows is skipped."""
    with running_engine() as found:
        yield found


@pytest.fixture(scope="module")
def service(engine: Engine, render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Return a service that was deployed by the commands of its README, and runs."""
    rendered = render(python_version=PYTHON_VERSION, service_name="Plumbline Container Test")
    with composed(engine, rendered, tmp_path_factory.mktemp("containers") / "service") as deployed:
        deployed.compose("build", "--quiet")
        deployed.compose("run", "--rm", "app", "python3", "-m", "app", "keys", "new")
        deployed.up()
        yield deployed


def test_container_answers_on_this_machine_alone(service: Composed) -> None:
    """The published port gives the first 200, and no other machine reaches it."""
    status, body = service.get("/health")
    assert (status, body["data"]["ok"]) == (200, True)
    assert service.get("/v1/items")[0] == 200
    assert service.compose("port", "app", "8000").strip() == f"127.0.0.1:{service.port}"


def test_container_turns_healthy_by_its_own_check(service: Composed) -> None:
    """The image's health check asks /readyz, so that `up --wait` ends when requests are answered."""
    health = service.state()["State"]["Health"]
    assert health["Status"] == "healthy"
    assert "ready: http://127.0.0.1:8000/readyz" in health["Log"][-1]["Output"]
