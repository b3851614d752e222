"""Takes the sample out of a service. May import migrations."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from app.chassis.about import project_root

__all__ = ["SampleError", "remove"]

_OPERATIONS = ("list_items", "create_item", "read_item", "replace_item", "delete_item")
_SAMPLE = ("src/app/api/v*/items", "src/app/domains/items", "tests/items", *(f"contract/v*/{o}" for o in _OPERATIONS))
_MEANT = "    # squawk-ignore ban-drop-table -- the sample goes, and nobody asks for its rows\n"


class SampleError(Exception):
    """The sample could not be taken out whole; running the command again goes on."""


def remove() -> Iterator[str]:
    """Delete the sample's folders, then write a revision that drops its table. A second run does what is left to do."""
    root = project_root()
    found = [path for pattern in _SAMPLE for path in sorted(root.glob(pattern))]
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
    revision = Path(done.stdout.strip())
    revision.write_text(
        revision.read_text(encoding="utf-8").replace("    op.drop_table(", f"{_MEANT}    op.drop_table(", 1)
    )
    yield f"wrote {revision.relative_to(root)}; `make migrate` drops the table and its rows"
    for document in sorted(root.glob("contract/v*/openapi.json")):
        document.unlink()
        yield f"removed {document.relative_to(root)}, which `make contract` writes anew"
