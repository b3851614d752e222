"""What an update of many services costs each of them: whether fifty cost more apiece than five."""

import shutil
import statistics
import sys
import tempfile
import time
from pathlib import Path

import copier
import render
from clocks import children_seconds
from report import Row
from service import BENCH, run, working_tree

__all__ = ["fleets"]

_FEW, _MANY = 5, 50
_KEPT = ("Makefile", "README", "pyproject", ".env.example", "{{_copier_conf")


def fleets(rounds: int) -> list[Row]:
    """Update five services and fifty, in turn; the template has few files, for what is asked is what the fleet adds."""
    with tempfile.TemporaryDirectory(dir=BENCH) as name:
        scratch = Path(name)
        template = _template(scratch)
        service = scratch / "service"
        copier.run_copy(str(template), service, defaults=True, quiet=True)
        render.release(service)
        (template / "template/mypy.ini").write_text("# newer\n", encoding="utf-8")
        run(*_git("add", "--all"), cwd=template)
        run(*_git("commit", "--quiet", "--message", "2"), cwd=template)
        run(*_git("tag", "1.1.0"), cwd=template)
        costs = [(_cost(scratch, service, _FEW), _cost(scratch, service, _MANY)) for _ in range(rounds)]
    return [
        _row("fleet update, a service of 50, processor", [(few[0], many[0]) for few, many in costs], 1.1),
        _row("the same, by the clock", [(few[1], many[1]) for few, many in costs], 1.1),
    ]


def _git(*arguments: str) -> tuple[str, ...]:
    return ("git", "-c", "user.name=Plumbline", "-c", "user.email=plumbline@example.invalid", *arguments)


def _template(scratch: Path) -> Path:
    whole, small = working_tree(scratch / "whole"), scratch / "template"
    (small / "template").mkdir(parents=True)
    shutil.copy(whole / "copier.yml", small)
    for path in (whole / "template").iterdir():
        if path.name.startswith(_KEPT):
            shutil.copy(path, small / "template")
    return render.release(small)


def _cost(scratch: Path, service: Path, count: int) -> tuple[float, float]:
    """Seconds of processor time and of the clock that an update of `count` services takes each of them."""
    folder = scratch / "fleet"
    found = [folder / f"s{number}" for number in range(count)]
    for one in found:
        shutil.copytree(service, one, symlinks=True)
    fleet = Path(__file__).resolve().parents[2] / "hooks/fleet.py"
    processor, clock = children_seconds(), time.monotonic()
    run(sys.executable, fleet, "update", *found, "--gate", "help", cwd=folder, limit_seconds=3600)
    spent = (children_seconds() - processor) / count, (time.monotonic() - clock) / count
    shutil.rmtree(folder)
    return spent


def _row(name: str, pairs: list[tuple[float, float]], most: float) -> Row:
    ratio = statistics.median(many / few for few, many in pairs)
    few, many = (statistics.median(column) for column in zip(*pairs, strict=True))
    return Row(name, ratio, "of one of 5", most, note=f"{many:.2f} / {few:.2f} s a service")
