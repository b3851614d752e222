"""Takes samples out of a service. May import migrations."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from app.chassis.about import project_root

__all__ = ["SAMPLES", "SampleError", "remove"]

SAMPLES = {
    "items": ("list_items", "create_item", "read_item", "replace_item", "delete_item"),
    "accounts": ("create_account", "read_own_account", "create_token", "renew_token", "end_token"),
}
"""Each sample and its operations."""
_MEANT = "    # squawk-ignore ban-drop-table -- the sample goes, and nobody asks for its rows\n"


class SampleError(Exception):
    """The sample could not be taken out whole; running the command again goes on."""


def remove(names: Sequence[str]) -> Iterator[str]:
    """Delete the samples' folders, then write a revision that drops their tables. A second run does what is left."""
    root = project_root()
    found = [path for name in names for pattern in _paths(name) for path in sorted(root.glob(pattern))]
    for path in found:
        shutil.rmtree(path)
        yield f"removed {path.relative_to(root)}"
    if not [name for name in names if _has_table(root / "migrations/versions", name)]:
        if not found:
            yield "the sample is already gone"
        return
    # A new process: this one may still hold the sample's models.
    title = "remove sample" if len(names) > 1 else f"remove {names[0]}"
    command = [sys.executable, "-m", "app", "migration", title]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)  # noqa: S603  # our own program
    if done.returncode:
        raise SampleError(f"the table's revision was not written:\n{done.stderr.strip()[-2000:]}")
    revision = Path(done.stdout.strip())
    revision.write_text(
        revision.read_text(encoding="utf-8").replace("    op.drop_table(", f"{_MEANT}    op.drop_table(")
    )
    yield f"wrote {revision.relative_to(root)}; `make migrate` drops what the sample has stored"
    for document in sorted(root.glob("contract/v*/openapi.json")):
        document.unlink()
        yield f"removed {document.relative_to(root)}, which `make contract` writes anew"


def _paths(name: str) -> Iterator[str]:
    yield from (f"{place}/{name}" for place in ("src/app/api/v*", "src/app/domains", "tests"))
    yield from (f"contract/v*/{operation}" for operation in SAMPLES[name])


def _has_table(versions: Path, name: str) -> bool:
    """Whether a revision made it and none removes it."""
    is_made = any(versions.glob(f"*_create_{name}.py"))
    return is_made and not any(any(versions.glob(f"*_remove_{what}.py")) for what in ("sample", name))
