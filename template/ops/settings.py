"""What the service was told: the environment, then the file that ENV_FILE names (`.env`). Standard library only."""

import os
import re
from pathlib import Path

# A line of `.env`: NAME=value, NAME='value' or NAME="value", each with a comment behind it or none.
LINE = re.compile(r"""[ \t]*(?:export[ \t]+)?(\w+)[ \t]*=[ \t]*(?:'([^']*)'|"([^"]*)"|(.*?))[ \t]*(?:(?<=\s)\#.*)?""")


def setting(name: str, default: str) -> str:
    """A setting as the service reads it; `default` where it is missing or empty."""
    in_environment = {key.upper(): value for key, value in os.environ.items()}
    if name in in_environment:
        return in_environment[name] or default
    path = Path(os.environ.get("ENV_FILE", ".env"))
    lines = path.read_text("utf-8-sig", "replace").splitlines() if path.is_file() else []
    found = [match for line in lines if (match := LINE.fullmatch(line)) and match[1].upper() == name]
    return next(filter(None, found[-1].groups()[1:]), default) if found else default
