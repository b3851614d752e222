"""What a deployment needs of whatever runs the slots, and how a release that runs is told. Standard library only."""

import http.client
import json
from typing import Protocol

from health import ask
from releases import Release


class Driver(Protocol):
    """What runs the slots and the proxy: processes of this machine, or containers."""

    def require(self) -> None:
        """Refuse where a program is missing."""

    def require_same_place(self) -> None:
        """Refuse where what runs is elsewhere than the settings say."""

    def url(self, slot: str) -> str:
        """A slot's address, past the proxy."""

    def build(self, release: Release) -> None:
        """Make of its folder what can be started."""

    def migrate(self, release: Release) -> None:
        """Bring the database to its newest revision."""

    def start(self, slot: str, release: Release) -> None:
        """Start it; who calls waits until it is ready."""

    def stop(self, slot: str) -> None:
        """End what runs there, once it answers nothing any more."""

    def is_running(self, slot: str) -> bool:
        """Whether anything does."""

    def last_words(self) -> str:
        """The last line of the log."""

    def start_proxy(self) -> None:
        """Let the proxy run, with the configuration of this day."""

    def stop_proxy(self) -> None:
        """End it, once it answers nothing any more."""

    def forget(self, name: str) -> None:
        """Remove what it made of a release beside its folder; `name` may be of none."""


def is_ready(url: str, release: Release) -> bool:
    """Whether it is this release, of this deployment, that is ready there."""
    try:
        status, body = ask(f"{url}/readyz", {})
        found = json.loads(body)["data"]
        return status == 200 and (found["deploy_id"], found["version"]) == (release.id, release.version)
    except (OSError, ValueError, KeyError, TypeError, http.client.HTTPException):
        return False


def answer(url: str) -> str:
    """What stands there in place of it, in words."""
    try:
        status, body = ask(f"{url}/readyz", {})
    except (OSError, ValueError, http.client.HTTPException) as error:
        return f"nobody answers ({getattr(error, 'reason', None) or error})"
    return f"{status} {body[:300].decode('utf-8', 'replace')}"
