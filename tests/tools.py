"""Every outside program a test needs: its version, how it is had, what is skipped without it.

Imports pytest and the standard library only. A test calls `require`; nothing else looks for programs.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

# What `make` installed stands beside the Python that runs the tests.
INSTALLED = Path(sys.executable).parent


@dataclass(frozen=True)
class Tool:
    """One program: `had` says how to get it, `without` what is skipped when it is absent."""

    name: str
    version: str
    had: str
    without: str
    also: tuple[str, ...] = ()
    """Other names of a program that does as well."""


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
        Tool(
            "chromium",
            "156 or newer",
            "Debian's package chromium, which root alone can install, and `.ci/run` does",
            "/docs in a real browser",
            also=("chromium-browser", "google-chrome"),  # what other systems call it; GitHub's runners have them all
        ),
    )
}


def require(name: str) -> str:
    """Return the path of a program named in TOOLS; without it, skip the test and say what is lost."""
    tool = TOOLS[name]
    path = os.pathsep.join([str(INSTALLED), os.environ.get("PATH", os.defpath)])
    for known in (name, *tool.also):
        if found := shutil.which(known, path=path):
            return found
    pytest.skip(f"needs {tool.name} {tool.version} ({tool.had}); without it: {tool.without}")


def user_environment(**more: str) -> dict[str, str]:
    """Build a user's environment: the tools of `make` first on PATH, no virtual environment active.

    What mypy learned of the libraries lies beside them.
    """
    ours = {"VIRTUAL_ENV", "CI", "MAKEFLAGS", "MFLAGS", "MAKELEVEL", "MAKEOVERRIDES", "ARGS"}
    ours |= {"PYTHONDONTWRITEBYTECODE", "PYTEST_ADDOPTS"}
    kept = {name: value for name, value in os.environ.items() if name not in ours}
    kept["MYPY_CACHE_DIR"] = ".venv/.mypy"
    return {**kept, "PATH": os.pathsep.join([str(INSTALLED), os.environ.get("PATH", os.defpath)]), **more}
