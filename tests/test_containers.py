"""The rendered service as containers: its image is built, its compose.yaml runs it, on a real engine."""

import json
import re
import shutil
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from composed import ANSWERS, SECRET, Composed, composed, image_holds
from conftest import Render
from engine import Engine, running_engine
from tools import TOOLS, lost

PASSWORD = "nine brass plumb bobs"  # noqa: S105 - a test's
KILL = r"""
import os, pathlib
every = pathlib.Path("/proc").glob("[0-9]*/cmdline")
(found,) = [file for file in every if file.read_bytes().endswith(b"app\0serve\0")]
os.kill(int(found.parent.name), 9)
"""
TRIED = {
    "down",
    "exec app python3 -m app keys …",
    "exec app python3 ops/backup.py",
    "logs --tail 20 app",
    "logs app",
    "logs blue green",  # these two in test_deploy_compose.py
    "logs proxy",
    "ps",
    "run --rm app python3 -m app keys new",
    "run --rm app python3 ops/backup.py",
    "run --rm app python3 ops/restore.py --list",
    "run --rm app python3 ops/restore.py --yes BACKUP",
    "start",
    "stop",
    "up --build --detach --wait",
    "up --detach --wait",
    "up --detach --wait --no-build",
}
MIGRATION = '''"""Fails."""

from alembic import op

revision = "0099"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Fail."""
    op.execute("SELECT no_such_column FROM items")


def downgrade() -> None:
    """Fail."""
'''


@pytest.fixture(scope="module")
def rendered(render: Render) -> Path:
    """Return a default service for the Python that Debian has."""
    return render(**ANSWERS)


@pytest.fixture(scope="module")
def service(engine: Engine, rendered: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Composed]:
    """Return a service that was deployed as its README says, and runs."""
    with composed(engine, rendered, tmp_path_factory.mktemp("containers") / "service") as deployed:
        (deployed.folder / "var").mkdir()
        for name in ("var/keys.json", "src/app/.env", "ops/.env.production"):
            (deployed.folder / name).write_text(SECRET)
        deployed.compose("run", "--rm", "app", "python3", "-m", "app", "keys", "new")
        deployed.up("--build")
        yield deployed


def log_in(service: Composed, name: str) -> tuple[int, str]:
    """Log in; return status and access token."""
    status, body = service.ask("POST", "/v1/tokens", {"email": f"{name}@example.com", "password": PASSWORD})
    return status, body.get("data", {}).get("access_token", "")


def register(service: Composed, name: str) -> None:
    """Make an account."""
    assert service.ask("POST", "/v1/accounts", {"email": f"{name}@example.com", "password": PASSWORD})[0] == 201


def test_engine_leaves_nothing_behind(engine: Engine) -> None:
    """A second engine runs beside the first; when it has ended, no process, mount or folder of it is left."""
    if engine.is_users:
        pytest.skip(lost(TOOLS["dockerd"]))
    with running_engine() as second:
        folder, pid = second.folder, (second.folder / "pid").read_text()
        assert second.docker("ps", "--quiet") == ""
    assert not folder.exists()
    assert not Path("/proc", pid).exists()
    assert str(folder) not in Path("/proc/mounts").read_text()


def test_container_answers_on_this_machine_alone(service: Composed) -> None:
    """The published port gives the first 200, and no other machine reaches it."""
    status, body = service.ask("GET", "/health")
    assert (status, body["data"]["ok"]) == (200, True)
    assert service.ask("GET", "/v1/items")[0] == 200
    assert service.compose("port", "app", "8000").strip() == f"127.0.0.1:{service.port}"


def test_container_turns_healthy_by_its_own_check(service: Composed) -> None:
    """The image's health check asks /readyz, so that `up --wait` ends when requests are answered."""
    health = service.state()["State"]["Health"]
    assert health["Status"] == "healthy"
    assert "ready: http://127.0.0.1:8000/readyz" in health["Log"][-1]["Output"]


def test_container_is_nobody_and_may_do_nothing(service: Composed) -> None:
    """It runs as 10001 without a capability or a way to gain one, and writes to its data and to /tmp alone."""
    assert service.inside("id -u; id -g").split() == ["10001", "10001"]
    rights = dict(line.split() for line in service.inside("grep -E '^(Cap|NoNewPrivs)' /proc/1/status").splitlines())
    assert int(rights.pop("NoNewPrivs:")) == 1
    assert {int(value, 16) for value in rights.values()} == {0}
    for place in ("/", "/srv/", "/srv/src/", "/srv/.venv/", "/etc/"):
        assert "Read-only file system" in service.inside(f"mkdir -p {place}; : >{place}written", status=None), place
    service.inside("for place in /srv/var /tmp; do : >$place/written && rm $place/written || exit 1; done")


def test_container_lets_neighbours_in_by_name_and_takes_an_override(service: Composed) -> None:
    """compose.override.yaml adds to what is ours: an environment, a neighbour that finds the service by its name."""
    assert "LOG_LEVEL=debug" in service.inside("env").splitlines()
    assert service.state()["HostConfig"]["ReadonlyRootfs"] is True
    assert service.compose("run", "--rm", "neighbour").endswith("ready: http://app:8000/readyz\n")


def test_container_starts_again_after_a_crash(service: Composed) -> None:
    """A process that is killed is started again by the engine."""
    before = service.state()["RestartCount"]
    service.compose("exec", "app", "python3", "-c", KILL)
    service.await_ready()
    assert service.state()["RestartCount"] == before + 1


