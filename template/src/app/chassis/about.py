"""Who this service is, as answered when it was rendered, and which version runs. Imports nothing of the chassis."""

import json
from dataclasses import dataclass
from functools import cache
from importlib import metadata, resources
from pathlib import Path

__all__ = ["About", "about", "project_root"]


@dataclass(frozen=True, slots=True)
class About:
    """Identity of the service: human name, slug, one-line description, owning team, its contact, running version."""

    name: str
    slug: str
    description: str
    owner: str
    owner_contact: str
    version: str


@cache
def about() -> About:
    """Read `service.json` beside this file, and the version of the installed distribution."""
    identity = json.loads(resources.files("app.chassis").joinpath("service.json").read_text(encoding="utf-8"))
    try:
        version = metadata.version(identity["slug"])
    except metadata.PackageNotFoundError:
        version = "0+unknown"
    return About(version=version, **identity)


@cache
def project_root() -> Path:
    """Folder that holds `alembic.ini`: the current one, else the one above `src/`."""
    here = Path.cwd()
    return here if (here / "alembic.ini").is_file() else Path(__file__).resolve().parents[3]
