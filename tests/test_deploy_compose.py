"""`make deploy` and `make rollback` by containers of a rendered service: a real engine, a real proxy, and clients."""

import http.client
import json
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from composed import ANSWERS, SECRET, image_holds
from conftest import Render, git
from deployed import Deployed, ready_to_deploy
from engine import Engine
from images import bases, provide
from serving import run
from tools import require
from traffic import clients

# What a team would write, so that a build reaches its registry.
OVERRIDE = """
services:
  app: &built
    build:
      network: {network}
    environment:
      TOLD_BY_TEAM: "yes"
  blue: *built
  green: *built
"""
AWKWARD = """a 'b' "c" #d $HOME ${X} %s \\n\\ z"""
MORE = {"SERVER_REQUEST_TIMEOUT_SECONDS": "41", "ENVIRONMENT": "development", "SECURITY_TRUSTED_PROXIES": "2"}
IN_FILE = "file 'x' $HOME ${PORT:-1} # no comment"


class Contained(Deployed):
    """Also what the engine says of it."""

    engine: Engine

    def compose(self, *arguments: str) -> str:
        """Run docker compose in the service's folder."""
        return self.engine.docker("compose", "--profile", "deploy", *arguments, folder=self.folder)

    def inspected(self, service: str) -> dict:
        """Return what the engine says of a container."""
        return json.loads(self.engine.docker("inspect", self.compose("ps", "--all", "--quiet", service).strip()))[0]

    @property
    def active(self) -> str:
        """The slot that gets the requests."""
        return self.state()["active"]

    @property
    def slug(self) -> str:
        """The name of its images."""
        return yaml.safe_load(self.read("compose.yaml"))["name"]

    def images(self) -> set[str]:
        """Return the tags of its images."""
        return set(self.engine.docker("images", "--format", "{{.Tag}}", self.slug).split())


@contextmanager
def contained(engine: Engine, rendered: Path, folder: Path) -> Iterator[Contained]:
    """Give a committed service with keys; its containers, volumes and images are taken away afterwards.

    It lacks deploy/packages.txt, as one does to which an update brought containers.
    """
    require("git")
    shutil.copytree(rendered, folder, ignore=shutil.ignore_patterns(".git"))
    (folder / "deploy/packages.txt").unlink()
    (folder / "compose.override.yaml").write_text(OVERRIDE.format(network=engine.build_network))
    for name in (
        *bases(folder / "Dockerfile"),
        yaml.safe_load((folder / "compose.yaml").read_text())["services"]["proxy"]["image"],
    ):
        provide(engine, name)
    told = {"OPERATIONS_TOKEN": SECRET, "SECURITY_ALLOWED_HOSTS": "localhost,127.0.0.1", "DEPLOY_DRIVER": "compose"}
    made = ready_to_deploy(folder, engine.environment, **told)
    one = Contained(made.folder, made.environment, made.port, made.ports)
    one.engine = engine
    try:
        one.compose("run", "--rm", "app", "python3", "-m", "app", "keys", "new")
        yield one
    finally:
        one.run("down", "--forget")
        one.compose("down", "--volumes", "--timeout", "1", "--remove-orphans")
        engine.docker("rmi", "--force", f"{one.slug}:dev")


@pytest.fixture(scope="module")
def deployed(engine: Engine, render: Render, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Contained]:
    """Return a service with version 0.1.0 deployed."""
    with contained(engine, render(**ANSWERS), tmp_path_factory.mktemp("contained") / "a service") as one:
        done = one.run("deploy")
        assert done.returncode == 0, done.stdout + done.stderr
        print(done.stdout)
        yield one


@pytest.fixture(autouse=True)
def good_again(deployed: Contained) -> Iterator[None]:
    """Leave the repository at a version that can be deployed."""
    yield
    deployed.be_good_again()


def test_first_deployment_is_ready_as_itself_for_this_machine_alone(deployed: Contained) -> None:
    """Clients reach the version and the deployment that the record names; no port is open to another machine."""
    ready, (line, *_) = deployed.ready(), deployed.record()
    assert (line["result"], line["version"]) == ("ok", "0.1.0")
    assert (ready["deploy_id"], ready["version"]) == (line["id"], "0.1.0")
    published = deployed.compose("ps", "--format", "{{.Service}} {{.Ports}}").splitlines()
    own = deployed.ports[("blue", "green").index(deployed.active)]
    assert sorted(published) == sorted(
        [f"proxy 127.0.0.1:{deployed.port}->8080/tcp", f"{deployed.active} 127.0.0.1:{own}->8000/tcp"]
    )


