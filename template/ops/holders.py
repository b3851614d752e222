"""Who holds the database so that others wait for it. Standard library, and psql where it is PostgreSQL.

Usage: python3 ops/holders.py          looks for two seconds
       python3 ops/holders.py --all    names also who only has it open
Exit codes: 0 nobody keeps others waiting, 1 somebody does, 2 it cannot be told.
"""

import argparse
import os
import sys
import time
from pathlib import Path

from backup import DEFAULT_URL, database
from copies import NotDoneError
from postgresql import Session, environment_of
from settings import setting
from sqlite_copies import Sqlite

LOOKS, PAUSE_SECONDS = 5, 0.5
LOCKS = Path("/proc/locks")
# Byte that is locked by who writes: of the -shm file (write-ahead mode), of the database itself (any other mode).
# Source: sqlite.org, "Write-Ahead Log" (WAL_WRITE_LOCK), "File Locking And Concurrency" (RESERVED).
WRITES = {"-shm": 120, "": 0x40000001}
BLOCKING = """
SELECT pid, coalesce(application_name, ''), coalesce(client_addr::text, 'this machine'), state,
  extract(epoch FROM now() - coalesce(xact_start, state_change))::int,
  (SELECT count(*) FROM pg_stat_activity AS other WHERE one.pid = ANY (pg_blocking_pids(other.pid)))
FROM pg_stat_activity AS one WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY 6 DESC, 5 DESC"""


def writers(source: Sqlite) -> set[str]:
    """Processes that hold SQLite's write lock at this moment.

    Raises:
        NotDoneError: the system does not tell.
    """
    places = {}
    for suffix, byte in WRITES.items():
        path = Path(f"{source.path}{suffix}")
        if path.exists():
            found = path.stat()
            places[f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}:{found.st_ino}"] = byte
    try:
        lines = [line.split() for line in LOCKS.read_text(encoding="utf-8").splitlines()]
    except OSError as error:
        raise NotDoneError(f"this system does not tell who holds a lock ({error}); expected {LOCKS}", 2) from None
    found_pids = set()
    for words in lines:
        if len(words) == 8 and words[3] == "WRITE" and words[5] in places:
            last = places[words[5]] if words[7] == "EOF" else int(words[7])
            if int(words[6]) <= places[words[5]] <= last:
                found_pids.add(words[4])
    return found_pids


def of_sqlite(source: Sqlite) -> tuple[list[str], list[str]]:
    """Who has held the write lock at every look, and who has the file open."""
    if not source.path.exists():
        raise NotDoneError(f"{source.path} is not there; expected the file that DATABASE_URL names", 2)
    held = writers(source)
    for _ in range(LOOKS - 1):
        time.sleep(PAUSE_SECONDS if held else 0)
        held &= writers(source)
    users = source.users()
    names = {user.split()[1].rstrip(":"): user for user in users}
    seconds = (LOOKS - 1) * PAUSE_SECONDS
    return [f"{names.get(pid, f'process {pid}')} (it writes, for {seconds:g} s at least)" for pid in held], users


def of_postgresql(url: str) -> tuple[list[str], list[str]]:
    """Who keeps others waiting, and who is connected."""
    blocking, all_of_them = [], []
    with Session(environment_of(url, "holders")) as session:
        for pid, name, address, state, seconds, waiting in session.rows(BLOCKING):
            told = (
                f"process {pid} of the server: {name or 'no name'} at {address}, {state or 'no state'} for {seconds} s"
            )
            all_of_them.append(told)
            if int(waiting):
                blocking.append(f"{told} ({waiting} wait for it)")
    return blocking, all_of_them


def main(arguments: list[str] | None = None) -> int:
    """Print who holds it; returns the exit code."""
    parser = argparse.ArgumentParser(description="Who holds the database so that others wait for it.")
    parser.add_argument("--all", action="store_true", help="name also who only has it open")
    options = parser.parse_args(arguments)
    try:
        source = database()
        url = setting("DATABASE_URL", DEFAULT_URL)
        holding, users = of_sqlite(source) if isinstance(source, Sqlite) else of_postgresql(url)
    except NotDoneError as error:
        print(error, file=sys.stderr)
        return 2
    for line in holding:
        print(f"holds it: {line}")
    for line in users if options.all else ():
        print(f"has it open: {line}")
    if not holding:
        print("nobody keeps others waiting")
    return 1 if holding else 0


if __name__ == "__main__":
    sys.exit(main())
