"""Writes what the service is made of as CycloneDX: what uv.lock holds, tools left out. Standard library only.

Usage: python3 ops/sbom.py [--to var/sbom.cdx.json]     with UV the path of uv
The same lock gives the same bytes: the serial number comes from the content, the time is that of the last commit or of
SOURCE_DATE_EPOCH, and is left out where neither is known. With CI set, a lock that does not fit is an error.
Exit codes: 0 written, 1 the lock does not fit, 2 wrong use, or uv could not tell.
"""

import argparse
import json
import os
import subprocess
import sys
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

COMMAND = ("export", "--quiet", "--preview-features=sbom-export", "--format=cyclonedx1.5", "--no-dev", "--all-extras")
DEFAULT = Path("var/sbom.cdx.json")


def exported() -> dict[str, Any]:
    """What uv says of the lock.

    Raises:
        subprocess.CalledProcessError: it does not fit, or there is no uv.
        ValueError: no document of the form that is expected.
    """
    is_bound = bool(os.environ.get("CI")) and Path("uv.lock").is_file()
    command = [os.environ.get("UV") or "uv", *COMMAND, *(["--locked"] if is_bound else [])]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    document = json.loads(done.stdout)
    if document.get("bomFormat") != "CycloneDX" or not document.get("components"):
        raise ValueError("uv export gave no CycloneDX document with components")
    return dict(document)


def moment() -> datetime | None:
    """When it is of: SOURCE_DATE_EPOCH, else the last commit."""
    seconds = os.environ.get("SOURCE_DATE_EPOCH")
    if not seconds:
        command = ["git", "log", "-1", "--format=%ct"]
        try:
            seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        except (OSError, subprocess.CalledProcessError):
            return None
    return datetime.fromtimestamp(int(seconds), UTC) if seconds else None


def settled(document: dict[str, Any]) -> dict[str, Any]:
    """The document without what differs from run to run."""
    metadata = {name: value for name, value in document["metadata"].items() if name != "timestamp"}
    if when := moment():
        metadata["timestamp"] = f"{when:%Y-%m-%dT%H:%M:%SZ}"
    content = {**document, "metadata": metadata}
    content.pop("serialNumber", None)
    number = uuid.uuid5(uuid.NAMESPACE_OID, json.dumps(content, sort_keys=True))
    return {**content, "serialNumber": f"urn:uuid:{number}"}


def main(arguments: list[str] | None = None) -> int:
    """Write it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Write what the service is made of, as CycloneDX.")
    parser.add_argument("--to", type=Path, default=DEFAULT, metavar="FILE")
    options = parser.parse_args(arguments)
    try:
        document = settled(exported())
        options.to.parent.mkdir(parents=True, exist_ok=True)
        options.to.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    except subprocess.CalledProcessError as error:
        told = (error.stderr or "").strip()
        print(f"not written: {told or error}", file=sys.stderr)
        return 1 if "needs to be updated" in told else 2
    except (OSError, ValueError, KeyError) as error:
        print(f"not written: {error}", file=sys.stderr)
        return 2
    print(f"written: {options.to} ({len(document['components'])} components)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
