"""What would be lost when files of ours leave a service: imports of the team, edits. Standard library and git only."""

import ast
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

# Where the files of a feature that are ours lie; whatever else it brought is the team's and stays.
OURS = ("src/app/chassis/", "tests/chassis/", "docs/chassis/", "ops/")


def git(*arguments: str) -> str:
    """What git prints in this folder.

    Raises:
        subprocess.CalledProcessError: git failed.
    """
    return subprocess.run(["git", *arguments], capture_output=True, text=True, check=True).stdout


def modules(paths: Iterable[str]) -> set[str]:
    """Dotted names of the Python files of the program among these."""
    found = (PurePosixPath(path).relative_to("src") for path in paths if path.startswith("src/") and path[-3:] == ".py")
    parts = (path.with_suffix("").parts for path in found)
    return {".".join(one[:-1] if one[-1] == "__init__" else one) for one in parts}


def importers(leaving: set[str]) -> Iterator[str]:
    """`file:line imports module` for every import of the team that these modules would break."""
    for path in sorted(path for path in git("ls-files", "-z", "*.py").split("\0") if path):
        if path.startswith(OURS):
            continue
        try:
            tree = ast.parse(Path(path).read_bytes())
        except (SyntaxError, ValueError) as error:
            yield f"{path}:{getattr(error, 'lineno', None) or 1} is no Python that can be read for imports"
            continue
        found = {(line, next((name for name in names if name in leaving), "")) for line, names in _names(tree, path)}
        yield from (f"{path}:{line} imports {module}" for line, module in sorted(found) if module)


def _names(tree: ast.Module, path: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """Line and what is named there: the module that an import may mean, the longest name first."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, (alias.name,)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = _absolute(node, path)
            yield from ((node.lineno, (f"{module}.{alias.name}", module)) for alias in node.names)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):  # import_module("…"), pytest_plugins
            yield node.lineno, (node.value,)


def _absolute(node: ast.ImportFrom, path: str) -> str:
    if not node.level:
        return node.module or ""
    parts = PurePosixPath(path.removeprefix("src/")).parts[: -node.level]
    return ".".join((*parts, node.module) if node.module else parts)


def edited(leaving: Iterable[str], original: Path) -> list[str]:
    """Those of our leaving files that somebody has changed since they were rendered."""
    here = (path for path in sorted(leaving) if path.startswith(OURS) and Path(path).is_file())
    return [path for path in here if _text(Path(path)) != _text(original / path)]


def _text(path: Path) -> bytes:
    return path.read_bytes().replace(b"\r\n", b"\n")  # git may have checked it out with the line ends of its system


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
