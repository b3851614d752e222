"""Which services a fleet has: paths of the command line and of a list file. Pure functions, standard library only."""

import os
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

_COMMENT = re.compile(r"(?:^|\s)#.*")


@dataclass(frozen=True)
class Service:
    """A folder that was named: how people call it, and where it is once links are followed."""

    name: str
    path: Path

    @property
    def key(self) -> str:
        """What files about it are called: plain letters, and no two the same."""
        plain = re.sub(r"[^A-Za-z0-9._-]+", "-", self.path.name).strip("-.") or "service"
        return f"{plain[:200]}-{sha256(os.fsencode(self.path)).hexdigest()[:8]}"


def read_list(text: str, folder: Path) -> list[Path]:
    """Return the paths of a list, one a line; relative ones begin at the list's folder, `#` begins a comment."""
    lines = (_COMMENT.sub("", line).strip() for line in text.removeprefix("\ufeff").splitlines())
    return [folder / Path(line).expanduser() for line in lines if line]


def services(paths: Iterable[Path]) -> tuple[list[Service], list[Path]]:
    """Return each folder once, in the order given, and the paths that named one again.

    A service is called as its folder; where two are called so, as its whole path.
    """
    found: dict[Path, Path] = {}
    again = []
    for path in paths:
        real = _real(path)
        if real in found:
            again.append(path)
        else:
            found[real] = path
    called = Counter(real.name for real in found)
    return [Service(real.name if called[real.name] == 1 and real.name else str(real), real) for real in found], again


def _real(path: Path) -> Path:
    try:
        return path.resolve()
    except (OSError, RuntimeError):  # links in a circle
        return path.absolute()
