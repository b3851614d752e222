"""What Copier does for ops/feature.py: reads the answers, renders the service elsewhere, updates it. Needs Copier."""

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import copier
import yaml
from copies import NotDoneError, tell
from leaving import OURS
from plumbum import local

# As copier.yml orders them: so the answer is the same, however often one came and went.
FEATURES = ("auth", "rate_limit")
ANSWERS = Path(".copier-answers.yml")
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
# Where git itself starts this, in a hook or a rebase, they name another folder than the one that is meant.
CALLERS = ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR")
# Set otherwise, files are not seen that an update would overwrite, and edits are not merged.
SETTINGS = {"status.showUntrackedFiles": "normal", "apply.whitespace": "nowarn"}


def read_answers(feature: str | None = None) -> dict[str, Any]:
    """What this service was rendered from.

    Raises:
        NotDoneError: no such feature, or no answers that an update could start from.
    """
    if feature is not None and feature not in FEATURES:
        raise NotDoneError(f"no feature is called {feature[:64]!r}; expected one of: {', '.join(FEATURES)}", 2)
    where = f"{ANSWERS} in {Path.cwd()}"
    if not ANSWERS.is_file():
        raise NotDoneError(f"{where} is not there; run this in the service, and bring the file back by git", 2)
    try:
        answers = yaml.safe_load(ANSWERS.read_text("utf-8"))
        features = answers.setdefault("features", [])  # the first releases asked for none
        is_whole = isinstance(answers["_commit"], str) and isinstance(answers["_src_path"], str)
        is_whole &= isinstance(answers.get("ejected") or {}, dict) and set(features) <= set(FEATURES)
    except (yaml.YAMLError, ValueError, TypeError, AttributeError, KeyError):
        is_whole = False
    if not is_whole:
        raise NotDoneError(
            f"{where} cannot be read, lacks _src_path or _commit, or names unknown features: see updating.md", 2
        )
    return dict(answers)


def shield() -> None:
    """Let no setting of the caller's decide what an update sees, no signal leave what is made on the way.

    And let names of any bytes be printed.
    """
    for each in ENDS:  # else scratch folders would stay
        if signal.getsignal(each) is not signal.SIG_IGN:  # as behind nohup
            signal.signal(each, signal.default_int_handler)
    warnings.simplefilter("ignore")  # of Copier, about templates on this machine
    for name in CALLERS:
        os.environ.pop(name, None)
    count = int(os.environ.get("GIT_CONFIG_COUNT") or 0)
    os.environ["GIT_CONFIG_COUNT"] = str(count + len(SETTINGS))
    for number, (name, value) in enumerate(SETTINGS.items(), count):
        os.environ |= {f"GIT_CONFIG_KEY_{number}": name, f"GIT_CONFIG_VALUE_{number}": value}
    local.env.clear()  # what Copier starts, plumbum does, with variables of its own
    local.env.update(os.environ)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="backslashreplace")


@contextmanager
def template_in_use() -> Iterator[None]:
    """Tell in one line what Copier could not do; its own words may hold a password of the address."""
    try:
        yield
    except UnicodeDecodeError as error:
        told = error.object[:200].decode("utf-8", "backslashreplace")
        raise NotDoneError(f"Copier reads UTF-8 alone; expected no file called otherwise, found {told}", 2) from error
    except Exception as error:  # Copier and git fail in many ways
        words = re.sub(r"://[^/@\s]*@", "://…@", (str(error).strip().splitlines() or [type(error).__name__])[-1])
        raise NotDoneError(f"Copier failed: {words.strip(' |')[:300]}{_expected(words)}") from error


def _expected(words: str) -> str:
    """What would help, where Copier and git say only what failed."""
    if words.startswith(("Invalid choice", "Validation error")):
        return ""
    if re.search(r"No space left|Out of diskspace|Disk quota exceeded", words):
        return "; expected room on the disks of this service and of TMPDIR"
    return (
        f"; expected at _src_path of {ANSWERS} the template with its git history, and in it _commit; git status "
        "must be clean before another try"
    )


def ended(do: Callable[[], int]) -> int:
    """Do it, and return the exit code; what kept it from being done is one line."""
    shield()
    try:
        return do()
    except subprocess.CalledProcessError as error:
        words = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        print(f"not done: {words[0] if words else error}", file=sys.stderr)
    except (NotDoneError, OSError, KeyboardInterrupt) as error:
        print(f"not done: {'interrupted' if isinstance(error, KeyboardInterrupt) else error}", file=sys.stderr)
    return 2


@contextmanager
def rendered(answers: dict[str, Any], features: list[str]) -> Iterator[Path]:
    """The service as its release renders it, with these features, in a scratch folder."""
    given = {name: value for name, value in answers.items() if not name.startswith("_")} | {"features": features}
    with tempfile.TemporaryDirectory() as folder:
        service = Path(folder, "service")
        tell(f"rendering the service with {', '.join(features) or 'no feature'}, to compare")
        with template_in_use():
            copier.run_copy(
                answers["_src_path"], service, data=given, vcs_ref=answers["_commit"], defaults=True, quiet=True
            )
        yield service


def listed(folder: Path) -> set[str]:
    """Every file below a folder."""
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def update(features: list[str]) -> None:
    """Let Copier update this service, at the release it has, with this answer."""
    tell("updating")
    with template_in_use():
        copier.run_update(
            data={"features": features},
            vcs_ref=copier.VcsRef.CURRENT,
            skip_answered=True,
            defaults=True,
            overwrite=True,
            quiet=True,
        )


def copy_missing(full: Path, brought: set[str]) -> list[str]:
    """Copy the files of a sample that are not here; a revision is never copied, for its number may be taken."""
    missing = sorted(
        path for path in brought if not path.startswith((*OURS, "migrations/")) and not Path(path).exists()
    )
    for path in missing:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(full / path, path)
    return missing
