"""The base images that a Dockerfile names, made of Debian's packages and uv's wheel: no image registry is needed."""

import hashlib
import os
import re
import subprocess
from pathlib import Path

from engine import Engine
from tools import ENGINE, INSTALLED, require

PYTHON_VERSION = "3.13"  # Debian trixie's; the Dockerfile's base image is trixie too
PYTHON = f"python:{PYTHON_VERSION}-slim-trixie"
PACKAGES = ("python3", "ca-certificates")
UNREAD = ("man", "doc", "info", "locale", "lintian")
CERTIFICATES = "/etc/ssl/certs/ca-certificates.crt"


def bases(dockerfile: Path) -> list[str]:
    """Name the images a Dockerfile begins with, its own stages left out."""
    text = dockerfile.read_text(encoding="utf-8")
    for name, value in re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE):
        text = text.replace(f"${{{name}}}", value)
    stages = {"scratch", *re.findall(r" AS (\w+)$", text, re.MULTILINE)}  # nothing, by Docker's name for it
    return [name for name in dict.fromkeys(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) if name not in stages]


def provide(engine: Engine, name: str) -> None:
    """Make an image as a Dockerfile or Compose names it; a user's engine has a registry and gets it there.

    `docker.io/library/haproxy:3.2` and its like are Debian trixie's package of that name, whatever the tag says.
    """
    if engine.is_users or engine.docker("images", "--quiet", name):
        return
    if "/uv:" in name:
        engine.docker("import", _archive_of_uv(engine.folder), name)
    elif name == PYTHON:
        changes = [option for name, value in _told().items() for option in ("--change", f"ENV {name}={value}")]
        engine.docker("import", *changes, str(_debian()), PYTHON)
    else:
        _install(engine, name, package=name.rpartition("/")[2].partition(":")[0])


def _archive_of_uv(folder: Path) -> str:
    subprocess.run(["tar", "-C", INSTALLED, "-cf", folder / "uv.tar", "uv"], check=True)
    return str(folder / "uv.tar")


def _install(engine: Engine, name: str, package: str) -> None:
    provide(engine, PYTHON)
    install = f"apt-get update -qq && apt-get install -qq --yes --no-install-recommends {package}"
    lines = f"FROM {PYTHON}\nRUN {install} >/dev/null && rm -rf /var/lib/apt/lists/*\n"
    folder = engine.folder / package
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(lines, encoding="utf-8")
    engine.docker("build", "--quiet", "--network", engine.build_network, "--tag", name, str(folder))


def _told() -> dict[str, str]:
    """Tell uv in a container what it is told here: which index, and whom to trust."""
    names = ("UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL")
    return {"SSL_CERT_FILE": CERTIFICATES, **{name: os.environ[name] for name in names if name in os.environ}}


def _debian() -> Path:
    """Return Debian trixie with Python as an archive, made once for the packages and certificates it holds."""
    trusted = Path(os.environ.get("SSL_CERT_FILE", CERTIFICATES))
    sources = sorted((ENGINE.parent / "trixie.d").iterdir())
    held = [str(PACKAGES), str(UNREAD), *(path.read_text(encoding="utf-8") for path in (trusted, *sources))]
    key = hashlib.sha256("\0".join(held).encode()).hexdigest()[:12]
    archive = ENGINE / f"debian-{key}.tar"
    if not archive.exists():
        new = archive.with_suffix(f".{os.getpid()}.tar")
        command = [
            *(require("mmdebstrap"), "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}"),
            *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in UNREAD),
            f"--customize-hook=upload '{trusted}' {CERTIFICATES}",
            *("trixie", str(new), *map(str, sources)),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        new.replace(archive)
    return archive
