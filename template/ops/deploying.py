"""Deploy, roll back, start again after the machine was down. Standard library only."""

import fcntl
import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress

import proxy
import releases
from baseline import ENOUGH
from driving import is_ready
from gates import Side, clients, probed, watched
from proxy import FOLDER
from records import now, who
from releases import NotDeployedError, Release
from slots import State
from switching import Switching
from telling import say, step
from wayback import note, noted, verdict

LOCK = FOLDER / ".lock"
SHORT = re.compile(r"[0-9a-f]{7,64}")  # a commit, or as much of one as git shows


@contextmanager
def alone() -> Iterator[None]:
    """Nobody else deploys this service meanwhile; the lock ends with the process.

    Raises:
        NotDeployedError: somebody does.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with LOCK.open("a+", encoding="utf-8") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise NotDeployedError(
                f"{file.read() or 'another deployment is under way'}; expected its end first"
            ) from None
        file.truncate(0)
        with suppress(OSError):  # of a full disk is told by who needs room
            os.write(
                file.fileno(), f"somebody deploys or rolls back since {now()}: {who()}, process {os.getpid()}".encode()
            )
        yield
        file.truncate(0)


def deploy(all_of_it: Switching, watch_seconds: float, *, anyway: bool) -> None:
    """Put the commit that is checked out in the place of what runs.

    Raises:
        NotDeployedError: it was refused, and all is as it was.
    """
    driver, state = all_of_it.driver, all_of_it.state
    releases.require_room()
    release, slot = releases.of_head(), state.spare
    old = _active(all_of_it)
    if old:
        require_way_back(old.release, release, anyway=anyway)
    driver.start_proxy()
    before = step("measure", "what clients get now", lambda: clients(old, watch_seconds)) if old else None
    with all_of_it.work("deploy", slot, release) as sides:
        step("unpack", release.told, lambda: releases.unpack(release))
        step("build", "its environment", lambda: driver.build(release))
        step("migrate", "the database", lambda: (note(release.commit), driver.migrate(release)))
        step("start", f"in {slot}", lambda: all_of_it.bring_up(slot, release))
        new = Side(release, driver.url(slot))
        asked = step("ask", "both, past the proxy" if old else "it, past the proxy", lambda: probed(old, new))
        to = {new.url: (slot, release)} | ({old.url: (state.active or slot, old.release)} if old else {})
        step("switch", f"to {slot}", lambda: all_of_it.switch(slot, release))
        sides.extend(asked or ())
        if old and before:
            watch = step(
                "watch",
                "what clients get now",
                lambda: watched(before, old, new, watch_seconds, lambda side: all_of_it.switch(*to[side.url])),
            )
            sides[:] = watch if min(one.requests for one in watch) >= ENOUGH else sides
    say(f"deployed: {release.told} gets the requests")


def rollback(all_of_it: Switching, to: str | None, reason: str | None, *, anyway: bool) -> None:
    """Bring back the last good release, or the one that is named: warm if it still runs, else from its folder.

    Raises:
        NotDeployedError: there is none, or it does not come up; all is as it was.
    """
    driver, state = all_of_it.driver, all_of_it.state
    release, left, was = target(state, to), state.of(state.active), state.active
    slot = next((name for name, held in state.slots.items() if held == release.id), state.spare)
    if slot == was:
        raise NotDeployedError(f"{release.told} gets the requests already; expected another", 2)
    if left:
        require_way_back(release, left, anyway=anyway, migrated=noted())
    driver.start_proxy()
    with all_of_it.work("rollback", slot, release, reason):
        if not is_ready(driver.url(slot), release):
            step("start", f"in {slot}", lambda: all_of_it.bring_up(slot, release))
        step("switch", f"to {slot}", lambda: all_of_it.switch(slot, release))
    say(f"rolled back: {release.told} gets the requests")
    if was:  # what was left may do harm
        driver.stop(was)
        state.slots[was] = None
        all_of_it.keep()


def target(state: State, to: str | None) -> Release:
    """What a rollback brings back.

    Raises:
        NotDeployedError: there is nothing, or not that.
    """
    if to is None:
        if len(state.good) < 2:
            raise NotDeployedError("nothing to roll back to; expected a good release before the one that runs", 2)
        return state.releases[state.good[-2]]
    found = [
        one
        for one in state.releases.values()
        if to in (one.id, one.version) or (SHORT.fullmatch(to) and one.commit.startswith(to))
    ]
    if not found:
        names = ", ".join(one.told for one in state.releases.values()) or "none"
        raise NotDeployedError(f"{to!r} is not kept here; expected one of: {names}", 2)
    return found[-1]


def require_way_back(older: Release, newer: Release, *, anyway: bool, migrated: Iterable[str] = ()) -> None:
    """Say whether `older` can serve what `newer` migrated, and refuse where it cannot.

    Raises:
        NotDeployedError: it cannot, and it is not to be done anyway.
    """
    is_safe, lines = verdict(older.commit, newer.commit, older.version, migrated)
    say("\n".join(lines))
    names = (older.version, newer.version) if older.version != newer.version else (older.told, newer.told)
    if is_safe is False and not anyway:
        raise NotDeployedError(
            f"{names[0]} could not serve the database that {names[1]} migrates; expected revisions that "
            "only add: take away in a release of its own, once nothing uses it; to do it: ARGS=--anyway (--anyway)"
        )


def up(all_of_it: Switching) -> None:
    """Let run what ran when the machine went down.

    Raises:
        NotDeployedError: nothing was deployed, or it does not come up.
    """
    driver, slot = all_of_it.driver, all_of_it.state.active
    release = all_of_it.state.of(slot)
    if not (slot and release):
        raise NotDeployedError("nothing was deployed here; expected `make deploy` before", 2)
    if not is_ready(driver.url(slot), release):
        step("start", f"in {slot}", lambda: all_of_it.bring_up(slot, release))
    driver.start_proxy()
    step("switch", f"to {slot}", lambda: all_of_it.switch(slot, release))
    say(f"started: {release.told} gets the requests")


def down(all_of_it: Switching, *, forget: bool) -> None:
    """Stop the proxy, then both slots; `up` brings back what is deployed, unless it is to be forgotten."""
    all_of_it.driver.stop_proxy()
    for slot in all_of_it.state.slots:
        all_of_it.driver.stop(slot)
    if forget:
        proxy.serve_only(None)
        State().save()
        releases.remove_all_but((), all_of_it.driver.forget)
    say("stopped: proxy and slots")


def _active(all_of_it: Switching) -> Side | None:
    """The release that gets the requests, if it is ready."""
    slot, release = all_of_it.state.active, all_of_it.state.of(all_of_it.state.active)
    if not (slot and release):
        return None
    side = Side(release, all_of_it.driver.url(slot))
    return side if is_ready(side.url, release) else None
