"""How a command that runs is ended by a signal to the program that runs it. Standard library only."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from telling import say

WAIT_SECONDS = 0.2  # until what was signalled is noticed, at the latest
AGAIN_SECONDS = 30.0  # until a step that goes on is interrupted once more
HARDER = (signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGKILL)  # for each time that somebody asks
ENDS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextmanager
def signals_held() -> Iterator[list[int]]:
    """Keep what would end this program in the list given, and raise it behind the block; what is ignored stays so."""
    came: list[int] = []
    before = {name: signal.getsignal(name) for name in ENDS}

    def keep(number: int, _: object) -> None:
        came.extend([number] if before[number] is not signal.SIG_IGN else [])

    with _none_comes():
        for name in ENDS:
            signal.signal(name, keep)
    try:
        yield came
    finally:
        with _none_comes():
            for name, handler in before.items():
                signal.signal(name, handler)
        for number in came:
            with suppress(KeyboardInterrupt):  # the step has ended by it
                signal.raise_signal(number)


def signals_noted() -> list[int]:
    """From now on what would end this program is only kept in the list given; what is ignored stays so."""
    came: list[int] = []
    for name in ENDS:
        if signal.getsignal(name) is not signal.SIG_IGN:
            signal.signal(name, lambda number, _: came.append(number))
    return came


@contextmanager
def _none_comes() -> Iterator[None]:
    """Let the signals wait until all handlers are set."""
    signal.pthread_sigmask(signal.SIG_BLOCK, ENDS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDS)


def status_of(process: subprocess.Popen[str], seconds: float | None, came: list[int]) -> int:
    """Wait for a command and return its exit status; one that takes longer than `seconds` is killed.

    Its group is interrupted when a signal came, and once in a while again until it ends: a shell that is just starting
    a program may lose one (dash, between vfork and exec). Who asks again and again is heard.
    """
    begun, heard, asked, again = time.monotonic(), 0, 0, 0.0
    while True:
        with suppress(subprocess.TimeoutExpired):  # in short pieces: no signal is missed, whichever thread takes it
            return process.wait(timeout=WAIT_SECONDS)
        is_asked = len(came) > heard
        if is_asked or (came and time.monotonic() > again):
            if not heard:
                say("interrupted; waiting for the step to end")
            # What a shell left running in the background does not hear SIGINT, unless it catches it.
            os.killpg(process.pid, HARDER[min(asked, len(HARDER) - 1)] if is_asked else signal.SIGINT)
            heard, asked, again = len(came), asked + is_asked, time.monotonic() + AGAIN_SECONDS
        if seconds and time.monotonic() - begun > seconds:
            os.killpg(process.pid, signal.SIGKILL)
