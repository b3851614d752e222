"""What a deployment and a rollback have in common: a release brought up, requests moved, work recorded or taken back.

What is under way stands in the state before it is done, and its line in the record makes it done: whoever comes after a
crash finds the line and goes on, or does not and takes it back. Standard library only.
"""

import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import proxy
import releases
from deploys import Deploy, add, deploys
from driving import Driver, answer, is_ready
from health import default_url
from measure import Measure
from programs import end_left
from records import now, who
from releases import NotDeployedError, Release, moment
from slots import State, Work
from telling import say

DONE = {"deploy": "ok", "rollback": "rolled_back"}
READY_SECONDS, SWITCH_SECONDS, PAUSE_SECONDS = 60.0, 5.0, 0.05
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Switching:
    """The two slots, what they hold, and what is under way."""

    def __init__(self, driver: Driver, state: State, command: str) -> None:
        """`command` is what the record says that was run."""
        self.driver, self.state, self.command = driver, state, command

    @contextmanager
    def work(self, verb: str, slot: str, release: Release, reason: str | None = None) -> Iterator[list[Measure]]:
        """What is done inside is recorded and stands; or fails, is recorded too, and is taken back.

        Who does it appends a measure of before and one of after. A rollback is told of the release that it leaves.
        """
        told = release if verb == "deploy" else self.state.of(self.state.active) or release
        name = release.id if verb == "deploy" else f"{moment()}-back"
        work = Work(name, verb, slot, release.id, self.command, told.version, told.commit)
        self.state.releases.setdefault(release.id, release)
        self.state.work = work
        begun, sides = time.monotonic(), list[Measure]()
        try:
            self.state.save()
            yield sides
            unstoppable()  # what is recorded stands
            words = reason or (None if verb == "deploy" else f"{release.version} was brought back")
            _record(work, DONE[verb], words, time.monotonic() - begun, *sides)
        except BaseException as error:
            is_refused = isinstance(error, NotDeployedError) and verb == "deploy"
            result = "failed" if not is_refused else "rolled_back" if proxy.serving() == slot else "refused"
            self.requests_back()
            with suppress(OSError):  # of a full disk the error itself tells
                _record(work, result, str(error) or "interrupted", time.monotonic() - begun)
            self.take_back(work)
            raise
        self.accept(work)

    def accept(self, work: Work) -> None:
        """Make it what stands."""
        good = self.state.good
        good = [*good[: good.index(work.release)], work.release] if work.release in good else [*good, work.release]
        self.state.slots[work.slot] = work.release
        self.state.now_active(work.slot, good)
        self.keep()
        releases.remove_all_but(self.state.releases, self.driver.forget)

    def keep(self) -> None:
        """Save what stands since it was recorded; where that cannot be, the next command does it from the record."""
        try:
            self.state.save()
        except OSError as error:
            say(f"done, but the next command has to settle it: {error}")

    def take_back(self, work: Work) -> None:
        """Make it as it was: requests to the slot that had them, and in the other what ran there."""
        self.requests_back()
        kept = self.state.of(work.slot)
        if not (kept and is_ready(self.driver.url(work.slot), kept)):
            self.driver.stop(work.slot)
            if kept:
                try:
                    self.bring_up(work.slot, kept)
                except NotDeployedError as error:
                    self.state.slots[work.slot] = None
                    say(f"{kept.told} is no longer warm: {error}")
        self.state.as_before()
        self._revive()
        self.state.save()
        releases.remove_all_but(self.state.releases, self.driver.forget)

    def _revive(self) -> None:
        """Let what has the requests answer them, where it or the proxy was killed meanwhile."""
        slot, release = self.state.active, self.state.of(self.state.active)
        if not (slot and release) or is_ready(default_url().removesuffix("/readyz"), release):
            return
        try:
            if not is_ready(self.driver.url(slot), release) and not self.driver.is_running(slot):
                self.bring_up(slot, release)
            self.driver.start_proxy()
        except NotDeployedError as error:
            say(f"{release.told} does not answer, and cannot be started again: {error}")

    def requests_back(self) -> None:
        """Let the slot that stands have the requests; nothing interrupts what follows."""
        unstoppable()
        proxy.serve_only(self.state.active)
        if not self.state.active:
            self.driver.stop_proxy()

    def recover(self) -> None:
        """Bring what a crash left half done to an end: forwards if it is in the record, else back."""
        work = self.state.work
        if not work:
            return
        before = [signal.getsignal(each) for each in ENDS]
        unstoppable()
        end_left()
        self._settle(work)
        for each, handler in zip(ENDS, before, strict=True):
            signal.signal(each, handler)

    def _settle(self, work: Work) -> None:
        results = [one.result for one in deploys() if one.id == work.id]
        if DONE[work.verb] in results:
            self.accept(work)
            say(f"recovered: the {work.verb} {work.id} was done, but for its last step")
            return
        reason = f"the {work.verb} was ended half way, and is taken back"
        if not results:
            _record(work, "failed", reason, None)
        self.take_back(work)
        say(f"recovered: {reason}")

    def bring_up(self, slot: str, release: Release) -> None:
        """Start a release in a slot and wait until it is ready, as itself.

        Raises:
            NotDeployedError: it does not become ready.
        """
        self.driver.stop(slot)
        self.driver.start(slot, release)
        until, seen = time.monotonic() + READY_SECONDS, ""
        while not is_ready(self.driver.url(slot), release):
            if not self.driver.is_running(slot) and time.monotonic() > until - READY_SECONDS + 1:
                raise NotDeployedError(f"it ended at its start: {self.driver.last_words()}")
            if time.monotonic() > until:
                seen = answer(self.driver.url(slot))
                raise NotDeployedError(f"it was not ready within {READY_SECONDS:g} s: {seen}")
            time.sleep(PAUSE_SECONDS)

    def switch(self, slot: str, release: Release) -> None:
        """Move the requests to a slot, and see that they arrive there.

        Raises:
            NotDeployedError: they do not.
        """
        proxy.serve_only(slot)
        until = time.monotonic() + SWITCH_SECONDS
        while not is_ready(default_url().removesuffix("/readyz"), release):
            if time.monotonic() > until:
                raise NotDeployedError(f"requests do not arrive at it: {answer(default_url().removesuffix('/readyz'))}")
            time.sleep(PAUSE_SECONDS)


def unstoppable() -> None:
    """Nothing interrupts what follows, nor the programs that it runs."""
    sys.unraisablehook = lambda _: None  # Python would tell of a signal that came a moment before
    for each in ENDS:
        signal.signal(each, signal.SIG_IGN)


def _record(work: Work, result: str, reason: str | None, seconds: float | None, *sides: Measure) -> None:
    before, after = sides or (None, None)
    seconds = None if seconds is None else round(seconds, 3)
    add(Deploy(now(), who(), work.version, work.commit, work.command, result, reason, seconds, before, after, work.id))
