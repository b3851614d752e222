"""The slots as containers: each of a release's image, nginx in one before them. Standard library, and Docker.

compose.yaml says what they are, compose.override.yaml what the team adds; what changes is told by the environment.
"""

import json
import os
import re
import shutil
import subprocess

import proxy
from health import ask, default_url
from ports import Ports
from programs import run, wait_until
from proxy import SLOTS, Addresses
from releases import PROCESS, SETTINGS, NotDeployedError, Release
from settings import setting
from slots import load
from words import reason

OLDEST = (2, 24)  # an env_file that may be missing
SERVICES = {*SLOTS, "proxy"}
ADDRESSES = Addresses("8080", "blue:8000", "green:8000", "/srv/deploy", "/tmp", "127.0.0.11")  # noqa: S108  # its own
# What a container is told of a release, beside its image: its `.env` as it was, which the service itself reads; and
# the names of what stood in the environment. Values travel by the environment of docker, where no quote changes them.
FILE, NAMES = "container.env", "container.names"
FAILED_STEP = re.compile(r"^-{6}\n > .*\n((?:.*\n)*?)-{6}$", re.MULTILINE)


class Containers(Ports):
    """Builds, starts and stops releases as containers of this machine."""

    def __init__(self) -> None:
        """Raises NotDeployedError where the settings cannot be used."""
        super().__init__()
        self._image, self._asked = "", SLOTS[0]

    def require(self) -> None:
        """Refuse where Docker is missing or old, does not answer, or compose.yaml has no slots.

        Raises:
            NotDeployedError: so it is.
        """
        if not shutil.which("docker"):
            raise NotDeployedError("docker is not to be found; expected Docker Engine with its plugin compose", 2)
        found = self._said("docker", "compose", "version", "--short")
        numbers = re.match(r"v?(\d+)\.(\d+)", found.stdout)
        if found.returncode or not numbers or tuple(map(int, numbers.groups())) < OLDEST:
            raise NotDeployedError(
                f"docker compose: {found.stdout.strip() or 'not to be found'}; expected 2.24 or newer", 2
            )
        found = self._said("docker", "version", "--format", "{{.Server.Version}}")
        if found.returncode:
            raise NotDeployedError(f"Docker does not answer ({reason(found.stderr)}); expected it to run, for you", 2)
        found = self._said("docker", "compose", "config", "--format", "json")
        if found.returncode:
            raise NotDeployedError(f"compose.yaml cannot be read: {reason(found.stderr)}", 2)
        services = json.loads(found.stdout)["services"]
        if missing := sorted(SERVICES - services.keys()):
            raise NotDeployedError(
                f"compose.yaml has no service {', '.join(missing)}; expected blue, green and proxy, as a newer release "
                "of the template brings them",
                2,
            )
        self._image = services[SLOTS[0]]["image"].rpartition(":")[0]

    def build(self, release: Release) -> None:
        """Build the release's image from its folder.

        Raises:
            NotDeployedError: it cannot be built.
        """
        environment = _told(release) | self._variables({SLOTS[0]: release.id})
        command = ["docker", "compose", "--progress", "plain", "build", SLOTS[0]]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:  # what a step that failed had printed stands between two lines, before its command
            step = FAILED_STEP.search(done.stdout + done.stderr)
            words = reason(step[1] if step else "") or reason(done.stderr)
            raise NotDeployedError(f"its image cannot be built: {words}")

    def migrate(self, release: Release) -> None:
        """Bring the database to the release's newest revision, and its settings to a test.

        Raises:
            NotDeployedError: it failed.
        """
        options = ("run", "--rm", "--no-deps", "--no-TTY", "--name", _migration(release.id), SLOTS[0])
        self._compose("the migration failed", SLOTS[0], release, *options, "python3", "-m", "app", "migrate")

    def start(self, slot: str, release: Release) -> None:
        """Start a release in a slot; an image that somebody removed is built again.

        Raises:
            NotDeployedError: its port is taken, or Docker refuses.
        """
        self.require_free(slot)
        self._asked = slot
        options = ("up", "--detach", "--no-deps", "--force-recreate", slot)
        self._compose("its container cannot be started", slot, release, *options)

    def stop(self, slot: str) -> None:
        """End what runs in a slot, or the proxy, once it answers nothing any more."""
        self._compose(f"{slot} cannot be stopped", None, None, "rm", "--stop", "--force", slot)

    def is_running(self, slot: str) -> bool:
        """Whether what was started in a slot runs still, and did not have to be started again."""
        return self._state(slot) == "running 0"

    def last_words(self) -> str:
        """What the log says of the last start."""
        options = ("--no-color", "--no-log-prefix", "--tail", "100")
        return reason(self._said("docker", "compose", "logs", *options, self._asked).stdout)

    def start_proxy(self) -> None:
        """Let the proxy run, with the configuration of this day.

        Raises:
            NotDeployedError: it cannot, because its port is taken or otherwise.
        """
        text, is_there = proxy.configuration(ADDRESSES), self._state("proxy").startswith("running ")
        if is_there and not proxy.is_new(text):
            return
        if not is_there:
            self.stop("proxy")
            self.require_free_proxy("127.0.0.1")
        proxy.write(text)
        if is_there:
            # By nginx itself: a signal of Docker's counts as a stop, and the engine would not start it again.
            reload = ("nginx", "-e", "stderr", "-c", f"{ADDRESSES.folder}/proxy.conf", "-s", "reload")
            self._compose("the proxy refuses its configuration", None, None, "exec", "--no-TTY", "proxy", *reload)
            return
        self._compose("the proxy cannot be started", None, None, "up", "--detach", "--no-deps", "proxy")
        wait_until(_answers, 15.0, "the proxy did not start; `docker compose logs proxy` says why")

    def stop_proxy(self) -> None:
        """End the proxy: requests that are under way are answered, then nobody answers."""
        self.stop("proxy")

    def forget(self, name: str) -> None:
        """Remove a release's image, and the container of a migration that was ended half way."""
        self._said("docker", "rm", "--force", _migration(name))
        self._said("docker", "image", "rm", "--force", f"{self._image}:{name}")

    def _state(self, service: str) -> str:
        """`running 0`: its state, and how often it had to be started again; empty where there is none."""
        names = self._said("docker", "compose", "ps", "--all", "--quiet", service).stdout.split()
        if not names:
            return ""
        return self._said(
            "docker", "inspect", "--format", "{{.State.Status}} {{.RestartCount}}", names[0]
        ).stdout.strip()

    def _compose(self, failed: str, slot: str | None, release: Release | None, *arguments: str) -> None:
        """Run docker compose to its end, with `release` in `slot`; its reason is told where it fails."""
        environment = _told(release) if release else dict(os.environ)
        environment |= self._variables({slot: release.id} if slot and release else {})
        run(["docker", "compose", "--progress", "quiet", *arguments], None, environment, failed)

    def _said(self, *command: str) -> subprocess.CompletedProcess[str]:
        environment = os.environ | self._variables({})
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    def _variables(self, held: dict[str, str]) -> dict[str, str]:
        """What compose.yaml asks for: both slots each time, so that none is another than it was."""
        slots = load().slots | held
        profiles = [*filter(None, setting("COMPOSE_PROFILES", default="").split(",")), "deploy"]
        found = {"PORT": str(self.bind[1]), "COMPOSE_PROFILES": ",".join(profiles)}
        for slot in SLOTS:
            found[f"DEPLOY_{slot.upper()}"] = slots[slot] or "none"
            found[f"DEPLOY_{slot.upper()}_PORT"] = str(self.ports[slot])
        return found


def _told(release: Release) -> dict[str, str]:
    """Write down what its container reads, and return the environment that has the values."""
    environment = release.environment()
    kept = json.loads((release.folder / PROCESS).read_text("utf-8"))["values"]
    if found := release.setting("ENVIRONMENT", default=""):  # the image has one, which beats a file
        kept["ENVIRONMENT"] = environment["ENVIRONMENT"] = found
    texts = {FILE: (release.folder / SETTINGS).read_text("utf-8"), NAMES: "".join(f"{name}\n" for name in kept)}
    for name, text in texts.items():
        (release.folder / name).unlink(missing_ok=True)
        (release.folder / name).write_text(text, encoding="utf-8")
    # The container's user must read it; nobody else on this machine gets through the folder.
    (release.folder / FILE).chmod(0o444)
    return environment


def _migration(name: str) -> str:
    return f"migrate-{name}"


def _answers() -> bool:
    try:
        ask(default_url(), {})
    except Exception:  # noqa: BLE001  # no answer as HTTP has it, whatever the reason
        return False
    return True
