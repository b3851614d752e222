"""Takes the sample out of a service. May import migrations."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from app.chassis.about import project_root

__all__ = ["SampleError", "remove"]

_SAMPLE = ("src/app/api/v1/items", "src/app/domains/items", "tests/items", "contract/v1/items")


class SampleError(Exception):
    """The sample could not be taken out whole; running the command again goes on."""


def remove() -> Iterator[str]:
    """Delete the sample's folders, then write a revision that drops its table. A second run does what is left to do."""
    root = project_root()
    found = [root / path for path in _SAMPLE if (root / path).exists()]
    for path in found:
        shutil.rmtree(path)
        yield f"removed {path.relative_to(root)}"
    versions = root / "migrations/versions"
    if not any(versions.glob("*_create_items.py")) or any(versions.glob("*_remove_sample.py")):
        if not found:
            yield "the sample is already gone"
        return
    # A new process: this one may still hold the sample's models.
    command = [sys.executable, "-m", "app", "migration", "remove sample"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    if done.returncode:
        raise SampleError(f"the table's revision was not written:\n{done.stderr.strip()[-2000:]}")
    yield f"wrote {Path(done.stdout.strip()).relative_to(root)}; `make migrate` drops the table and its rows"