def test_failing_migration_stops_the_start(service: Composed, tmp_path: Path) -> None:
    """A release whose migration fails never listens, and the service that runs goes on."""
    revision = tmp_path / "0099_fails.py"
    revision.write_text(MIGRATION)
    shutil.copymode(service.folder / "alembic.ini", revision)
    mount = f"{revision}:/srv/migrations/versions/{revision.name}:ro"
    said = service.compose("run", "--rm", "--volume", mount, "app", status=1)
    assert "no_such_column" in said
    assert '"listening"' not in said
    assert service.ask("GET", "/readyz")[0] == 200


def test_stop_drains_and_ends_with_success(service: Composed) -> None:
    """While it stops it says so and still answers; it ends by itself, long before it would be killed."""
    with ThreadPoolExecutor() as beside:
        stopping = beside.submit(service.compose, "stop")
        while service.ask("GET", "/readyz")[0] == 200:
            assert not stopping.done()
        assert service.ask("GET", "/health")[1]["data"]["is_draining"] is True
        stopping.result()
    state = service.state()["State"]
    assert (state["Status"], state["ExitCode"]) == ("exited", 0)
    assert '"event":"stopped"' in service.compose("logs", "app").splitlines()[-1]
    service.compose("start")
    service.await_ready()


def test_data_and_keys_survive_a_new_container(service: Composed) -> None:
    """`down` and `up` make a new container: the accounts are there, and a token of before is good."""
    register(service, "ada")
    before, (_, token) = service.state()["Id"], log_in(service, "ada")
    service.compose("down")
    service.up()
    assert service.state()["Id"] != before
    assert service.ask("GET", "/v1/accounts/me", token=token)[1]["data"]["email"] == "ada@example.com"


def test_backup_and_restore_work_as_the_runbook_says(service: Composed) -> None:
    """The commands for Compose put an account back and take away what was written since the backup."""
    register(service, "before")
    assert "signing" in service.compose("exec", "app", "python3", "-m", "app", "keys", "list")
    said = service.compose("exec", "app", "python3", "ops/backup.py")
    (backup,) = re.findall(r"^written: (\S+)", said, re.MULTILINE)
    assert "proved: " in service.compose("run", "--rm", "app", "python3", "ops/backup.py")
    register(service, "after")
    service.compose("stop")
    restore = ("run", "--rm", "app", "python3", "ops/restore.py")
    assert backup in service.compose(*restore, "--list")
    assert "not done: this would be replaced" in service.compose(*restore, backup, status=2)
    service.compose(*restore, "--yes", backup)
    service.up()
    assert [log_in(service, name)[0] for name in ("before", "after")] == [200, 401]


def test_start_that_failed_is_mended_as_the_runbook_says(service: Composed) -> None:
    """Without keys the container ends again and again, and its log says why; stopped and mended, it starts."""
    other = {"COMPOSE_PROJECT_NAME": "plumbline-container-other", "PORT": "0"}
    try:
        service.compose("up", "--detach", "--wait", status=1, **other)
        assert "AUTH_KEYS_FILE: " in service.compose("logs", "--tail", "20", "app", **other)
        service.compose("run", "--rm", "app", "python3", "-m", "app", "keys", "new", **other)
        service.compose("stop", **other)
        service.up(**other)
        assert "(healthy)" in service.compose("ps", **other)
    finally:
        service.compose("down", "--volumes", "--timeout", "5", **other)


def test_release_is_deployed_and_the_one_before_runs_again(service: Composed) -> None:
    """The README's command brings what changed; the runbook's brings the image of before back, or says it is gone."""
    page = (service.folder / "docs/chassis/runbook/service.md").read_text(encoding="utf-8")
    (name,) = re.findall(r"^With Compose: `(\w+)` of the release before in `.env`", page, re.MULTILINE)
    routes = service.folder / "src/app/api/v1/accounts/routes.py"
    routes.write_text(routes.read_text().replace('"Register"', '"Register anew"'))
    of_before = service.state()["Image"]
    service.settings(**{name: "2"})
    service.up("--build")
    assert "Register anew" in service.inside("cat .venv/lib/python3*/site-packages/app/api/v1/accounts/routes.py")
    for tag, status in (("dev", 0), ("gone", 1)):
        service.settings(**{name: tag})
        said = service.compose("up", "--detach", "--wait", "--no-build", status=status)
        assert ("No such image" in said) == bool(status)
        assert service.state()["Image"] == of_before
    assert service.ask("GET", "/readyz")[0] == 200


def test_compose_commands_of_the_docs_are_tried_here(rendered: Path) -> None:
    """What the pages tell to type stands among what the tests above did; a command that changes is tried again."""
    pages = [rendered / "README.md", *sorted((rendered / "docs/chassis").rglob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    assert set(re.findall(r"`docker compose ([^`]*)`", text)) == TRIED


def test_image_holds_no_secret_and_is_small(service: Composed, tmp_path: Path) -> None:
    """What stands in var/ and in any .env on the machine that builds is in no layer and no line of its history."""
    image = service.state()["Image"]
    assert not image_holds(service.engine, image, tmp_path, SECRET)
    megabytes = json.loads(service.engine.docker("inspect", image))[0]["Size"] // 1_000_000
    print(f"the image has {megabytes} MB")
    assert megabytes < 400
