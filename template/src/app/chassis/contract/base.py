"""What was released, read from git and never from the working tree. May import http, operations."""

import json
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from app.chassis.contract.operations import operations_of
from app.chassis.http.names import REF
from app.chassis.http.recordings import Case, ContractError, parsed

__all__ = ["Base", "NoHistoryError", "NothingReleasedError", "find_base", "find_release"]

_RELEASES = "v[0-9]*"
_BRANCHES = ("origin/main", "origin/master", "main", "master")


class NothingReleasedError(Exception):
    """There is nothing yet that a client could rely on."""


class NoHistoryError(ContractError):
    """Git does not say what was released: there is no repository, or no branch that could hold it."""


@dataclass(frozen=True)
class Base:
    """A commit whose contract clients rely on; `name` says which, `why` how it was chosen."""

    root: Path
    name: str
    why: str

    def document(self, version: str) -> dict[str, Any]:
        """OpenAPI document of one released version.

        Raises:
            ContractError: it is no OpenAPI document.
        """
        path = f"contract/{version}/openapi.json"
        try:
            document = json.loads(self._read(path))
            _require_openapi(document)
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ContractError(
                f"{self.name}:{path}: cannot be read: {error!r}; expected an OpenAPI document of `make contract`"
            ) from None
        return dict(document)

    def cases(self, version: str) -> Iterator[Case]:
        """Recorded cases of one released version.

        Raises:
            ContractError: a file is no case.
        """
        for path in self.files("contract"):
            parts = path.split("/")
            if parts[:2] == ["contract", version] and len(parts) == 4 and path.endswith(".json"):
                yield parsed(self.root / path, self._read(path))

    @cached_property
    def versions(self) -> list[str]:
        """Versions with a released document."""
        return [path.split("/")[1] for path in self.files("contract") if path.endswith("/openapi.json")]

    def files(self, folder: str) -> list[str]:
        """Paths of the released files below a folder of the service."""
        names = _git(self.root, "ls-tree", "-r", "-z", "--name-only", self.name, "--", folder)
        return names.decode(errors="replace").split("\0")

    def has_other(self, path: str) -> bool:
        """Whether a file of the working tree is another than the released one."""
        return _says(self.root, "diff", "--quiet", self.name, "--", path) is None

    def _read(self, path: str) -> bytes:
        return _git(self.root, "show", f"{self.name}:./{path}")


def _require_openapi(document: dict[str, Any]) -> None:
    """Raises an error of some kind if it is not what FastAPI writes: nothing may be overlooked."""
    operations_of(document)
    schemas, nodes = document["components"]["schemas"], [document["paths"], document["components"]]
    if not str(document["openapi"]).startswith("3.1") or not document["info"]:
        raise ValueError("not OpenAPI 3.1")
    while nodes:
        node = nodes.pop()
        nodes += node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
        reference = node.get("$ref", {}) if isinstance(node, dict) else {}
        if not isinstance(reference, dict) and not reference.startswith("#/components/examples/"):
            schemas[reference.removeprefix(REF)].items()


def find_base(root: Path, given: str | None) -> Base:
    """The release whose contract clients rely on.

    Raises:
        NothingReleasedError: there is no release and no contract on the default branch.
        ContractError: it cannot be told, or a release has no contract.
    """
    base = find_release(root, given, lambda one: bool(one.versions))
    if base.versions:
        return base
    if base.why == _MERGE_BASE:
        raise NothingReleasedError(f"no release tag {_RELEASES}, and no contract in {base.name} ({base.why})")
    raise ContractError(
        f"{base.name} ({base.why}) holds no contract/vN/openapi.json; expected the one clients rely on: "
        "`make contract`, commit, release again; or BASE=<commit that has one>"
    )


_MERGE_BASE = "where this branch left the default branch"


def find_release(root: Path, given: str | None, is_usable: Callable[[Base], bool] = bool) -> Base:
    """The last release tag before HEAD, else where this branch left the default one; or the commit that is given.

    Args:
        root: Folder of the service.
        given: A commit, in place of what would be found.
        is_usable: Asked about the release before the one that is being made; else that one itself is taken.

    Raises:
        NothingReleasedError: there is no commit.
        NoHistoryError: there is no repository, or neither a release nor a default branch.
        ContractError: it cannot be told.
    """
    if _says(root, "rev-parse", "--git-dir") is None:
        raise NoHistoryError(f"{root}: no git repository, or no git; expected the repository that holds the releases")
    if given:
        if _says(root, "rev-parse", "--verify", "--quiet", f"{given}^{{commit}}") is None:
            raise ContractError(f"BASE={given}: git knows no such commit; expected a tag, a branch or a commit")
        return Base(root, given, "as BASE says")
    if _says(root, "rev-parse", "--verify", "--quiet", "HEAD") is None:
        raise NothingReleasedError("no commit yet")
    describe = ("describe", "--tags", "--abbrev=0", "--match", _RELEASES, "--exclude", "*-*")
    tag = _says(root, *describe)
    if tag and _says(root, *describe, "--exact-match"):  # the release that is being made is held against the one before
        before = _says(root, *describe, "HEAD^")
        tag = before if before and is_usable(Base(root, before, "")) else tag
    if tag:
        return Base(root, tag, "the last release tag")
    if _says(root, "rev-parse", "--is-shallow-repository") == "true":
        raise ContractError(
            "a shallow clone shows no release; expected the whole history with its tags: "
            "`git fetch --unshallow --tags`, in CI fetch-depth: 0 or GIT_DEPTH: 0"
        )
    origin = _says(root, "symbolic-ref", "--quiet", "--short", "refs/remotes/origin/HEAD")
    for branch in filter(None, (origin, *_BRANCHES)):
        if common := _says(root, "merge-base", "HEAD", branch):
            return Base(root, common[:12], _MERGE_BASE)
    raise NoHistoryError(
        f"no release tag {_RELEASES} and none of {', '.join(_BRANCHES)}; expected one, or BASE=<commit>"
    )


def _git(root: Path, *arguments: str) -> bytes:
    command = ["git", "-C", str(root), *arguments]
    done = subprocess.run(command, capture_output=True, check=False)  # noqa: S603  # git, with our own words
    if done.returncode:
        raise ContractError(f"git {arguments[0]}: {done.stderr.decode(errors='replace').strip()}")
    return done.stdout


def _says(root: Path, *arguments: str) -> str | None:
    try:
        return _git(root, *arguments).decode().strip()
    except (ContractError, OSError):
        return None
