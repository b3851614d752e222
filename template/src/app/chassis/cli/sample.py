"""Takes the sample out of a service. May import migrations."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from app.chassis.about import project_root

__all__ = ["remove"]

_SAMPLE = ("src/app/api/v1/items", "src/app/domains/items", "tests/items", "contract/v1/items")


def remove() -> Iterator[str]:
    """Delete the sample's folders, then write a revision that drops its table. Does nothing the second time."""
    root = project_root()
    found = [root / path for path in _SAMPLE if (root / path).exists()]
    for path in found:
        shutil.rmtree(path)
        yield f"removed {path.relative_to(root)}"
    if not found:
        yield "the sample is already gone"
        return
    # A new process: this one still holds the sample's models.
    command = [sys.executable, "-m", "app", "migration", "remove sample"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603  # our own program
    yield f"wrote {Path(done.stdout.strip()).relative_to(root)}; `make migrate` drops the table and its rows"
