"""The slots as processes of this machine: each a release in its folder, haproxy before them. Standard library only."""

import os
import re
import shutil
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import proxy
from health import default_url
from process import GRACE_SECONDS, LOG, PAUSE_SECONDS, SERVE, end, number_in
from programs import is_free, run, spawn, wait_until
from proxy import SLOTS, Addresses
from releases import NotDeployedError, Release
from settings import setting

PROXY_PID, PROXY_LOG = proxy.FOLDER / "proxy.pid", Path("var/proxy.log")
# Longer than the proxy keeps a connection, so that no request meets one that the service just closes.
KEEP_ALIVE_SECONDS = "75"


class Processes:
    """Builds, starts and stops releases as processes of this machine."""

    name = "process"

    def __init__(self) -> None:
        """Raises NotDeployedError where the settings cannot be used."""
        address = default_url().removeprefix("http://").removesuffix("/readyz")
        host, _, port = setting("HOST", "127.0.0.1"), None, int(address.rpartition(":")[2])
        self.bind = (host, port)
        given = setting("DEPLOY_PORTS", f"{port + 1},{port + 2}")
        parts = [part.strip() for part in given.split(",")]
        if (
            len(parts) != 2
            or not all(part.isdigit() and 0 < int(part) < 65536 for part in parts)
            or len({*parts, str(port)}) < 3
        ):
            raise NotDeployedError(
                f"DEPLOY_PORTS: {given!r} cannot be used; expected two free ports, such as 8001,8002", 2
            )
        self.ports = dict(zip(SLOTS, map(int, parts), strict=True))

    @property
    def addresses(self) -> Addresses:
        """Where everybody listens."""
        host, port = self.bind
        return Addresses(f"{host}:{port}", *(f"127.0.0.1:{self.ports[slot]}" for slot in SLOTS))

    def url(self, slot: str) -> str:
        """A slot's address, past the proxy."""
        return f"http://127.0.0.1:{self.ports[slot]}"

    def require(self) -> None:
        """Refuse where the programs are missing.

        Raises:
            NotDeployedError: haproxy or uv is.
        """
        self._haproxy(), self._uv()

    def _haproxy(self) -> str:
        found = shutil.which("haproxy", path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/usr/local/sbin")
        if not found:
            raise NotDeployedError(
                "haproxy is not to be found; expected it, 2.4 or newer, as the system packages it", 2
            )
        return found

    def _uv(self) -> str:
        found = shutil.which("uv") or (
            str(Path(".tools/bin/uv").absolute()) if Path(".tools/bin/uv").exists() else None
        )
        if not found:
            raise NotDeployedError("uv is not to be found; expected it on PATH or in .tools: `make setup` brings it", 2)
        return found

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
        if not is_free("127.0.0.1", self.ports[slot]):
            raise NotDeployedError(
                f"port {self.ports[slot]} is taken; expected it free for {slot}: DEPLOY_PORTS names others"
            )
        own = {"HOST": "127.0.0.1", "PORT": str(self.ports[slot]), "DEPLOY_ID": release.id}
        own["SERVER_KEEP_ALIVE_SECONDS"] = KEEP_ALIVE_SECONDS
        spawn(self._pid(slot), [".venv/bin/python", *SERVE], LOG, release.folder, release.environment() | own)

    def stop(self, slot: str) -> None:
        """End what runs in a slot, once it answers nothing any more."""
        pid = self.running(slot)
        if pid is None:
            return
        until = time.monotonic() + float(setting("SERVER_SHUTDOWN_SECONDS", "30.0"))
        with suppress(proxy.ProxyError):
            while slot not in proxy.serving() and proxy.requests_in(slot) and time.monotonic() < until:
                time.sleep(PAUSE_SECONDS)
        end(pid, lambda: self.running(slot) == pid, until + GRACE_SECONDS - time.monotonic(), drains=False)
        self._pid(slot).unlink(missing_ok=True)

    def running(self, slot: str) -> int | None:
        """The number of the process in a slot."""
        return number_in(self._pid(slot), SERVE)

    def is_running(self, slot: str) -> bool:
        """Whether anything runs in a slot."""
        return self.running(slot) is not None

    def configure(self, active: str | None) -> None:
        """Write who gets requests when the proxy starts again."""
        proxy.write(proxy.configuration(self.addresses, active))

    def last_words(self) -> str:
        """The last line of the log, which says why a start failed."""
        with suppress(OSError):
            lines = LOG.read_text("utf-8", "replace").splitlines()
            return lines[-1][:300] if lines else ""
        return ""

    def start_proxy(self, active: str | None) -> None:
        """Let the proxy run, as its configuration of this day says.

        Raises:
            NotDeployedError: it cannot, because its port is taken or otherwise.
        """
        text = proxy.configuration(self.addresses, active)
        if number_in(PROXY_PID, ("proxy.cfg",)) and proxy.is_up():
            if not proxy.CONFIGURATION.exists() or proxy.CONFIGURATION.read_text("utf-8") != text:
                self._reload(text)
            return
        if not is_free(*self.bind):
            raise NotDeployedError(
                f"port {self.bind[1]} is taken by another program; expected it free for the proxy: "
                "a service that runs alone is stopped by python3 ops/process.py stop"
            )
        proxy.write(text)
        self._check()
        spawn(
            PROXY_PID,
            [self._haproxy(), "-W", "-db", "-f", str(proxy.CONFIGURATION)],
            PROXY_LOG,
            Path(),
            dict(os.environ),
        )
        wait_until(proxy.is_up, 5.0, f"the proxy did not start; {PROXY_LOG} says why")

    def _reload(self, text: str) -> None:
        before = proxy.told("show info")
        proxy.write(text)
        self._check()
        os.kill(int(PROXY_PID.read_text("ascii")), signal.SIGUSR2)
        number = re.search(r"^Pid: \d+$", before, re.MULTILINE)
        wait_until(
            lambda: proxy.is_up() and (not number or number[0] not in proxy.told("show info").splitlines()),
            5.0,
            f"the proxy did not take its new configuration; {PROXY_LOG} says why",
        )

    def _check(self) -> None:
        done = subprocess.run(
            [self._haproxy(), "-c", "-f", str(proxy.CONFIGURATION)], capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise NotDeployedError(
                f"haproxy refuses {proxy.CONFIGURATION}: {(done.stderr or done.stdout).strip()[:300]}", 2
            )

    def stop_proxy(self) -> None:
        """End the proxy: requests that are under way are answered, then nobody answers."""
        if pid := number_in(PROXY_PID, ("proxy.cfg",)):
            os.kill(pid, signal.SIGUSR1)
            wait_until(lambda: not number_in(PROXY_PID, ("proxy.cfg",)), 70.0, "the proxy did not end")
        PROXY_PID.unlink(missing_ok=True)

    @staticmethod
    def _pid(slot: str) -> Path:
        return proxy.FOLDER / f"{slot}.pid"
