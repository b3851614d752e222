"""ops/update_scratch.py for the fleet, which besides says what it needs not render anew to know. Needs Copier.

Its line of JSON has `drift`, the files of ours that the team had edited, and the settings that come and go.
"""

import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "template" / "ops"))

import foresight
import update_proposal
import update_scratch
from drift import drifts
from remains import settings_of
from rendering import ended, rendered

_seen: list[list[dict[str, str]]] = []


@dataclass(frozen=True)
class Proposal(update_proposal.Proposal):
    """What is to be done besides, once the branch is merged."""

    drift: tuple[dict[str, str], ...] = ()
    settings_added: tuple[str, ...] = ()
    settings_removed: tuple[str, ...] = ()


@contextmanager
def compared(answers: dict[str, Any], features: list[str]) -> Iterator[Path]:
    """The render that the update is compared with; the first is that of the release the service has."""
    with rendered(answers, features) as fresh:
        if not _seen:
            ejected: Mapping[str, str] = answers.get("ejected") or {}
            found = (one for one in drifts(fresh) if one.path not in ejected)
            _seen.append([{"path": one.path, "what": one.what} for one in found])
        yield fresh


def proposed(branch: str, before: str, after: str) -> Proposal:
    """The update, staged, with what it means besides."""
    was = settings_of(Path())
    found = vars(update_proposal.proposed(branch, before, after))
    now = settings_of(Path())
    settings = {"settings_added": tuple(sorted(now - was)), "settings_removed": tuple(sorted(was - now))}
    return Proposal(**{**found, **settings, "drift": tuple(*_seen)})


if __name__ == "__main__":
    foresight.rendered, update_scratch.proposed = compared, proposed
    sys.exit(ended(update_scratch.main))