def test_no_request_fails_through_deploy_refusal_and_both_rollbacks(deployed: Contained) -> None:
    """A version is deployed, one that errors is refused, two are brought back, warm and cold: no client notices."""
    first = deployed.ready()["version"]
    with clients(deployed.port, a_second=60) as answers:
        done = [deployed.deploy_new("0.2.0")]
        after = [deployed.ready()["version"]]
        before = deployed.inspected(deployed.active)["Id"]
        deployed.commit("0.2.0", deployed.listing("raise RuntimeError"))
        refused = deployed.run("deploy")
        is_untouched = deployed.inspected(deployed.active)["Id"] == before
        for to in ((), ("0.2.0",)):
            done.append(deployed.run("rollback", *to))
            after.append(deployed.ready()["version"])
    print(*(one.stdout for one in done), answers)
    assert [one.returncode for one in done] == [0, 0, 0], [one.stderr for one in done]
    assert after == ["0.2.0", first, "0.2.0"]
    assert (refused.returncode, is_untouched) == (1, True)
    assert refused.stderr == "not done: GET /v1/items answered 200 before, answers 500 now\n"
    assert ("start " in done[1].stdout, "start " in done[2].stdout) == (False, True)
    assert answers.failed == {}
    assert answers.total > 100
    assert deployed.images() == {"dev", *deployed.state()["releases"]}


def test_version_that_cannot_be_built_or_started_is_refused_with_its_reason(deployed: Contained) -> None:
    """The last line that its build or its container wrote is the reason, and nothing of it stays."""
    before = deployed.ready()
    revision = 'revision = "0099"\ndown_revision = "0002"\n\n\ndef upgrade():\n    raise RuntimeError("planted")\n'
    broken = deployed.read("Dockerfile").replace("WORKDIR /srv\n", "WORKDIR /srv\nRUN echo planted && false\n")
    for file, text, reason in (
        ("Dockerfile", broken, r"its image cannot be built: .*planted"),
        ("migrations/versions/0099_fails.py", revision, r"the migration failed: .*planted"),
        (
            "src/app/main.py",
            "raise SystemExit('cannot start')\n",
            r"(the migration failed|it ended .*): .*cannot start",
        ),
    ):
        deployed.commit(before["version"], {file: text})
        done = deployed.run("deploy")
        git(deployed.folder, "reset", "--quiet", "--hard", "HEAD~1")
        assert done.returncode == 1
        assert re.fullmatch(rf"not done: {reason}.*\n", done.stderr), done.stderr
    assert deployed.ready() == before
    assert deployed.is_settled()
    assert deployed.images() == {"dev", *deployed.state()["releases"]}
    assert "migrate-" not in deployed.engine.docker("ps", "--all", "--format", "{{.Names}}")


@pytest.mark.parametrize(
    "last", ["start", *(pytest.param(each, marks=pytest.mark.soak) for each in ("build", "switch"))]
)
def test_killed_half_way_is_settled_by_the_next_command(deployed: Contained, last: str) -> None:
    """After kill -9 clients have a version that is whole, and the next command ends the matter."""
    before = deployed.ready()
    deployed.commit(before["version"], {"good.txt": last})
    with clients(deployed.port, a_second=60) as answers:
        deployed.kill_behind(last)
        done = deployed.run("up")
    assert done.returncode == 0, done.stderr
    assert "recovered: " in done.stdout
    assert deployed.ready() == before or last == "switch"
    assert answers.failed == {}
    assert deployed.is_settled()
    assert deployed.images() == {"dev", *deployed.state()["releases"]}


def test_awkward_settings_arrive_as_they_are(deployed: Contained, tmp_path: Path) -> None:
    """Quotes, `#`, `$`, backslashes and spaces: of the environment and of `.env`, as that day; in no image."""
    proxy, file = deployed.inspected("proxy")["Id"], deployed.folder / ".env"
    was = file.read_text()
    lines = {"TOLD_IN_FILE": f'"{IN_FILE}"', "TOLD": "other", "TOLD_BY_TEAM": "no", **MORE}
    file.write_text(was + "".join(f"{name}={value}\n" for name, value in lines.items()))
    done = deployed.deploy_new(deployed.ready()["version"], TOLD=AWKWARD, TOLD_BY_TEAM="no", OPERATIONS_TOKEN=AWKWARD)
    file.write_text(was)
    assert done.returncode == 0, done.stderr
    told = {"TOLD": AWKWARD, "TOLD_BY_TEAM": "yes", "ENVIRONMENT": "development"}
    inside = deployed.compose("exec", "--no-TTY", deployed.active, "python3", "-c", READ, *told)
    assert json.loads(inside) == [IN_FILE, told]
    assert [_ask(deployed.port, "/metrics", Authorization=f"Bearer {token}") for token in (AWKWARD, SECRET)] == [
        200,
        401,
    ]
    assert not image_holds(deployed.engine, f"{deployed.slug}:{deployed.ready()['deploy_id']}", tmp_path, SECRET)
    assert deployed.inspected("proxy")["Id"] == proxy
    assert "proxy_read_timeout 46s" in deployed.read("var/deploy/proxy/proxy.conf")


