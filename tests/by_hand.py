"""What the notes of releases tell a team to do by hand, done to the sample of an older release."""

import json
import re
from pathlib import Path

from conftest import make
from grown import Step, replaced

ROUTES = "src/app/api/v1/items/routes.py"
SERVICE = "src/app/domains/items/service.py"
TAKEN, MISSING, CHANGED = "item_name_taken", "item_not_found", "item_changed"
FAILURES = {"post": (TAKEN,), "get": (MISSING,), "put": (MISSING, CHANGED, TAKEN), "delete": (MISSING, CHANGED)}
NAME_TAKEN = """

def _name_taken() -> ItemNameTakenError:
    return ItemNameTakenError("another item has that name", expected="a name no other item has")
"""
NUMBER = 'sa.BigInteger().with_variant(sa.Integer(), "sqlite")'


def declared(service: Path) -> None:
    """Each route that fails says with which codes."""
    text = (service / ROUTES).read_text()
    for method, codes in FAILURES.items():
        path = '""' if method == "post" else '"/{item_id}"'
        told = f"responses=fails_with({', '.join(map(json.dumps, codes))})"
        text, count = re.subn(rf"(@router\.{method}\({path}, [^\n]*)\)\n", rf"\1, {told})\n", text)
        assert count == 1, method
    (service / ROUTES).write_text(text.replace("Write\n", "Write, fails_with\n", 1))


def recorded(service: Path) -> None:
    """What clients rely on is written down."""
    done = make(service, "contract")
    assert done.returncode == 0, done.stderr


def raised(service: Path) -> None:
    """The error of a unique key is the team's own on both engines."""
    for call in ("add(work, item)", "save(work)"):
        held = f'    with when_violated("uq_items_name", _name_taken):\n        await queries.{call}\n'
        replaced(SERVICE, f"    await queries.{call}\n", held)(service)
    replaced(SERVICE, "import ReadWork, WriteWork\n", "import ReadWork, WriteWork, when_violated\n")(service)
    with (service / SERVICE).open("a") as file:
        file.write(NAME_TAKEN)


def widened(service: Path) -> None:
    """Columns of whole numbers are as wide on PostgreSQL as the models say."""
    for path in (service / "migrations/versions").glob("*.py"):
        path.write_text(path.read_text().replace(", sa.Integer(),", f", {NUMBER},"))


def formatted(service: Path) -> None:
    """As the team's own formatter leaves it."""
    assert make(service, "format").returncode == 0


# Release, how its note begins, and what a team does; None where no file of the team's changes.
STEPS: dict[tuple[str, str], Step | None] = {
    ("0.2.0", "Add `responses=fails_with(…)`"): declared,
    ("0.2.0", "Record the contracts that are out"): recorded,
    ("0.3.0", "Errors of a unique key"): raised,
    ("0.3.0", "Write `sa.BigInteger().with_variant("): widened,
    ("0.6.0", "With `ci` github: allow Actions"): None,
    ("0.7.0", "CI runs `make drift` now"): None,
}
