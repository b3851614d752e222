"""What an update does to this service: tried in a scratch worktree, or done and told. Needs Copier."""

import signal
import subprocess
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import copier
import yaml
from clean_tree import refuse_ignored, require_held, require_in_place
from copies import tell
from drift import drifts
from leaving import plain
from references import is_ours
from remains import settings_of
from rendering import ANSWERS, ENDS, listed, read_answers, rendered, template_in_use
from repository import NO_HOOKS, git


@dataclass(frozen=True)
class Foresight:
    """Files that an update changes or cannot merge, what of the team's it would lose, settings that come or go.

    `ejected` are the team's by `make eject`, and other in the new release: they stay as they are. `drift` is what
    `make drift` names, each with `path` and `what`.
    """

    changed: tuple[str, ...]
    conflicts: tuple[str, ...]
    losses: tuple[str, ...]
    settings_added: tuple[str, ...]
    settings_removed: tuple[str, ...]
    ejected: tuple[str, ...]
    drift: tuple[dict[str, str], ...]


def foresee(data: Mapping[str, str]) -> Foresight:
    """Update a worktree of the commit that is checked out, with these answers, and compare.

    Raises:
        NotDoneError: Copier failed.
        subprocess.CalledProcessError: git did.
    """
    with scratch_worktree() as there:
        return updated(there, "trying the update in a scratch worktree", data)


def updated(there: Path, step: str, data: Mapping[str, str] = MappingProxyType({})) -> Foresight:
    """Update this service in `there`, a folder that holds what is committed and no more; tell `step` before.

    Raises:
        NotDoneError: Copier failed, or would not see what stands in place of a file of ours.
        subprocess.CalledProcessError: git did.
    """
    answers = read_answers()
    require_in_place(answers)
    with rendered(answers, answers["features"]) as fresh:
        tell(step)
        before = {path: (there / path).read_bytes() for path in _held(there) if (there / path).is_file()}
        was = settings_of(there)
        spared = answers.get("ejected") or {}
        drift = tuple({"path": one.path, "what": one.what} for one in drifts(fresh) if one.path not in spared)
        require_held(fresh, fresh)
        ignored = _ignored(there)
        with template_in_use():
            copier.run_update(there, data=dict(data), skip_answered=True, defaults=True, overwrite=True, quiet=True)
        refuse_ignored(path for path in _ignored(there) - ignored if is_ours(path))
        conflicts = set(_paths(there, "diff", "--name-only", "--relative", "--diff-filter=U"))
        changed = {*_paths(there, "diff", "--name-only", "--relative", "HEAD"), *_new(there)}
        losses = tuple(_losses(before, fresh, there, conflicts))
        now = settings_of(there)
        added, removed = tuple(sorted(now - was)), tuple(sorted(was - now))
    ejected = tuple(_other(answers, yaml.safe_load((there / ANSWERS).read_text("utf-8"))))
    return Foresight(tuple(sorted(changed)), tuple(sorted(conflicts)), losses, added, removed, ejected, drift)


@contextmanager
def scratch_worktree() -> Iterator[Path]:
    """This service as it is committed, elsewhere; gone afterwards, with what git remembers of it."""
    with tempfile.TemporaryDirectory() as folder:
        whole = Path(folder, "tree")
        try:
            with undisturbed():
                git(*NO_HOOKS, "worktree", "add", "--quiet", "--detach", str(whole), "HEAD")
            yield (whole / git("rev-parse", "--show-prefix").removesuffix("\n")).resolve()
        finally:
            # Nothing is pruned: somebody's worktree may lie on a disk that is away.
            remove = ["git", "worktree", "remove", "--force", "--force", str(whole)]
            with undisturbed():
                subprocess.run(remove, capture_output=True, check=False)


@contextmanager
def undisturbed() -> Iterator[None]:
    """A signal waits until this is left, also for what is started inside: half a worktree git could not remove."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _paths(folder: Path, *arguments: str) -> list[str]:
    done = subprocess.run(["git", *arguments, "-z"], cwd=folder, capture_output=True, check=True)
    return [path for path in done.stdout.decode("utf-8", "surrogateescape").split("\0") if path]


def _held(folder: Path) -> list[str]:
    return _paths(folder, "ls-files")


def _new(folder: Path) -> list[str]:
    return _paths(folder, "ls-files", "--others", "--exclude-standard")


def _other(before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[str]:
    """The ejected files that are not the same in the releases of these answers."""
    if not (ejected := after.get("ejected")):
        return
    with (
        rendered({**before, "ejected": {}}, before["features"]) as old,
        rendered({**after, "ejected": {}}, after.get("features", [])) as new,
    ):
        for path in sorted(ejected):
            texts = [(folder / path).read_bytes() if (folder / path).is_file() else None for folder in (old, new)]
            if texts[0] != texts[1]:
                yield path


def _ignored(folder: Path) -> set[str]:
    return set(_paths(folder, "ls-files", "--others", "--ignored", "--exclude-standard"))


def _losses(before: dict[str, bytes], fresh: Path, there: Path, conflicts: set[str]) -> Iterator[str]:
    """What the team changed since its release, and would find no more: whole files, pictures, lines."""
    for path, held in before.items():
        released = (fresh / path).read_bytes() if (fresh / path).is_file() else b""
        if path == str(ANSWERS) or plain(held) == plain(released):
            continue
        after = (there / path).read_bytes() if (there / path).is_file() else None
        if after is None:
            yield f"{path} would be deleted, with your edits"
        elif b"\0" in held:
            if after != held:
                yield f"{path} is no text, and would be the release's again"
        elif path not in conflicts and (count := _lost_lines(held, released, after)):
            yield f"{path} would lose {count} lines of yours"
    for path in sorted(listed(fresh) - before.keys()):
        if (there / path).is_file():
            yield f"{path}, which you deleted, would come back"


def _lost_lines(held: bytes, released: bytes, after: bytes) -> int:
    lines, was, now = (Counter(plain(text).splitlines()) for text in (held, released, after))
    return ((lines - was) - now).total()
