"""Processor time and memory of another process, from the kernel. Linux only; standard library only."""

import os
import time
from pathlib import Path

__all__ = ["children_seconds", "cpu_ns", "resident_bytes"]


def cpu_ns(pid: int) -> int:
    """Nanoseconds of processor time all threads of a process have used: its own POSIX clock."""
    return time.clock_gettime_ns((~pid << 3) | 2)  # CPUCLOCK_SCHED of that process; see clock_getcpuclockid(3)


def children_seconds() -> float:
    """Processor seconds of all children this process has waited for, user and system."""
    times = os.times()
    return times.children_user + times.children_system


def resident_bytes(pid: int) -> int:
    """Memory of a process that is in RAM now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")
