"""Adds a feature to this service or removes one: the answer `features` is given anew, and Copier updates. Needs Copier.

Usage: uv tool run --from 'copier>=9.19.1,<10' python ops/feature.py (--add NAME [--sample] | --remove NAME [--yes])
Nothing of the team's is changed or deleted. The release of the template stays the one this service has.
Exit codes: 0 done or nothing to do, 1 not done, or a conflict to settle, 2 wrong use, or a tree that is not committed.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from clean_tree import require_committed, require_held, require_in_place
from copies import NotDoneError
from leaving import OURS, edited, modules, sweep
from references import references
from remains import libraries, notes, settings_of
from rendering import (
    FEATURES,
    copy_missing,
    listed,
    read_answers,
    rendered,
    shield,
    update,
)
from repository import git, unmerged

SAMPLES = {"auth": "accounts"}
INSTEAD = {
    "auth": (
        "In your own code a parameter made by `requires`, or `Known`, becomes `Public` of app.chassis.http: then\n"
        "anybody may come in there."
    )
}
AFTERWARDS = {"auth": "a route without `Public` or a guard makes `make test` red: docs/chassis/features/auth.md"}


def main(arguments: list[str] | None = None) -> int:
    """Add or remove one feature."""
    parser = argparse.ArgumentParser(description="Add a feature to this service, or remove one.", allow_abbrev=False)
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--add", metavar="NAME")
    which.add_argument("--remove", metavar="NAME")
    parser.add_argument("--sample", action="store_true", help="with --add: copy what is missing of its sample, too")
    parser.add_argument("--yes", action="store_true", help="with --remove: even files of ours that you have edited")
    options = parser.parse_args(arguments)
    shield()
    try:
        if options.add is not None:
            return add(options.add, with_sample=options.sample)
        return remove(options.remove, is_sure=options.yes)
    except (NotDoneError, OSError, subprocess.CalledProcessError, KeyboardInterrupt) as error:
        print(f"not done: {'interrupted' if isinstance(error, KeyboardInterrupt) else error}", file=sys.stderr)
        return error.code if isinstance(error, NotDoneError) else 1


def add(feature: str, *, with_sample: bool) -> int:
    """Bring a feature in."""
    if with_sample and feature in FEATURES and feature not in SAMPLES:
        raise NotDoneError(f"{feature} has no sample; expected SAMPLE=1 with one of: {', '.join(SAMPLES)}", 2)
    answers = read_answers(feature)
    without = [name for name in answers["features"] if name != feature]
    wanted = [name for name in FEATURES if name in {*without, feature}]
    if is_there := feature in answers["features"]:
        print(f"{feature} is there already")
        if not with_sample:
            return 0
    require_committed()
    require_in_place(answers)
    with way_back():
        with rendered(answers, without) as lean, rendered(answers, wanted) as full:
            require_held(lean, full)
            if not is_there:
                update(wanted)
            if with_sample:
                copy_missing(full, listed(full) - listed(lean))
        if conflicts():
            return 1
        setup()
    report()
    if not is_there and feature in AFTERWARDS:
        print(f"note: {AFTERWARDS[feature]}")
    written = f'make migration NAME="create {SAMPLES[feature]}", ' if with_sample else ""
    print(f"next: {written}make migrate, make check, make test; then commit")
    return 0


def remove(feature: str, *, is_sure: bool) -> int:
    """Take a feature out; refused while files of the team's name what would go with it."""
    answers = read_answers(feature)
    if feature not in answers["features"]:
        print(f"{feature} is not there: nothing to remove")
        return 0
    require_committed()
    require_in_place(answers)
    # Most of what a whole look would find, told before the renders take their time.
    require_unused(feature, git("ls-files", "-z", f"src/app/chassis/{feature}", f"tests/chassis/{feature}").split("\0"))
    wanted = [name for name in answers["features"] if name != feature]
    with rendered(answers, answers["features"]) as full, rendered(answers, wanted) as lean:
        require_held(full, lean)
        leaving = {path for path in listed(full) - listed(lean) if path.startswith(OURS)}
        require_unused(feature, leaving)
        if not is_sure:
            require_unedited(feature, leaving, full)
        dropped = libraries(full) - libraries(lean)
        unread = settings_of(full) - settings_of(lean)
    with way_back():
        update(wanted)
        sweep(leaving)
        if conflicts():
            return 1
        setup()
    report()
    for note in notes(feature, wanted, leaving, dropped, unread):
        print(f"note: {note}")
    print("next: make check, make test; then commit")
    return 0


def require_unused(feature: str, leaving: Iterable[str]) -> None:
    """Raise NotDoneError, naming file and line, if the team names modules among these."""
    if found := list(references(modules(leaving))):
        lines = "\n".join(found)
        sample = SAMPLES.get(feature)
        is_there = sample and git("ls-files", f"src/app/domains/{sample}")
        out = f"`make remove-sample NAME={sample}` takes the sample {sample} out.\n" if is_there else ""
        then = INSTEAD.get(feature, "Take these imports and names out.")
        raise NotDoneError(f"{feature} is in use\n{lines}\n{out}{then}\nCommit that, then try again")


def require_unedited(feature: str, leaving: set[str], original: Path) -> None:
    """Raise NotDoneError if the team has edited files of ours that would go."""
    if changed := edited(leaving, original):
        lines = "\n".join(f"{path} is edited" for path in changed)
        raise NotDoneError(
            f"your edits in files of ours would go with {feature}\n{lines}\n"
            "docs/chassis/updating.md says where they belong. To let them go, for git keeps them: YES=1 (--yes)"
        )


@contextmanager
def way_back() -> Iterator[None]:
    """Where it ends half way, say how the service is brought back."""
    try:
        yield
    except BaseException:
        if git("status", "--porcelain", "--", "."):
            print(f"your files are changed; back to what was committed: {_back()}", file=sys.stderr)
        raise


def _back() -> str:
    here = shlex.quote(str(Path.cwd()))  # other folders of the repository may have what nobody committed
    return f"git -C {here} restore --staged --worktree . && git -C {here} clean -d --force ."


def conflicts() -> list[str]:
    """Files that Copier could not merge, told."""
    if found := unmerged():
        print("\n".join(f"conflict: {path}" for path in found), file=sys.stderr)
        print(
            "settle them as docs/chassis/updating.md says, then make setup, make check, make test; then commit.\n"
            f"Or go back: {_back()}",
            file=sys.stderr,
        )
    return found


def setup() -> None:
    """Install what the service now asks for, and nothing else."""
    if subprocess.run(["make", "setup"], stdout=subprocess.DEVNULL, check=False).returncode:
        raise NotDoneError("the files are changed, but make setup failed; put right what it says and run it again")


def report() -> None:
    """What the working tree has that the last commit has not; a folder stands for all its files."""
    paths = {
        "added": git("ls-files", "--others", "--exclude-standard", "--directory", "--no-empty-directory", "-z"),
        "changed": git("diff", "--name-only", "--relative", "--diff-filter=M", "-z", "HEAD"),
        "removed": git("ls-files", "--deleted", "-z"),
    }
    for word, told in paths.items():
        for path in sorted({_highest(path) if word == "removed" else path for path in told.split("\0") if path}):
            print(f"{word}: {path}")


def _highest(path: str) -> str:
    """The folder that went with a file, else the file."""
    gone = [parent for parent in Path(path).parents if not parent.is_dir()]
    return f"{gone[-1]}/" if gone else path


if __name__ == "__main__":
    sys.exit(main())
