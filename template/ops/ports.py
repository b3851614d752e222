"""Where clients ask and where each slot is asked past the proxy, whatever runs them. Standard library only."""

from health import default_url
from programs import is_free
from proxy import SLOTS
from releases import NotDeployedError
from settings import setting


class Ports:
    """The port of the proxy, and one for each slot on this machine."""

    def __init__(self) -> None:
        """Raises NotDeployedError where the settings cannot be used."""
        port = int(default_url().removesuffix("/readyz").rpartition(":")[2])
        self.bind = (setting("HOST", "127.0.0.1"), port)
        given = setting("DEPLOY_PORTS", f"{port + 1},{port + 2}")
        parts = [part.strip() for part in given.split(",")]
        if (
            len(parts) != 2
            or not all(part.isdigit() and 0 < int(part) < 65536 for part in parts)
            or len({*parts, str(port)}) < 3
        ):
            raise NotDeployedError(
                f"DEPLOY_PORTS: {given!r} cannot be used; expected two ports, none of them PORT ({port}), "
                f"such as {port + 1},{port + 2}",
                2,
            )
        self.ports = dict(zip(SLOTS, map(int, parts), strict=True))

    def url(self, slot: str) -> str:
        """A slot's address, past the proxy."""
        return f"http://127.0.0.1:{self.ports[slot]}"

    def require_same_place(self) -> None:
        """Nothing to refuse: who runs the slots moves them with their ports."""

    def require_free(self, slot: str) -> None:
        """Refuse to start what could not listen.

        Raises:
            NotDeployedError: another program has the slot's port.
        """
        if not is_free("127.0.0.1", self.ports[slot]):
            raise NotDeployedError(
                f"port {self.ports[slot]} is taken; expected it free for {slot}: DEPLOY_PORTS names others"
            )

    def require_free_proxy(self, host: str) -> None:
        """Refuse to start a proxy that could not listen there.

        Raises:
            NotDeployedError: another program has its port.
        """
        if not is_free(host, self.bind[1]):
            raise NotDeployedError(
                f"port {self.bind[1]} is taken by another program; expected it free for the proxy: "
                "a service that runs alone is stopped by python3 ops/process.py stop"
            )
