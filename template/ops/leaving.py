"""What goes when files of ours leave a service: modules, edits, folders. Standard library only."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

# Where the files of a feature that are ours lie; whatever else it brought is the team's and stays.
OURS = (
    "src/app/chassis/",
    "tests/chassis/",
    "docs/chassis/",
    "ops/",
    "deploy/monitoring/chassis/",
    "deploy/kubernetes/base/",
)


def modules(paths: Iterable[str]) -> set[str]:
    """Dotted names of the Python files among these, of the program and of its tests."""
    found = (PurePosixPath(path.removeprefix("src/")) for path in paths if path.startswith(("src/", "tests/")))
    parts = (path.with_suffix("").parts for path in found if path.suffix == ".py")
    return {".".join(one[:-1] if one[-1] == "__init__" else one) for one in parts}


def edited(leaving: Iterable[str], original: Path) -> list[str]:
    """Those of our leaving files that somebody has changed since they were rendered."""
    here = (path for path in sorted(leaving) if path.startswith(OURS) and Path(path).is_file())
    return [path for path in here if plain(Path(path).read_bytes()) != plain((original / path).read_bytes())]


def plain(text: bytes) -> bytes:
    """A text as it was rendered: git may have checked it out with the line ends of its system."""
    return text.replace(b"\r\n", b"\n")


def sweep(leaving: Iterable[str]) -> None:
    """Remove the folders of the files that left, where nothing but Python's own caches is in them."""
    for folder in sorted({parent for path in leaving for parent in Path(path).parents}, reverse=True):
        if not folder.is_dir():
            continue
        for cached in folder.glob("__pycache__/*.pyc"):
            if not (folder / f"{cached.name.partition('.')[0]}.py").exists():
                cached.unlink()
        for empty in (folder / "__pycache__", folder):
            if empty.is_dir() and not any(empty.iterdir()):
                empty.rmdir()
