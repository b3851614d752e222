"""What it takes to get going: a copy, a setup, a first answer, the rendered suite."""

import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import render
from clocks import children_seconds, cpu_ns
from report import Row
from service import BENCH, Server, environment, free_port, run, stop, wait_for_200, working_tree

__all__ = ["copies", "first_answer", "process_start", "suite"]


def copies(rounds: int) -> list[Row]:
    """Copy with every default, of this template and of the same files without any logic, both released in git."""
    with tempfile.TemporaryDirectory(dir=BENCH) as name:
        scratch = Path(name)
        ours = render.release(working_tree(scratch / "ours"))
        render.cost_of_copy(ours, scratch / "first")
        plain = render.release(render.without_logic(scratch / "first", scratch / "plain"))
        count = sum(path.is_file() for path in (scratch / "first").rglob("*"))
        library = _interleaved(rounds, ours, plain, lambda source: render.cost_of_copy(source, scratch / "a"))
        command = _interleaved(rounds, ours, plain, lambda source: _seconds(lambda: _copy(source, scratch / "b")))
        services = {source: render.service_to_update(source, scratch / f"of {source.name}") for source in (ours, plain)}
        update = _interleaved(rounds, ours, plain, lambda source: render.cost_of_update(services[source]))
    return [
        _copy_row(f"copy of {count} files, processor", *library, 1.2),
        _copy_row("the same as a command, wall", *command, None),
        _copy_row("update of that copy, processor", *update, render.UPDATE_BUDGET),
    ]


def _interleaved(
    rounds: int, ours: Path, plain: Path, cost: Callable[[Path], float]
) -> tuple[list[float], list[float]]:
    pairs = []
    for number in range(rounds + 1):
        found = {source: cost(source) for source in ((ours, plain) if number % 2 else (plain, ours))}
        pairs.append((found[ours], found[plain]))
    mine, bare = zip(*pairs[1:], strict=True)  # the first warms up
    return list(mine), list(bare)


def _copy_row(name: str, ours: list[float], plain: list[float], most: float | None) -> Row:
    ratio = statistics.median(o / p for o, p in zip(ours, plain, strict=True))
    note = f"{statistics.median(ours):.2f} / {statistics.median(plain):.2f} s"
    return Row(name, ratio, "ours / plain", most, note=note)


def _copy(source: Path, target: Path) -> None:
    shutil.rmtree(target, ignore_errors=True)
    run(sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", source, target, cwd=BENCH)


def _seconds(work: Callable[[], object]) -> float:
    started = time.monotonic()
    work()
    return time.monotonic() - started


def first_answer(rounds: int) -> list[Row]:
    """Copy, `make setup`, `make run` until /livez is 200. The first pass fills the caches and does not count."""
    source, target = working_tree(BENCH / "template"), BENCH / "first"
    passes = [_first_answer(source, target) for _ in range(rounds + 1)][1:]
    parts = [statistics.median(each[index] for each in passes) for index in range(3)]
    note = "copy {:.1f}, setup {:.1f}, run {:.1f} s".format(*parts)
    return [Row("copy to first 200", statistics.median(sum(each) for each in passes), "s", 20.0, note=note)]


def _first_answer(source: Path, target: Path) -> tuple[float, float, float]:
    port, start = free_port(), time.monotonic()
    _copy(source, target)
    copied = time.monotonic()
    run("make", "setup", cwd=target)
    ready = time.monotonic()
    variables = environment(PORT=str(port), HOST="127.0.0.1", SERVER_DRAIN_SECONDS="0")
    with (BENCH / "first.log").open("wb") as log:
        process = subprocess.Popen(
            ["make", "run"], cwd=target, env=variables, stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_for_200(port, "/livez", process)
        return copied - start, ready - copied, time.monotonic() - ready
    finally:
        stop(process, is_group=True)


def suite() -> list[Row]:
    """Wall time of `make test` in the service that `first_answer` left, once its caches are warm."""
    target = BENCH / "first"
    if not (target / "tests").is_dir():
        return []
    run("make", "test", cwd=target)
    before = children_seconds()
    seconds = _seconds(lambda: run("make", "test", cwd=target))
    note = f"make test, warm; {children_seconds() - before:.1f} s of processor time"
    return [Row("rendered suite", seconds, "s", 20.0, note=note)]


def process_start(service: Path, rounds: int) -> list[Row]:
    """Start of the process to its first 200, against the bare app that imports the same modules."""
    modules = str(service / "bare/modules.txt")
    wall: dict[str, list[float]] = {"service": [], "bare": [], "bare-nothing-more": []}
    cpu: dict[str, list[float]] = {name: [] for name in wall}
    for number in range(rounds + 1):
        names = list(wall) if number % 2 else list(reversed(wall))
        for name in names:
            more = {"BENCH_MODULES": modules} if name == "bare" else {}
            started = time.monotonic()
            server = Server.spawn(name, service, **more)
            try:
                server.wait_for("/livez")
                seconds, used = time.monotonic() - started, cpu_ns(server.pid) / 1e9
            finally:
                server.stop()
            if number:
                wall[name].append(seconds)
                cpu[name].append(used)
    least = statistics.median(cpu["bare-nothing-more"])
    count = len(Path(modules).read_text(encoding="utf-8").split())
    rows = []
    for unit, times, most in (("processor", cpu, None), ("wall", wall, 1.5)):
        ratio = statistics.median(o / b for o, b in zip(times["service"], times["bare"], strict=True))
        note = f"{statistics.median(times['service']):.2f} / {statistics.median(times['bare']):.2f} s"
        rows.append(Row(f"process start to first 200, {unit}", ratio, "ours / bare", most, note=note))
    rows[0].note += f"; the same {count} modules imported; FastAPI alone {least:.2f} s"
    return rows
