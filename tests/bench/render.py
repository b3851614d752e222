"""What a render costs, as ratios of processor time taken in one run, interleaved.

A render of Plumbline is compared with a render of as many files that hold no logic at all.
"""

import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import copier

ROOT = Path(__file__).resolve().parents[2]
WORK = ROOT / ".work"
ROUNDS = 7
# Issue of record: `copier copy --defaults` costs at most this much of a template without logic.
COPY_BUDGET = 1.2
# And `copier update` of it to a release that changes as many files as one may.
UPDATE_BUDGET = 1.2
CHANGED = "ops/*.py"


def cpu_seconds() -> float:
    """Return the processor time of this process and its finished children."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in used)


def cost_of_copy(source: Path, folder: Path) -> float:
    """Render a template once with every default and return the processor seconds."""
    shutil.rmtree(folder, ignore_errors=True)
    began = cpu_seconds()
    copier.run_copy(str(source), folder, defaults=True, quiet=True, unsafe=False)
    return cpu_seconds() - began


def without_logic(rendered: Path, folder: Path) -> Path:
    """Make a template that renders the same files by copying them: no question, no condition, one suffix."""
    shutil.copytree(rendered, folder / "template")
    (folder / "template" / ".copier-answers.yml").unlink()
    (folder / "copier.yml").write_text("_subdirectory: template\n")
    answers = folder / "template" / "{{_copier_conf.answers_file}}.jinja"
    answers.write_text("{{ _copier_answers|to_nice_yaml -}}\n")
    return folder


def release(folder: Path, version: str = "1.0.0") -> Path:
    """Make a folder a tagged repository, as a template is."""
    _git(folder, "init", "--quiet")
    _git(folder, "add", "--all")
    _git(folder, "commit", "--quiet", "-m", version)
    _git(folder, "tag", version)
    return folder


def _git(folder: Path, *arguments: str) -> None:
    identity = ["-c", "user.name=Plumbline", "-c", "user.email=plumbline@example.invalid"]
    subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)


def service_to_update(source: Path, folder: Path) -> Path:
    """Return a committed service of a template's release 1.0.0, which has a release 2.0.0 from then on."""
    copier.run_copy(str(source), folder, defaults=True, quiet=True)
    release(folder)
    for path in (source / "template").glob(CHANGED):
        path.write_text(path.read_text() + "# of 2.0.0\n")
    release(source, "2.0.0")
    return folder


def cost_of_update(service: Path) -> float:
    """Update a service once and return the processor seconds; afterwards it is as before."""
    began = cpu_seconds()
    copier.run_update(service, defaults=True, overwrite=True, quiet=True, unsafe=False)
    cost = cpu_seconds() - began
    _git(service, "reset", "--quiet", "--hard")
    return cost


def main() -> int:
    """Measure in interleaved rounds, print the medians and their ratio; return 1 when it is over budget."""
    WORK.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=WORK) as name:
        scratch = Path(name)
        ours = scratch / "ours"
        shutil.copytree(ROOT / "template", ours / "template")
        shutil.copy(ROOT / "copier.yml", ours)
        release(ours)
        cost_of_copy(ours, scratch / "first")
        plain = release(without_logic(scratch / "first", scratch / "plain"))
        costs = [(cost_of_copy(ours, scratch / "a"), cost_of_copy(plain, scratch / "b")) for _ in range(ROUNDS)]
        count = sum(path.is_file() for path in (scratch / "a").rglob("*"))
    mine, bare = (statistics.median(column) for column in zip(*costs, strict=True))
    print(f"copy of {count} files: {mine:.2f} s of processor time; without logic {bare:.2f} s")
    print(f"ratio {mine / bare:.2f}, at most {COPY_BUDGET}")
    return int(mine / bare > COPY_BUDGET)


if __name__ == "__main__":
    sys.exit(main())
