"""`make client`: a typed Python client, by openapi-python-client. May import about, http."""

import json
import os
import re
import subprocess
import tempfile
import tomllib
from collections.abc import Iterator
from copy import deepcopy
from importlib import resources
from pathlib import Path
from typing import Any

from app.chassis.about import about, project_root
from app.chassis.http.recordings import ContractError, shown

__all__ = ["write_client"]

_GENERATOR = "openapi-python-client==0.29.1"


def write_client(folder: Path, version: str, contract: dict[str, Any]) -> Iterator[str]:
    """Write the client of a version into a folder that is new, or that held one before.

    Raises:
        ContractError: the folder holds something else, or the generator does not run.
    """
    package = f"{about().slug.replace('-', '_')}_client"
    if folder.exists() and not (folder.is_dir() and (not any(folder.iterdir()) or list(folder.glob("*/connect.py")))):
        raise ContractError(f"{shown(folder)}: found something else; expected a new folder, or one of `make client`")
    with tempfile.TemporaryDirectory() as scratch:
        document, config = Path(scratch) / "openapi.json", Path(scratch) / "config.json"
        document.write_text(json.dumps(_of_successes(contract)), encoding="utf-8")
        names = {"package_name_override": package, "project_name_override": f"{about().slug}-client"}
        names["package_version_override"] = about().version
        config.write_text(json.dumps({**names, "post_hooks": []}), encoding="utf-8")
        _generate(document, config, folder)
    ours = resources.files("app.chassis.contract")
    for name, target in (("connect.txt", folder / package / "connect.py"), ("readme.txt", folder / "README.md")):
        text = ours.joinpath(name).read_text(encoding="utf-8")
        for word, value in (("VERSION", version), ("PACKAGE", package), ("NAME", about().name)):
            text = text.replace(word, value)
        target.write_text(text, encoding="utf-8")
    yield f"wrote {shown(folder)}: package {package}, begin with {package}.connect"


def _generate(document: Path, config: Path, folder: Path) -> None:
    tool = [os.environ.get("UV", "uv"), "tool", "run", "--quiet", *_cutoff(), "--from", _GENERATOR]
    generate = ["openapi-python-client", "generate", "--path", str(document), "--config", str(config)]
    command = [*tool, *generate, "--meta", "uv", "--overwrite", "--fail-on-warning", "--output-path", str(folder)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    except OSError as error:
        raise ContractError(f"uv: {error}; expected uv on PATH, or `make client`, which brings it") from None
    if done.returncode:
        raise ContractError(f"{_GENERATOR}: {(done.stdout + done.stderr).strip()[-2000:]}")


def _cutoff() -> list[str]:
    """The generator's own libraries are no younger than the service's."""
    settings = tomllib.loads((project_root() / "pyproject.toml").read_text(encoding="utf-8"))
    moment = settings.get("tool", {}).get("uv", {}).get("exclude-newer")
    return ["--exclude-newer", moment] if moment else []


def _of_successes(contract: dict[str, Any]) -> dict[str, Any]:
    """The document without failures, which raise, and without what a typed client has no use for."""
    document = deepcopy(contract)
    for item in document["paths"].values():
        for operation in item.values():
            responses = operation["responses"]
            operation["responses"] = {status: responses[status] for status in responses if status[0] == "2"}
            kept = [one for one in operation.get("parameters", ()) if one["name"].lower() != "if-none-match"]
            operation["parameters"] = [{**one, "schema": _plain(one)} for one in kept]
    schemas = document["components"]["schemas"]
    used = _used(document["paths"], schemas, set())
    document["components"] = {"schemas": {name: schema for name, schema in schemas.items() if name in used}}
    return document


def _used(node: Any, schemas: dict[str, Any], known: set[str]) -> set[str]:
    """Names of the schemas that `node` refers to, and those that these refer to."""
    for name in re.findall(r'"#/components/schemas/(\w+)"', json.dumps(node)):
        if name not in known:
            known.add(name)
            _used(schemas[name], schemas, known)
    return known


def _plain(parameter: dict[str, Any]) -> dict[str, Any]:
    """A header is a text: the generator knows no choice of texts there."""
    return {"type": "string"} if parameter["in"] == "header" else parameter["schema"]
