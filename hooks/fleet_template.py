"""The templates a fleet was made from: each is asked once for its releases, and a remote one fetched once.

Copier keeps one copy of a remote template for all that run, and two that bring it up to date at once fail at each
other's locks. So every service gets a cache of its own, filled from a mirror on this machine. Standard library only.
"""

import re
import threading
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

from fleet_programs import Programs, TookTooLongError

NOTES = "docs/releases.toml"
_HOSTS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}
_RELEASE = re.compile(r"v?(\d+(?:\.\d+)*)")
_PASSWORD = re.compile(r"://[^/@\s]*@")


class NotToldError(Exception):
    """What was found, and what was expected."""


@dataclass(frozen=True)
class Template:
    """A template that can be reached: its releases from the oldest to the newest, and what lets git find it here.

    `notes` are what it says of them, None where that cannot be had.
    """

    releases: tuple[str, ...]
    settings: tuple[tuple[str, str], ...] = ()
    notes: tuple[dict[str, Any], ...] | None = None

    def newer_than(self, version: str) -> tuple[str, ...]:
        """The releases after a version."""
        return tuple(one for one in self.releases if order(one) > order(version))

    def notes_between(self, before: str, after: str) -> list[dict[str, Any]] | None:
        """What it says of the releases after one, up to another."""
        if self.notes is None:
            return None
        return [one for one in self.notes if order(before) < order(one["version"]) <= order(after)]

    def environment(self, base: Mapping[str, str], cache: Path) -> dict[str, str]:
        """Variables for Copier and git."""
        return configured(base, *self.settings) | ({"COPIER_CACHE_DIR": str(cache)} if self.settings else {})


def configured(base: Mapping[str, str], *settings: tuple[str, str]) -> dict[str, str]:
    """The same environment, in which git has these settings, too."""
    count = int(base.get("GIT_CONFIG_COUNT") or 0)
    told = {"GIT_CONFIG_COUNT": str(count + len(settings))}
    for number, (name, value) in enumerate(settings, count):
        told |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    return dict(base) | told


def order(version: str) -> tuple[int, ...]:
    """Compare versions by their numbers; what is none comes first."""
    found = _RELEASE.match(version)
    numbers = tuple(map(int, found[1].split("."))) if found else (0,)
    return (*numbers, *(0,) * (3 - len(numbers)))


def releases_of(listed: str) -> tuple[str, ...]:
    """The releases that `git ls-remote --tags` lists, without what comes before a release."""
    tags = (line.partition("refs/tags/")[2] for line in listed.splitlines())
    return tuple(sorted({found[1] for tag in tags if (found := _RELEASE.fullmatch(tag))}, key=order))


def notes_of(text: str) -> tuple[dict[str, Any], ...] | None:
    """What a list of releases says of each: what a service sees, and what its team does by hand."""
    try:
        return tuple(
            {"version": str(row["version"]), "sees": _lines(row, "sees"), "manual": _lines(row, "manual")}
            for row in tomllib.loads(text)["release"]
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None


def _lines(row: Mapping[str, Any], name: str) -> list[str]:
    found = row.get(name, [])
    return [found] if isinstance(found, str) else [str(one) for one in found]


class Templates:
    """What is known of each template, by the address that services have of it."""

    def __init__(self, programs: Programs, environment: Mapping[str, str], folder: Path) -> None:
        """Mirrors lie in `folder`."""
        self._programs, self._environment, self._folder = programs, environment, folder
        self._known: dict[str, Template | NotToldError] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def at(self, source: str) -> Template:
        """Return the template at an address.

        Raises:
            NotToldError: it cannot be reached, or has no releases.
        """
        with self._lock:
            lock = self._locks.setdefault(source, threading.Lock())
        with lock:
            if source not in self._known:
                try:
                    self._known[source] = self._asked(source)
                except NotToldError as error:
                    self._known[source] = error
        found = self._known[source]
        if isinstance(found, NotToldError):
            raise found
        return found

    def _asked(self, source: str) -> Template:
        address = source.removeprefix("git+")
        for short, host in _HOSTS.items():
            address = address.replace(short, host, 1) if address.startswith(short) else address
        is_here = Path(address).expanduser().exists()
        if not is_here and not re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|[^/\s]+@[^/\s]+:|/|~", address):
            raise NotToldError(f"_src_path {source!r} begins nowhere; expected an absolute path or a URL")
        if is_here and not Path(address).expanduser().is_absolute():
            raise NotToldError(f"_src_path {source!r} is relative; expected an absolute path or a URL")
        settings, place = (), str(Path(address).expanduser())
        if not is_here:
            mirror = self._folder / f"{sha256(source.encode()).hexdigest()[:16]}.git"
            self._git("clone", "--quiet", "--mirror", "--", address, str(mirror))
            settings = ((f"url.{mirror.with_suffix('').as_uri()}.insteadOf", address.removesuffix(".git")),)
            place = str(mirror)
        releases = releases_of(self._git("ls-remote", "--tags", "--refs", "--", place))
        if not releases:
            raise NotToldError("its template has no release; expected tags such as v1.2.0")
        return Template(releases, settings, self._notes(Path(place), releases[-1]))

    def _notes(self, place: Path, newest: str) -> tuple[dict[str, Any], ...] | None:
        for tag in (f"v{newest}", newest):
            command = ["git", "cat-file", "blob", f"refs/tags/{tag}:{NOTES}"]
            try:
                done = self._programs.run(command, place, self._environment)
            except (TookTooLongError, OSError):  # it may be a file, a bundle
                return None
            if not done.code:
                return notes_of(done.out)
        return None

    def _git(self, *arguments: str) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        try:
            done = self._programs.run(["git", *arguments], self._folder, self._environment)
        except TookTooLongError as error:
            raise NotToldError(f"its template does not answer: {error}") from None
        if done.code:
            lines = [line for line in done.err.splitlines() if line.startswith(("fatal:", "error:"))] or [done.err]
            words = _PASSWORD.sub("://…@", lines[0].strip())
            raise NotToldError(f"its template cannot be reached: {words}; expected it at _src_path")
        return done.out
