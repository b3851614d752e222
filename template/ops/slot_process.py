"""The slots as processes of this machine: each a release in its folder, nginx before them. Standard library only."""

import os
import re
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import proxy
from ports import Ports
from process import GRACE_SECONDS, LOG, SERVE, end, number_in
from programs import here, is_free, run, spawn, wait_until
from proxy import SLOTS, Addresses
from releases import NotDeployedError, Release
from settings import setting
from words import reason

PROXY_PID, PROXY_LOG = proxy.FOLDER / "proxy.pid", Path("var/proxy.log")
MOST_WORDS = 1 << 20
PLACE = re.compile(r"^ +(?:listen|server) ([^ ;]+);", re.MULTILINE)
WORKER = "nginx: worker"
PROXY_WORDS = ("nginx",)  # not what it was begun with: it writes its own words over those, and cuts them off
# Longer than the proxy keeps a connection, so that no request meets one that the service just closes; and a drain is
# for what is on its way, for the proxy was told before.
OWN = {"HOST": "127.0.0.1", "SERVER_KEEP_ALIVE_SECONDS": "120", "SERVER_DRAIN_SECONDS": "0.5"}


class Processes(Ports):
    """Builds, starts and stops releases as processes of this machine."""

    name = "process"
    _begun = 0  # where in the log the words of the last start begin

    @property
    def _addresses(self) -> Addresses:
        host, port = self.bind
        slots = (f"127.0.0.1:{self.ports[slot]}" for slot in SLOTS)
        places = (str(place.resolve()) for place in (proxy.FLAGS, proxy.FOLDER))
        return Addresses(f"{f'[{host}]' if ':' in host else host}:{port}", *slots, *places)

    def _configuration(self) -> str:
        return proxy.configuration(self._addresses)

    def require(self) -> None:
        """Refuse where the programs are missing.

        Raises:
            NotDeployedError: nginx or uv is.
        """
        self._nginx(), self._uv()

    def _nginx(self) -> str:
        found = shutil.which("nginx", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
        if not found:
            raise NotDeployedError("nginx is not to be found; expected it, 1.18 or newer, as the system packages it", 2)
        return found

    def _uv(self) -> str:
        found = shutil.which("uv") or (
            str(Path(".tools/bin/uv").absolute()) if Path(".tools/bin/uv").exists() else None
        )
        if not found:
            raise NotDeployedError("uv is not to be found; expected it on PATH or in .tools: `make setup` brings it", 2)
        return found

    def require_same_place(self) -> None:
        """Refuse to move what runs: its clients and the proxy go on asking where it was.

        Raises:
            NotDeployedError: the settings name other ports than the proxy that runs has.
        """
        if number_in(PROXY_PID, PROXY_WORDS) and proxy.CONFIGURATION.exists():
            was, now = map(PLACE.findall, (proxy.CONFIGURATION.read_text("utf-8"), self._configuration()))
            if was != now:
                raise NotDeployedError(
                    f"HOST, PORT or DEPLOY_PORTS is not where it runs ({', '.join(was)}); expected the same, or "
                    "`python3 ops/deploy.py down` before: `up` starts it elsewhere",
                    2,
                )

    def build(self, release: Release) -> None:
        """Install what the release needs into its folder.

        Raises:
            NotDeployedError: it cannot be installed.
        """
        locked = ["--locked"] if (release.folder / "uv.lock").exists() else []
        command = [self._uv(), "sync", "--quiet", "--no-dev", *locked]
        environment = {name: value for name, value in os.environ.items() if name not in ("VIRTUAL_ENV", "PYTHONHOME")}
        environment["UV_PROJECT_ENVIRONMENT"] = ".venv"
        run(command, release.folder, environment, "its libraries cannot be installed")

    def migrate(self, release: Release) -> None:
        """Bring the database to the release's newest revision, and its settings to a test.

        Raises:
            NotDeployedError: it failed.
        """
        run([".venv/bin/python", "-m", "app", "migrate"], release.folder, release.environment(), "the migration failed")

    def start(self, slot: str, release: Release) -> None:
        """Start a release in a slot.

        Raises:
            NotDeployedError: its port is taken.
        """
        self.require_free(slot)
        with suppress(OSError):
            self._begun = LOG.stat().st_size
        own = OWN | {"PORT": str(self.ports[slot]), "DEPLOY_ID": release.id}
        command = [".venv/bin/python", *SERVE]
        pid = spawn(self._pid(slot), command, LOG, release.folder, release.environment() | own)
        for other in (self._pid(one) for one in SLOTS if one != slot):
            with suppress(OSError):  # a number from before the machine was restarted may be that of this process
                if other.read_text(encoding="ascii").strip() == str(pid):
                    other.unlink()

    def stop(self, slot: str) -> None:
        """End what runs in a slot, once it answers nothing any more."""
        pid = self.running(slot)
        if pid is None:
            return
        seconds = float(setting("SERVER_SHUTDOWN_SECONDS", "30.0")) + GRACE_SECONDS
        end(pid, lambda: self.running(slot) == pid, seconds)
        self._pid(slot).unlink(missing_ok=True)

    def running(self, slot: str) -> int | None:
        """The number of the process in a slot."""
        return number_in(self._pid(slot), SERVE)

    def is_running(self, slot: str) -> bool:
        """Whether anything runs in a slot."""
        return self.running(slot) is not None

    def last_words(self) -> str:
        """What the log says of the last start; the release before writes there, too."""
        with suppress(OSError), LOG.open("rb") as log:
            log.seek(max(self._begun, log.seek(0, os.SEEK_END) - MOST_WORDS))
            return reason(log.read().decode("utf-8", "replace")) or "it said nothing"
        return "its log cannot be read"

    def start_proxy(self) -> None:
        """Let the proxy run, with the configuration of this day.

        Raises:
            NotDeployedError: it cannot, because its port is taken or otherwise.
        """
        text = self._configuration()
        pid = number_in(PROXY_PID, PROXY_WORDS)
        if pid and not proxy.is_new(text):
            return
        proxy.write(text, proxy.CANDIDATE)
        command = [self._nginx(), "-p", str(Path.cwd()), "-c"]
        asked = [*command, str(proxy.CANDIDATE.resolve()), "-t", "-q"]
        run(asked, Path(), dict(os.environ), "the proxy refuses its configuration")
        proxy.CANDIDATE.replace(proxy.CONFIGURATION)
        command.append(str(proxy.CONFIGURATION.resolve()))
        if not pid:
            if self._end_workers():
                wait_until(lambda: is_free(*self.bind), 5.0, f"port {self.bind[1]} is not given back by a killed proxy")
            self.require_free_proxy(self.bind[0])
        if pid:
            os.kill(pid, signal.SIGHUP)
            return
        spawn(PROXY_PID, [*command, "-g", "daemon off;"], PROXY_LOG, Path(), dict(os.environ))
        wait_until(lambda: not is_free(*self.bind), 5.0, f"the proxy did not start; {PROXY_LOG} says why")

    def stop_proxy(self) -> None:
        """End the proxy: requests that are under way are answered, then nobody answers."""
        if pid := number_in(PROXY_PID, PROXY_WORDS):
            os.kill(pid, signal.SIGQUIT)
            wait_until(lambda: number_in(PROXY_PID, PROXY_WORDS) != pid, 70.0, "the proxy did not end")
        elif self._end_workers():
            wait_until(lambda: not here(WORKER), 70.0, "the proxy did not end")
        PROXY_PID.unlink(missing_ok=True)

    @staticmethod
    def _end_workers() -> bool:
        """Tell what a proxy left that was killed to end; returns whether there was any."""
        found = here(WORKER)
        for pid in found:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGQUIT)
        return bool(found)

    def forget(self, name: str) -> None:
        """Of a release there is nothing beside its folder."""

    @staticmethod
    def _pid(slot: str) -> Path:
        return proxy.FOLDER / f"{slot}.pid"
