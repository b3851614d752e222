"""One service of a fleet: what git and its answers say, and a worktree in which its update is tried or made.

The service's own folder is only read. What is known of updates are the programs in template/ops, run as they lie here:
a service of an older release has none, or other ones.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fleet_list import Service
from fleet_programs import Done, Programs, TookTooLongError
from fleet_said import headline
from fleet_template import NotToldError, Template, Templates, configured

OPS = Path(__file__).resolve().parent.parent / "template" / "ops"
ANSWERS = ".copier-answers.yml"
TAIL_LINES = 15


@dataclass(frozen=True)
class Held:
    """A service as git holds it: its repository, where in that it lies, its release, its template."""

    repository: Path
    prefix: str
    commit: str
    version: str
    template: Template

    @property
    def behind(self) -> tuple[str, ...]:
        """The releases it does not have."""
        return self.template.newer_than(self.version)


class Workshop:
    """Where services are worked on: a scratch folder, the programs that run, the templates."""

    def __init__(
        self, scratch: Path, programs: Programs, environment: Mapping[str, str], leftovers: Iterable[Path] = ()
    ) -> None:
        """`environment` is what gates get; `leftovers` are scratch folders of runs that were killed."""
        self.scratch, self.programs, self.environment = scratch, programs, environment
        self.leftovers = tuple(leftovers)
        # Hooks are the developer's, and have nothing to do here; nor is an index of theirs written for its times.
        hooks = ("core.hooksPath", os.devnull)
        self._gits = configured(environment, hooks) | {"GIT_OPTIONAL_LOCKS": "0"}
        self.templates = Templates(programs, self._gits, scratch / "templates")

    def held(self, path: Path) -> Held:
        """Look at a folder.

        Raises:
            NotToldError: it is no service, git does not hold all of it, or its template cannot be reached.
        """
        if not path.is_dir():
            raise NotToldError(
                "there is no such folder" if not path.exists() else "it is no folder; expected a service"
            )
        if not os.access(path, os.R_OK | os.X_OK):
            raise NotToldError("it may not be read; expected a folder that you may read")
        if self.git(path, "rev-parse", "--is-bare-repository", is_asked=True) == "true":
            raise NotToldError("it is a bare repository; expected a clone with files: git clone")
        version, source = _answers(path / ANSWERS)
        self._require_committed(path)
        common = Path(self.git(path, "rev-parse", "--git-common-dir"))
        prefix = self.git(path, "rev-parse", "--show-prefix")
        head = self.git(path, "rev-parse", "HEAD")
        return Held((path / common).resolve(), prefix, head, version, self.templates.at(source))

    def _require_committed(self, path: Path) -> None:
        try:
            is_tracked = bool(self.git(path, "ls-files", "--", ANSWERS))
        except NotToldError as error:
            if "ownership" in str(error):
                raise
            is_tracked = False
        if not is_tracked:
            raise NotToldError("git does not hold it; expected a service that is committed")
        if self.git(path, "rev-parse", "--verify", "--quiet", "HEAD", is_asked=True) == "":
            raise NotToldError("it has no commit; expected a service that is committed")
        if self.git(path, "status", "--porcelain", "--", "."):
            raise NotToldError("not everything is committed (git status); commit or stash it")

    def git(self, folder: Path, *arguments: str, is_asked: bool = False) -> str:
        """What git prints in a folder; empty where it fails and that is an answer.

        Raises:
            NotToldError: git failed.
        """
        done = self._run(["git", *arguments], folder, self._gits)
        if done.code and not is_asked:
            words = next(iter(done.err.strip().splitlines()), f"exit status {done.code}")
            raise NotToldError(f"git {arguments[0]}: {words}")
        return "" if done.code else done.out.strip("\n")

    @contextmanager
    def worktree(self, service: Service, held: Held) -> Iterator[Path]:
        """The service as it is committed, elsewhere; gone afterwards, with what git remembers of it.

        Raises:
            NotToldError: git could not make it.
        """
        for old in self.leftovers:
            self._remove(service, old)
        whole = _tree(self.scratch, service)
        whole.parent.mkdir(parents=True, exist_ok=True)
        try:
            self.git(service.path, "worktree", "add", "--quiet", "--detach", str(whole), held.commit)
            yield whole / held.prefix
        finally:
            self._remove(service, self.scratch)

    def _remove(self, service: Service, scratch: Path) -> None:
        """Not by `programs`, which begin nothing more once the run is interrupted."""
        whole = _tree(scratch, service)
        command = ["git", "worktree", "remove", "--force", "--force", str(whole)]
        with suppress(OSError):
            subprocess.run(command, cwd=service.path, env=self._gits, capture_output=True, check=False)
        shutil.rmtree(whole.parent, ignore_errors=True)

    def ops(self, program: str, folder: Path, service: Service, held: Held, *arguments: str) -> Any:
        """Run a program of template/ops in a folder, and return the JSON it prints.

        Raises:
            NotToldError: it could not tell, or not do it.
        """
        own = self.scratch / "own" / service.key
        (own / "tmp").mkdir(parents=True, exist_ok=True)
        environment = held.template.environment(self._gits, own / "cache") | {"TMPDIR": str(own / "tmp")}
        try:
            done = self._run([sys.executable, str(OPS / program), *arguments], folder, environment)
        finally:
            shutil.rmtree(own, ignore_errors=True)
        if done.code not in (0, 1):
            said = [line for line in done.err.splitlines() if line.startswith(("not done: ", "not told: "))]
            words = said[-1].partition(": ")[2] if said else (done.err.strip().splitlines() or ["it said nothing"])[-1]
            raise NotToldError(words)
        try:
            return json.loads(done.out.splitlines()[-1])
        except (IndexError, ValueError):
            raise NotToldError((done.err.strip().splitlines() or [f"{program} said nothing"])[-1]) from None

    def gate(self, target: str, folder: Path, log: Path) -> dict[str, Any] | None:
        """Run a target; None where it passes, else how it ended, the line that says why, and its last lines."""
        try:
            done = self.programs.run(["make", "--", target], folder, self.environment, log)
        except (TookTooLongError, OSError) as error:
            said = error.out.splitlines() if isinstance(error, TookTooLongError) else []
            return {"target": target, "code": None, "why": str(error), "tail": [*said, str(error)][-TAIL_LINES:]}
        said = done.out.splitlines()
        tail = said[-TAIL_LINES:]
        return {"target": target, "code": done.code, "why": headline(said), "tail": tail} if done.code else None

    def _run(self, command: list[str], folder: Path, environment: Mapping[str, str]) -> Done:
        try:
            return self.programs.run(command, folder, environment)
        except (TookTooLongError, OSError) as error:
            raise NotToldError(str(error)) from None


def _tree(scratch: Path, service: Service) -> Path:
    """Where its worktree is; the last part is the service's own name, for what goes by the name of a folder."""
    return scratch / "trees" / service.key / service.key.rpartition("-")[0]


def _answers(path: Path) -> tuple[str, str]:
    """The release and the template that a service was made from."""
    try:
        answers = yaml.safe_load(path.read_text("utf-8"))
        return str(answers["_commit"]).removeprefix("v"), str(answers["_src_path"])
    except FileNotFoundError:
        raise NotToldError(f"there is no {ANSWERS} in it; expected a service made from a template") from None
    except OSError as error:
        raise NotToldError(f"{ANSWERS} cannot be read: {error.strerror}") from None
    except (yaml.YAMLError, ValueError, TypeError, KeyError, AttributeError):
        raise NotToldError(f"{ANSWERS} lacks _commit or _src_path; expected it as Copier wrote it") from None
