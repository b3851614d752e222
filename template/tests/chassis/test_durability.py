"""kill -9 in the middle of writes: what was answered is kept, and the file is whole. KILL_ROUNDS kills more often."""

import http.client
import itertools
import os
import signal
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from app.chassis.testing import Client, ServiceProcess

ROUNDS = int(os.environ.get("KILL_ROUNDS", "1"))
WRITERS = 4


def test_killed_service_keeps_what_it_answered(tmp_path: Path) -> None:
    """Every number that got its 200 is in the file; at most one for each writer got none and is there."""
    numbers, promised = itertools.count(), set[int]()
    for _ in range(ROUNDS):
        enough = threading.Semaphore(0)
        with ServiceProcess(tmp_path) as service:
            writers = [
                threading.Thread(target=_write, args=(service.url, numbers, promised, enough)) for _ in range(WRITERS)
            ]
            for writer in writers:
                writer.start()
            for _ in range(50):
                assert enough.acquire(timeout=30)
            service.stop(signal.SIGKILL)
            for writer in writers:
                writer.join(30)
    with closing(sqlite3.connect(tmp_path / "test.db")) as database:
        kept = {row[0] for row in database.execute("SELECT number FROM probe_notes")}
        assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert promised - kept == set()
    assert len(kept - promised) <= WRITERS * ROUNDS


def _write(url: str, numbers: Iterator[int], promised: set[int], enough: threading.Semaphore) -> None:
    client = Client(url)
    try:
        for number in numbers:
            assert client.request("POST", f"/-probe/notes/{number}").status == 200
            promised.add(number)
            enough.release()
    except (OSError, http.client.HTTPException):
        pass  # the service was killed
    finally:
        client.close()
