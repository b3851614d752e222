"""What is asked of each service of a fleet: to be shown, or to be updated. Each answer is a row of the report."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fleet_list import Service
from fleet_service import Held, Workshop
from fleet_template import NotToldError

Row = dict[str, Any]
SEEN = ("changed", "conflicts", "losses", "lock", "drift", "ejected", "settings_added", "settings_removed")
# What an update has once its commit is made; what follows can be done again.
MADE = ("from", "to", "branch", "commit", *SEEN)


@dataclass(frozen=True)
class Wish:
    """How services are updated: the targets that must pass, whether work may be lost, where outputs of gates go."""

    gates: Sequence[str]
    anyway: bool
    logs: Path


def untold(service: Service, why: str) -> Row:
    """The row of a service of which nothing is known."""
    row: Row = {"service": service.name, "path": str(service.path), "from": "", "to": "", "behind": None}
    row |= {"branch": "", "drift": None, "ejected": {}, "changed": None, "conflicts": None, "losses": None}
    return row | {"gates": None, "failed": why}


def shown(shop: Workshop, service: Service, gates: Sequence[str]) -> Row:
    """What a service has, what an update would do to it, and which gates fail; `failed` says what cannot be told."""
    row = untold(service, "")
    try:
        held = shop.held(service.path)
        behind = held.behind
        row |= {"from": held.version, "to": behind[-1] if behind else held.version, "behind": len(behind)}
        drift = shop.ops("drift.py", service.path, service, held, "--json")
        row |= {"drift": [{name: one[name] for name in ("path", "what")} for one in drift["drift"]]}
        row |= {"ejected": drift["ejected"]}
        nothing: Row = {"branch": "", "changed": [], "conflicts": [], "losses": []}
        told = shop.ops("update.py", service.path, service, held, "--dry-run", "--json") if behind else None
        row |= {name: (told or nothing)[name] for name in nothing}
        if gates:
            with shop.worktree(service, held) as tree:
                log = shop.scratch / f"{service.key}.log"
                row["gates"] = [found for target in gates if (found := shop.gate(target, tree, log))]
    except (NotToldError, OSError) as error:
        row["failed"] = str(error)
    return row


def unknown(service: Service, why: str) -> Row:
    """The row of an update that was not done."""
    row: Row = {"service": service.name, "path": str(service.path), "state": "failed", "from": "", "to": ""}
    row |= {"branch": "", "commit": "", "changed": [], "conflicts": [], "losses": [], "lock": "", "gate": None}
    row |= {"drift": [], "ejected": [], "settings_added": [], "settings_removed": [], "notes": []}
    return row | {"seconds": 0.0, "failed": why}


def left(service: Service) -> Row:
    """The row of an update that an interrupted run did not come to, or did not end."""
    return unknown(service, "") | {"state": "left"}


def updated(shop: Workshop, service: Service, wish: Wish, made: Row | None, note: Callable[[Row], None]) -> Row:
    """Update a service on a branch and run its gates; `note` is told of the commit before the branch is made.

    `made` is what an earlier try told `note`. The row's `state`: good; newest or there, nothing was to be done;
    conflict, lock, lost or gate, somebody has to look; failed, it was not done.
    """
    row, began = unknown(service, ""), time.monotonic()
    try:
        held = shop.held(service.path)
        row["from"] = held.version
        if made and shop.git(service.path, "cat-file", "-t", made["commit"], is_asked=True) != "commit":
            made = None
        if made or held.behind:
            with shop.worktree(service, held) as tree:
                row["state"] = _updated(shop, service, held, tree, wish, made, row, note)
            row["notes"] = held.template.notes_between(row["from"], row["to"])
        else:
            row |= {"state": "newest", "to": held.version}
    except (NotToldError, OSError) as error:
        row |= {"state": "failed", "failed": str(error)}
    return row | {"seconds": round(time.monotonic() - began, 1)}


def _updated(
    shop: Workshop, service: Service, held: Held, tree: Path, wish: Wish, made: Row | None, row: Row,
    note: Callable[[Row], None],
) -> str:  # fmt: skip
    """Fill the row; returns the state."""
    if made:
        row |= made
    else:
        told = shop.ops("update_scratch.py", tree, service, held, *(["--anyway"] if wish.anyway else []))
        if told is None:
            row["to"] = held.version
            return "newest"
        row |= {"to": told["after"], "branch": told["branch"], "commit": told["commit"]}
        if told["is_there"]:
            return "there"
        row |= {name: told[name] for name in SEEN}
        if not row["commit"]:
            return "lost"
        note({name: row[name] for name in MADE})
    there = shop.git(service.path, "for-each-ref", "--format=%(objectname)", f"refs/heads/{row['branch']}")
    if not there:
        shop.git(service.path, "branch", "--no-track", row["branch"], row["commit"])
    elif there != row["commit"]:  # somebody worked on it, or made it, since the run was interrupted
        row |= {name: unknown(service, "")[name] for name in SEEN}
        row["commit"] = there
        return "there"
    if row["conflicts"] or row["lock"]:
        return "conflict" if row["conflicts"] else "lock"
    shop.git(tree, "checkout", "--quiet", "--detach", row["commit"])
    log = wish.logs / f"{service.key}.log"
    log.unlink(missing_ok=True)
    gate = next((found for target in wish.gates if (found := shop.gate(target, tree, log))), None)
    row["gate"] = gate and gate | {"log": f"{wish.logs.name}/{log.name}"}
    return "gate" if gate else "good"