def test_client_behind_a_proxy_of_the_teams_is_told_in_the_log(deployed: Contained) -> None:
    """With SECURITY_TRUSTED_PROXIES=2, set above, the address that their proxy appended counts; the log is as told."""
    _ask(deployed.port, "/no", **{"X-Forwarded-For": "192.0.2.7", "X-Request-ID": "asked-by-7"})
    for _ in range(40):
        lines = [line for line in deployed.compose("logs", "blue", "green").splitlines() if "asked-by-7" in line]
        if lines:
            break
    assert '"client":"192.0.2.7"' in lines[-1]
    deployed.compose("logs", "proxy")
    assert "proved: " in deployed.compose("exec", deployed.active, "python3", "ops/backup.py")


READ = """
import json, os, sys
lines = dict(line.split("=", 1) for line in open(".env").read().splitlines())
print(json.dumps([lines["TOLD_IN_FILE"][1:-1], {name: os.environ[name] for name in sys.argv[1:]}]))
"""


def _ask(port: int, path: str, **headers: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path, headers=headers)
    status = connection.getresponse().status
    connection.close()
    return status


def test_proxy_is_nobody_and_sees_nothing_of_value(deployed: Contained) -> None:
    """It may do nothing and write nowhere but to /tmp; of the machine it sees its configuration and the flag."""
    inspected = deployed.inspected("proxy")
    assert (inspected["Config"]["User"], inspected["HostConfig"]["ReadonlyRootfs"]) == ("101:101", True)

    def inside(command: str) -> list[str]:
        return deployed.compose("exec", "--no-TTY", "proxy", "sh", "-c", command).split()

    assert inside("id -u; ls /srv/deploy") == ["101", "proxy.conf", f"to-{deployed.active}"]
    assert inside("for place in /srv/deploy /etc /; do ! touch $place/written || echo $place; done 2>/dev/null") == []
    rights = inside("sed -n 's/^\\(Cap...\\|NoNewPrivs\\):/\\1/p' /proc/1/status")
    assert dict(zip(rights[::2], rights[1::2], strict=True)) == {
        **dict.fromkeys(("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"), "0" * 16),
        "NoNewPrivs": "1",
    }


def test_up_brings_back_what_was_deployed_when_all_of_it_is_gone(deployed: Contained) -> None:
    """Ended, the engine starts it; removed, and the image too, `up` does, built from its folder; or ops/process.py."""
    before = deployed.ready()
    for service in (deployed.active, "proxy"):
        deployed.compose("exec", "--no-TTY", service, "sh", "-c", "kill -TERM 1")
        until = time.monotonic() + 30
        while not deployed.inspected(service)["RestartCount"] and time.monotonic() < until:
            time.sleep(0.1)
        assert deployed.inspected(service)["RestartCount"] == 1
    environment = {"HOST": "127.0.0.1", "PORT": str(deployed.port)}
    run(deployed.folder, "python3", "ops/health.py", "--wait", "120", **environment)
    assert deployed.ready() == before
    image = f"{deployed.slug}:{before['deploy_id']}"
    deployed.engine.docker("rm", "--force", *deployed.compose("ps", "--all", "--quiet").split())
    deployed.engine.docker("image", "rm", image)
    done = deployed.run("up")
    assert (done.returncode, deployed.ready()) == (0, before), done.stderr
    for verb, expected in (("stop", False), ("start", True)):
        run(deployed.folder, "python3", "ops/process.py", verb, **deployed.environment)
        assert bool(deployed.compose("ps", "--all", "--quiet")) is expected
    assert deployed.ready() == before


def _no_docker(deployed: Contained) -> dict[str, str]:
    folder = deployed.folder / "var/bin"
    folder.mkdir()
    (folder / "python3").symlink_to(sys.executable)
    return {"PATH": str(folder)}


def _no_daemon(_: Contained) -> dict[str, str]:
    return {"DOCKER_HOST": "unix:///nowhere/sock"}


def _no_slots(deployed: Contained) -> dict[str, str]:
    other = deployed.folder / "var/old.yaml"
    other.write_text("name: old\nservices: {app: {image: old}}\n")
    return {"COMPOSE_FILE": str(other)}


@pytest.mark.parametrize(
    ("prepare", "expected"),
    [
        (_no_docker, "docker is not to be found; expected Docker Engine with its plugin compose"),
        (_no_daemon, "Docker does not answer ("),
        (_no_slots, "compose.yaml has no service blue, green, proxy; expected"),
    ],
)
def test_missing_docker_is_one_message_and_nothing_is_begun(
    deployed: Contained, prepare: Callable[[Contained], dict[str, str]], expected: str
) -> None:
    """No program, no daemon, no slots: exit status 2, one line, everything as it was."""
    before = (deployed.ready(), deployed.state())
    done = deployed.run("deploy", **prepare(deployed))
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"not done: {expected}")
    assert (deployed.ready(), deployed.state()) == before
