"""Works on many services at once, those of one repository one after the other, and tells of each as it is done."""

import queue
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import typer
from fleet_list import Service
from fleet_programs import EndedError, Programs, base_environment
from fleet_report import plain

Row = dict[str, Any]
WAIT_SECONDS = 0.5  # until Ctrl-C is noticed, at the latest
_ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def by_repository(found: Sequence[Service]) -> list[list[Service]]:
    """Put together what one repository holds: two at once would meet at git's locks."""
    groups: dict[str, list[Service]] = {}
    for service in found:
        command = ["git", "rev-parse", "--path-format=absolute", "--git-common-dir"]
        try:
            done = subprocess.run(command, cwd=service.path, env=base_environment(), capture_output=True, check=False)
            key = done.stdout.decode("utf-8", "replace").strip() or str(service.path)
        except OSError:  # no folder
            key = str(service.path)
        groups.setdefault(key, []).append(service)
    return list(groups.values())


@contextmanager
def interrupts() -> Iterator[None]:
    """Each signal that ends is KeyboardInterrupt, the first time; what tidies up afterwards is left alone."""
    before = [signal.getsignal(each) for each in _ENDS]

    def interrupt(*_: object) -> None:
        for each in _ENDS:
            signal.signal(each, signal.SIG_IGN)
        raise KeyboardInterrupt

    for each, handler in zip(_ENDS, before, strict=True):
        if handler is not signal.SIG_IGN:  # as behind nohup
            signal.signal(each, interrupt)
    try:
        yield
    finally:
        for each, handler in zip(_ENDS, before, strict=True):
            signal.signal(each, handler)


def work(
    found: Sequence[Service], jobs: int, programs: Programs, do: Callable[[Service], Row],
    failed: Callable[[Service, str], Row], told: Callable[[Row], str],
) -> tuple[list[Row], bool]:  # fmt: skip
    """Do it to each service; returns the rows there are, and whether it was interrupted."""
    rows: queue.Queue[Service | Row | None] = queue.Queue()

    def group(members: Sequence[Service]) -> None:
        for service in members:
            rows.put(service)
            try:
                row = do(service)
            except EndedError:
                break
            except Exception as error:  # one service must not keep the others from it
                row = failed(service, f"{type(error).__name__}: {error}")
            rows.put(row)
        rows.put(None)

    done: list[Row] = []
    with interrupts(), ThreadPoolExecutor(jobs) as pool:
        try:
            groups = by_repository(found)
            for members in groups:
                pool.submit(group, members)
            with _progress(len(found), told) as tell:
                for each in _until_done(rows, len(groups)):
                    done += [] if isinstance(each, Service) else [each]
                    tell(each)
        except KeyboardInterrupt:
            typer.echo("interrupted: ending what runs", err=True)
            pool.shutdown(wait=False, cancel_futures=True)
            programs.end()
            return done, True
    return done, False


def _until_done(rows: queue.Queue[Service | Row | None], groups: int) -> Iterator[Service | Row]:
    """Each service that is begun, and the row of each that is done."""
    while groups:
        try:  # a signal that another thread takes, or that comes just before a wait, does not end it
            row = rows.get(timeout=WAIT_SECONDS)
        except queue.Empty:
            continue
        if row is None:
            groups -= 1
        else:
            yield row


@contextmanager
def _progress(count: int, told: Callable[[Row], str]) -> Iterator[Callable[[Service | Row], None]]:
    """A bar on a terminal, else a line for each that is begun, and for each that is done."""
    if not sys.stderr.isatty():
        numbers = iter(range(1, count + 1))

        def tell(each: Service | Row) -> None:
            is_begun = isinstance(each, Service)
            said = f"{plain(each.name)}: begun" if is_begun else f"[{next(numbers)}/{count}] {told(each)}"
            typer.echo(said, err=True)

        yield tell
        return
    label = f"{count} service{'s' if count != 1 else ''}"
    with typer.progressbar(length=count, label=label, show_pos=True, show_eta=False, file=sys.stderr) as bar:
        bar.render_progress()
        yield lambda each: None if isinstance(each, Service) else bar.update(1)
