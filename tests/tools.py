"""Every outside program a test needs: its version, how it is had, what is skipped without it.

Imports pytest and the standard library only. A test calls `require`; nothing else looks for programs.
"""

import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

# What `make` installed stands beside the Python that runs the tests.
INSTALLED = Path(sys.executable).parent
# What `.ci/run` unpacked of Docker. Not on PATH: no service's target may find a client there.
ENGINE = INSTALLED.parent / "engine"

# Stands in the reason of a skip that CI forgives: who runs the tests can do nothing about it.
FORGIVEN = "forgiven here, as who runs the tests may not have it"
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21


def is_root() -> bool:
    """Say whether packages may be installed."""
    return os.geteuid() == 0


def may_run_containers() -> bool:
    """Say whether namespaces and networks may be made: root may, but not inside most containers."""
    status = Path("/proc/self/status")
    found = status.read_text(encoding="utf-8").partition("CapEff:")[2].split() if status.exists() else []
    return bool(found) and all(int(found[0], 16) >> bit & 1 for bit in (CAP_NET_ADMIN, CAP_SYS_ADMIN))


@dataclass(frozen=True)
class Tool:
    """One program: `had` says how to get it, `without` what is skipped when it is absent."""

    name: str
    version: str
    had: str
    without: str
    also: tuple[str, ...] = ()
    """Other names of a program that does as well."""
    may_have: Callable[[], bool] | None = None
    """Who may have it, where not everybody does; a skip is forgiven to the others, in CI too."""


TOOLS = {
    tool.name: tool
    for tool in (
        Tool("git", "2.30 or newer", "a prerequisite", "everything"),
        Tool("make", "GNU 3.81 or newer", "a prerequisite", "what runs a service's targets"),
        Tool("uv", "see pyproject.toml", "`make test` installs it in .tools", "what resolves or runs a service"),
        Tool("copier", "see pyproject.toml", "`make test` installs it in .tools", "Copier's command line"),
        Tool("ruff", "see pyproject.toml", "`make test` installs it in .tools", "format and lint of renders"),
        Tool("zizmor", "see pyproject.toml", "`make test` installs it in .tools", "audit of workflows"),
        Tool(
            "check-jsonschema",
            "see pyproject.toml",
            "`make test` installs it in .tools",
            "schemas of CI files",
        ),
        Tool(
            "npm",
            "10 or newer",
            "Node.js brings it",
            "structural comparison of contracts by oasdiff, GitLab's pipelines in `make soak`",
        ),
        Tool("rsync", "3 or newer", "Debian's package rsync", "GitLab's pipelines in `make soak`"),
        Tool("hadolint", "see pyproject.toml", "`make test` installs it in .tools", "lint of the Dockerfile"),
        Tool("promtool", "2.42 or newer", "Debian's package prometheus; `.ci/run` unpacks it", "alerts that fire"),
        Tool("nginx", "1.18 or newer", "Debian's package nginx; `.ci/run` unpacks it", "deployments behind a proxy"),
        Tool(
            "kubectl",
            "1.27 or newer",
            "Debian's package kubectl, of Debian 13 or newer; `.ci/run` unpacks it",
            "overlays for Kubernetes as they are applied",
        ),
        Tool(
            "chromium",
            "156 or newer",
            "Debian's package chromium, which root alone can install, and `.ci/run` does",
            "/docs in a real browser",
            also=("chromium-browser", "google-chrome"),  # what other systems call it; GitHub's runners have them all
            may_have=is_root,
        ),
        *(
            Tool(name, version, had, "containers that are built and run", may_have=may_run_containers)
            for name, version, had in (
                ("dockerd", "26 or newer", "Debian trixie's package docker.io; `.ci/run` unpacks it"),
                ("runc", "1.1 or newer", "Debian's package runc, which root alone can install, and `.ci/run` does"),
                ("iptables", "1.8 or newer", "Debian's package iptables, likewise"),
                ("mmdebstrap", "1.3 or newer", "Debian's package mmdebstrap, likewise"),
            )
        ),
    )
}


def require(name: str) -> str:
    """Return the path of a program named in TOOLS; without it, skip the test and say what is lost."""
    tool = TOOLS[name]
    path = os.pathsep.join([str(INSTALLED), os.environ.get("PATH", os.defpath), "/usr/sbin", str(ENGINE / "bin")])
    for known in (name, *tool.also):
        if found := shutil.which(known, path=path):
            return found
    pytest.skip(lost(tool))


def lost(tool: Tool) -> str:
    """Say what is skipped without a program, and whether CI forgives it."""
    forgiven = f" ({FORGIVEN})" if tool.may_have and not tool.may_have() else ""
    return f"needs {tool.name} {tool.version} ({tool.had}); without it: {tool.without}{forgiven}"


def user_environment(**more: str) -> dict[str, str]:
    """Build a user's environment: the tools of `make` first on PATH, no virtual environment active.

    What mypy learned of the libraries lies beside them.
    """
    ours = {"VIRTUAL_ENV", "CI", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS"}
    ours |= {"PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    kept["MYPY_CACHE_DIR"] = ".venv/.mypy"
    return {**kept, "PATH": os.pathsep.join([str(INSTALLED), os.environ.get("PATH", os.defpath)]), **more}
