"""Where a domain is made before it is moved in: a copy of the service in var/domain. Standard library only.

Whatever ends a run, nothing of it stays: at once, or when the next run finds its list and takes back what it names.
"""

import ast
import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from copies import NotDoneError, tell

FOLDER = Path("var/domain")
COPY = FOLDER / "service"
LIST = FOLDER / "moving.json"
_COPIED = ("contract", "migrations", "src", "tests")
_LEFT = ("var", ".git", ".tools")
_NO_COPY = shutil.ignore_patterns("__pycache__", ".*_cache")


@contextmanager
def aside() -> Iterator[Path]:
    """A copy of the service, gone at the end; one run at a time.

    Raises:
        NotDoneError: another run goes on, or one that was broken off left files that somebody changed.
    """
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / ".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise NotDoneError("another make domain is running; expected one at a time") from None
        if paths := take_back():
            tell(f"taken back, from a run that was broken off: {len(paths)} files")
        try:
            shutil.rmtree(COPY, ignore_errors=True)
            COPY.mkdir()
            for path in Path().iterdir():
                if path.name in _COPIED:
                    _copy(path)
                elif path.name not in _LEFT:
                    (COPY / path.name).symlink_to(path.absolute())
            _make_writable()
            yield COPY
        finally:
            _make_writable()  # broken off while it was copied
            take_back()
            shutil.rmtree(FOLDER, ignore_errors=True)


def _copy(folder: Path) -> None:
    try:
        shutil.copytree(folder, COPY / folder.name, ignore=_NO_COPY, copy_function=shutil.copyfile)
    except shutil.Error as error:  # a list, of each file that could not be copied
        path, _, why = error.args[0][0]
        more = len(error.args[0]) - 1
        raise NotDoneError(f"copying {path}{f' and {more} more' * bool(more)}: {why}") from None


def _make_writable() -> None:
    """A folder that nobody may write is copied with its mode."""
    for folder, _, _ in os.walk(COPY):
        Path(folder).chmod(0o755)


def run(*command: str) -> str:
    """What a program of the service's own prints, run in the copy.

    Raises:
        NotDoneError: it fails.
    """
    environment = os.environ | {"PYTHONPATH": "src", "PYTHONDONTWRITEBYTECODE": "1"}
    arguments = [sys.executable, "-m", *command]
    done = subprocess.run(arguments, cwd=COPY, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip())[-2000:].replace(f"{COPY.absolute()}/", "")
        raise NotDoneError(f"{' '.join(command[:3])} fails in a copy of this service with the new domain:\n{said}")
    return done.stdout


def require_only(revision: Path, table: str) -> None:
    """Raise NotDoneError if a revision does more than make one table: models had changed before."""
    (upgrade,) = (
        node
        for node in ast.parse(revision.read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.name == "upgrade"
    )
    done = [ast.unparse(node) for node in upgrade.body if not isinstance(getattr(node, "value", None), ast.Constant)]
    others = [step for step in done if not step.startswith(f"op.create_table('{table}',")]
    if others or len(done) != 1:
        found = (others or ["no new table"])[0].partition("\n")[0][:120]
        raise NotDoneError(
            f"models and revisions: found besides {table}: {found}; expected that they agree: make migration first"
        )


def move_in(paths: list[str]) -> None:
    """Bring files of the copy into the service; of those only `openapi.json` may be there already.

    Raises:
        FileExistsError: another one is.
    """
    replaced = {
        path: Path(path).read_text("utf-8") for path in paths if Path(path).exists() and path.endswith("/openapi.json")
    }
    folders = {str(folder) for path in paths for folder in Path(path).parents if not folder.exists()}
    told = {
        "new": [path for path in paths if path not in replaced],
        "replaced": replaced,
        "folders": sorted(folders, reverse=True),
    }
    partial = LIST.with_suffix(".partial")
    partial.write_text(json.dumps(told), "utf-8")
    partial.replace(LIST)
    for path in paths:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        with Path(path).open("wb" if path in replaced else "xb") as file:
            file.write((COPY / path).read_bytes())
    LIST.unlink()


def take_back() -> list[str]:
    """Remove what a run that was broken off moved in; nothing if none was.

    Raises:
        NotDoneError: somebody changed a file of it.
    """
    if not LIST.exists():
        return []
    told = json.loads(LIST.read_text("utf-8"))
    there = [path for path in told["new"] if Path(path).exists()]
    written = [path for path in told["replaced"] if Path(path).exists()]
    changed = [
        path
        for path in [*there, *written]
        if not (COPY / path).read_bytes().startswith(found := Path(path).read_bytes())
        and found != told["replaced"].get(path, "").encode()
    ]
    if changed:
        lines = "\n".join(changed)
        raise NotDoneError(
            f"a run was broken off, and since then these were changed:\n{lines}\nremove var/domain to keep them"
        )
    for path in there:
        Path(path).unlink()
    for folder in map(Path, told["folders"]):
        if folder.exists() and not {inner.name for inner in folder.iterdir()} - {"__pycache__"}:
            shutil.rmtree(folder)
    for path, text in told["replaced"].items():
        Path(path).write_text(text, "utf-8")
    LIST.unlink()
    return there
