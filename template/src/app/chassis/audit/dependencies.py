"""What the service is made of. May import checks, observability, target."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from importlib import metadata
from typing import Any

from app.chassis.audit.checks import Finding, judged
from app.chassis.audit.target import Target
from app.chassis.observability.redact import redact_text

__all__ = ["advisories", "installed", "lock", "python"]

_UV_SECONDS = 60.0
_NO_DATA = "; try again, or name a mirror of osv.dev with --advisories URL"
# Last month with security fixes. Source: Python Developer's Guide, "Status of Python versions".
_PYTHON_ENDS = {(3, 11): "2027-10", (3, 12): "2028-10", (3, 13): "2029-10", (3, 14): "2030-10", (3, 15): "2031-10"}


def _uv(target: Target, *arguments: str) -> tuple[int, str, str] | None:
    """Exit code, output and the last error line of uv; None if it is not there or takes too long."""
    program = os.environ.get("UV") or shutil.which("uv") or ".tools/bin/uv"
    environment = {"UV_PROJECT_ENVIRONMENT": ".venv", "UV_PREVIEW_FEATURES": "audit-command,json-output"}
    environment |= {"UV_HTTP_RETRIES": "1"} | dict(os.environ)
    try:
        done = subprocess.run(  # noqa: S603  # uv, as make found it
            [program, *arguments],
            cwd=target.root, env=environment, capture_output=True, text=True, check=False, timeout=_UV_SECONDS,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    told = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    return done.returncode, done.stdout, (told or ["no word of uv"])[-1].removeprefix("error: ")


def advisories(target: Target) -> Finding:
    """Asked of osv.dev by `uv audit`. No data is no answer: then this is UNKNOWN."""
    other = ("--service-url", target.advisories) if target.advisories else ()
    done = _uv(target, "audit", "--frozen", "--output-format", "json", *other)
    probed = redact_text(f"uv audit, {target.advisories or 'osv.dev'}")
    if done is None:
        return Finding("UNKNOWN", probed, f"uv is not here or took too long{_NO_DATA}")
    try:
        told = json.loads(done[1])
        number, found = int(told["summary"]["audited_packages"]), [*told["vulnerabilities"], *told["adverse_statuses"]]
    except (ValueError, KeyError, TypeError):
        return Finding("UNKNOWN", probed, f"no data: {redact_text(done[2])[:160]}{_NO_DATA}")
    if done[0] not in (0, 1) or not number or (done[0] == 1 and not found):
        return Finding("UNKNOWN", probed, f"no data: {number} packages asked for, exit status {done[0]}{_NO_DATA}")
    return judged(f"{probed}, {number} packages", [_advisory(one) for one in found], [], "none known")


def _advisory(one: Any) -> str:
    named = one.get("dependency", {})
    fixed = ", ".join(one.get("fix_versions") or ()) or "none"
    name, version, told = named.get("name", "?"), named.get("version", ""), one.get("id", "adverse status")
    return f"{name} {version}: {told}, fixed in {fixed}"


def lock(target: Target) -> Finding:
    """What is installed elsewhere is then what was tested here."""
    file = target.root / "uv.lock"
    if not file.is_file():
        is_project = (target.root / "pyproject.toml").is_file()
        return Finding("FAIL" if is_project else "UNKNOWN", "uv.lock", "there is none")
    bad = [f"{name}: a file without a hash" for name, package in _locked(target).items() if not _has_hashes(package)]
    done = _uv(target, "lock", "--check")
    if done is None:
        return judged("uv.lock", bad, ["uv is not here"], "")
    unclear: list[str] = []
    if done[0]:
        (bad if "needs to be updated" in done[2] else unclear).append(done[2][:160])
    return judged(f"uv lock --check, {len(_locked(target))} packages", bad, unclear, "fits, every file has a hash")


def _locked(target: Target) -> dict[str, dict[str, Any]]:
    packages = tomllib.loads((target.root / "uv.lock").read_text(encoding="utf-8")).get("package", [])
    return {package["name"]: package for package in packages}


def _has_hashes(package: dict[str, Any]) -> bool:
    if "registry" not in package.get("source", {}):
        return True  # a folder or a commit
    return all("hash" in file for file in [*package.get("wheels", ()), *filter(None, [package.get("sdist")])])


def installed(target: Target) -> Finding:
    """Of the Python that runs this audit."""
    if not (target.root / "uv.lock").is_file():
        return Finding("UNKNOWN", "uv.lock", "there is none")
    locked = {name: package.get("version") for name, package in _locked(target).items()}
    here = {re.sub(r"[-_.]+", "-", one.name).lower(): one.version for one in metadata.distributions()}
    both = [name for name in here if locked.get(name)]
    bad = [f"{name} {here[name]}, locked {locked[name]}" for name in both if here[name] != locked[name]]
    return judged(f"{len(both)} packages", sorted(bad), [], "all of them")


def python(_target: Target) -> Finding:
    """Of the Python that runs this audit."""
    version = sys.version_info[:2]
    probed, end = f"Python {version[0]}.{version[1]}", _PYTHON_ENDS.get(version)
    if end is None:
        return Finding("UNKNOWN", probed, "its end is not known here")
    return Finding("pass" if f"{datetime.now(UTC):%Y-%m}" <= end else "FAIL", probed, f"fixes until {end}")
