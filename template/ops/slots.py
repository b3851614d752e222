"""The two slots: which release each holds, which one gets the requests, what is under way. Standard library only."""

import json
import os
import re
from contextlib import suppress
from dataclasses import asdict, dataclass, field

from proxy import FOLDER, SLOTS, serving
from records import UnreadableError, text_of
from releases import Release

FILE = FOLDER / "state.json"
KEEP = 5
NAME = re.compile(r"\d{8}T[\w.-]+")  # of a release, and of its folder
EXPECTED = (
    "expected it whole: put a copy back, or stop and forget what runs (python3 ops/deploy.py down --forget), and deploy"
)


@dataclass(frozen=True)
class Work:
    """What is under way: which release comes into which slot, and what its line in the record will say."""

    id: str
    verb: str
    slot: str
    release: str
    command: str
    version: str
    commit: str


@dataclass
class State:
    """What stands when nothing is under way.

    `good` are ids, the newest last: the last is active, the one before it is what a rollback brings back.
    """

    active: str | None = None
    slots: dict[str, str | None] = field(default_factory=lambda: dict.fromkeys(SLOTS))
    releases: dict[str, Release] = field(default_factory=dict)
    good: list[str] = field(default_factory=list)
    work: Work | None = None

    @property
    def spare(self) -> str:
        """The slot that gets no requests."""
        return next(slot for slot in SLOTS if slot != self.active)

    def of(self, slot: str | None) -> Release | None:
        """The release in a slot."""
        held = self.slots.get(slot) if slot else None
        return self.releases[held] if held else None

    def now_active(self, slot: str | None, good: list[str]) -> None:
        """Requests go to `slot` from now on; what is neither in a slot nor among the last good ones is forgotten."""
        self.active, self.good, self.work = slot, good[-KEEP:], None
        self.releases = {name: one for name, one in self.releases.items() if name in {*self.good, *self.slots.values()}}

    def as_before(self) -> None:
        """Nothing is under way any more; a release that was to be deployed is forgotten, and no other."""
        if self.work and self.work.verb == "deploy":
            self.releases.pop(self.work.release, None)
        self.work = None

    def save(self) -> None:
        """Write it, whole or not at all.

        Raises:
            OSError: it cannot be written.
        """
        if self == State():  # nothing was ever deployed
            FILE.unlink(missing_ok=True)
            return
        FOLDER.mkdir(parents=True, exist_ok=True)
        partial = FILE.with_suffix(".partial")
        try:
            with partial.open("w", encoding="utf-8") as file:
                json.dump(asdict(self), file, indent=2)
                file.flush()
                os.fsync(file.fileno())
            partial.replace(FILE)
        except OSError as error:
            with suppress(OSError):
                partial.unlink()
            raise OSError(error.errno, error.strerror, str(FILE)) from None


def load() -> State:
    """What was saved; a new one where nothing was.

    Raises:
        UnreadableError: it is no state.
        OSError: it cannot be read.
    """
    if not FILE.exists():
        if slot := serving():
            raise UnreadableError(FILE, f"is gone, and the proxy sends requests to {slot}; {EXPECTED}")
        return State()
    try:
        found = json.loads(text_of(FILE))
        releases = {name: Release(**one) for name, one in found["releases"].items()}
        work = Work(**found["work"]) if found["work"] else None
        state = State(found["active"], dict(found["slots"]), releases, list(found["good"]), work)
        named = {*state.good, *filter(None, state.slots.values()), *([work.release] if work else [])}
        members = [*releases, *(each for one in [*releases.values(), work] if one for each in vars(one).values())]
        is_whole = all(isinstance(each, str) for each in members) and all(map(NAME.fullmatch, releases))
        if state.active not in (None, *SLOTS) or set(state.slots) != set(SLOTS) or not named <= releases.keys():
            is_whole = False
        if not is_whole or any(name != one.id for name, one in releases.items()):
            raise ValueError("it names what is not there")  # noqa: TRY301  # told as the other faults
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise UnreadableError(FILE, f"is not what `make deploy` wrote ({error}); {EXPECTED}") from None
    return state
