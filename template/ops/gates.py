"""Whether a release is as good as the one before: asked past the proxy, then watched. Standard library only."""

import http.client
import time
from collections.abc import Callable
from dataclasses import dataclass

from baseline import ENOUGH
from driving import answer, is_ready
from measure import Measure
from probing import probe, probes, status_in
from records import UnreadableError
from releases import NotDeployedError, Release
from scrape import Page, meanwhile, scrape, total
from telling import say

PAUSE_SECONDS, QUIET_SECONDS, WHOLE_SECONDS = 0.25, 1.0, 5.0
TIMES = ("p50", "p95")
IDEAL = Measure(1, 0, None, None, None)


@dataclass(frozen=True)
class Side:
    """A release that runs, and where it is asked, past the proxy."""

    release: Release
    url: str

    def page(self) -> Page | None:
        """Its metrics; None where they are not to be had, also as its folder is no longer whole."""
        try:
            return scrape(self.url, self.release.setting("OPERATIONS_TOKEN", ""))
        except (UnreadableError, NotDeployedError):
            return None


def clients(side: Side, seconds: float, against: Measure = IDEAL) -> Measure:
    """How it answers clients for so long; not as long where nobody asks, or where more fail than of `against`."""
    begun, first, found = time.monotonic(), side.page(), Measure(0, 0, None, None, None)
    while first and (passed := time.monotonic() - begun) < seconds:
        time.sleep(min(PAUSE_SECONDS, seconds - passed))
        last = side.page()
        if not last and not is_ready(side.url, side.release):
            break
        found = Measure.of(total(meanwhile(first, last))) if last else found
        is_quiet = passed > QUIET_SECONDS and not found.requests
        if is_quiet or (found.requests >= ENOUGH and found.worse_than(against, ())):
            break
    return found


def probed(old: Side | None, new: Side) -> tuple[Measure, Measure] | None:
    """Ask both the same, and refuse a release that fails, or is slower; returns both measures.

    Raises:
        NotDeployedError: it is; nobody but us has seen it.
    """
    sides: list[tuple[Measure, Measure]] = []
    try:
        # Where no contract is recorded the one before tells its own, for a broken release may not.
        paths = probes(new.release.folder, new.url) or (probes(new.release.folder, old.url) if old else [])
        if not paths:
            say("not asked: no route is known that wants no argument; probes.txt may name some")
        for path in paths:
            if not _is_whole(path, old, new):
                say(f"not asked: GET {path} has no end within {WHOLE_SECONDS:g} s")
                continue
            after = probe(path, new.url)
            before = probe(path, old.url) if old else IDEAL
            if old and after.worse_than(before):  # or the machine was busy just then: both once more
                before, after = probe(path, old.url), probe(path, new.url)
            if worse := after.worse_than(before):
                raise NotDeployedError(f"GET {path} is worse than before: {'; '.join(worse)}")
            sides.append((before, after))
    except UnreadableError as error:
        say(f"not asked: {error}")
    except (OSError, http.client.HTTPException) as error:
        name = "the release before" if old and not is_ready(old.url, old.release) else "it"
        raise NotDeployedError(f"{name} stopped answering while it was asked ({error})") from None
    if not sides or not old:
        return None
    return _together([one for one, _ in sides]), _together([one for _, one in sides])


def _is_whole(path: str, old: Side | None, new: Side) -> bool:
    """Whether the answer comes to an end, which that of a stream does not; and as one of the same kind as before."""
    was = status_in(path, old.url, WHOLE_SECONDS) if old else 0
    now = status_in(path, new.url, WHOLE_SECONDS) if was is not None else None
    if was and (now is None or was < 400 <= now):
        told = f"answers {now}" if now else f"has no end within {WHOLE_SECONDS:g} s"
        raise NotDeployedError(f"GET {path} answered {was} before, {told} now")
    return now is not None


def _together(measures: list[Measure]) -> Measure:
    """Several paths as one: the slowest counts."""
    worst = [
        max((value for one in measures if (value := getattr(one, name)) is not None), default=None)
        for name in ("p50", "p95", "p99")
    ]
    return Measure(sum(one.requests for one in measures), sum(one.failed for one in measures), *worst)


def watched(
    before: Measure, old: Side, new: Side, seconds: float, to: Callable[[Side], None]
) -> tuple[Measure, Measure]:
    """Watch it answer clients, and refuse it where it is worse than the one before; returns both measures.

    Where it is slower, `to` lets the one before answer again for as long: the machine may be what became slow.

    Raises:
        NotDeployedError: it is worse.
    """
    base = before if before.requests >= ENOUGH else IDEAL
    after = clients(new, seconds, base)
    if not is_ready(new.url, new.release):
        raise NotDeployedError(f"it is no longer ready, once clients ask it: {answer(new.url)}")
    if after.requests < ENOUGH:
        return before, after
    worse = after.worse_than(base, TIMES)
    if worse and not after.worse_than(base, ()):
        to(old)
        before = clients(old, seconds, after)
        worse = after.worse_than(before, TIMES) if before.requests >= ENOUGH else worse
        if not worse:
            to(new)
            after = clients(new, seconds, before)
            worse = after.worse_than(before, ())
    if worse:
        raise NotDeployedError(f"clients got worse answers: {'; '.join(worse)}")
    return before, after
