"""What the template says of its releases, for whoever updates. Standard library and git only."""

import re
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rendering import read_answers

LIST = "docs/releases.toml"
HOSTS = {"gh:": "https://github.com/", "gl:": "https://gitlab.com/"}


def notes(before: str, after: str) -> list[str]:
    """What the releases after `before`, up to `after`, say that a service sees, and what is to be done by hand."""
    source = re.sub(r"^git\+", "", str(read_answers()["_src_path"]))
    for short, host in HOSTS.items():
        source = source.replace(short, host, 1) if source.startswith(short) else source
    with tempfile.TemporaryDirectory() as folder:
        command = ["git", "clone", "--quiet", "--no-checkout", "--", source, folder]
        if subprocess.run(command, capture_output=True, check=False).returncode:
            return ["notes of the releases: not to be had from the template"]
        for tag in (f"v{after}", after):
            shown = ["git", "-C", str(Path(folder)), "show", f"{tag}:{LIST}"]
            done = subprocess.run(shown, capture_output=True, text=True, check=False)
            if done.returncode == 0:
                return _told(done.stdout, before, after)
    return ["notes of the releases: the template has none"]


def _told(text: str, before: str, after: str) -> list[str]:
    try:
        rows = [
            row for row in tomllib.loads(text)["release"] if _order(before) < _order(row["version"]) <= _order(after)
        ]
        found = []
        for row in rows:
            found += [f"{row['version']}: {words}" for words in _lines(row, "sees")]
            found += [f"{row['version']}: BY HAND: {words}" for words in _lines(row, "manual")]
    except (ValueError, KeyError, TypeError):
        return ["notes of the releases: they cannot be read"]
    return found


def _lines(row: Mapping[str, Any], name: str) -> list[str]:
    found = row.get(name, [])
    return [found] if isinstance(found, str) else [str(one) for one in found]


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])
