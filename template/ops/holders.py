"""Who holds the database so that others wait for it. Standard library, and psql where it is PostgreSQL.

Usage: python3 ops/holders.py          looks for two seconds
       python3 ops/holders.py --all    names also who only has it open
       python3 ops/holders.py --end N  ends process N, if it is one of these
Exit codes: 0 nobody keeps others waiting, or it was ended; 1 somebody does; 2 it cannot be told, or N is another's.
"""

import argparse
import os
import signal
import sys
import time
from dataclasses import dataclass
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


@dataclass(frozen=True)
class User:
    """Who has the database open: the number of its process, words for the operator, whether others wait for it."""

    pid: int
    told: str
    holds: bool


def of_sqlite(source: Sqlite) -> list[User]:
    """Who has the file open; a holder has had the write lock at every look."""
    if not source.path.exists():
        raise NotDoneError(f"{source.path} is not there; expected the file that DATABASE_URL names", 2)
    held = writers(source)
    for _ in range(LOOKS - 1):
        time.sleep(PAUSE_SECONDS if held else 0)
        held &= writers(source)
    users = {user.split()[1].rstrip(":"): user for user in source.users()}
    names = {pid: f"process {pid}" for pid in held} | users
    words = f" (it writes, for {(LOOKS - 1) * PAUSE_SECONDS:g} s at least)"
    return [User(int(pid), told + words * (pid in held), pid in held) for pid, told in names.items()]


def of_postgresql(session: Session) -> list[User]:
    """Who is connected; a holder keeps others waiting."""
    found = []
    for pid, name, address, state, seconds, waiting in session.rows(BLOCKING):
        told = f"process {pid} of the server: {name or 'no name'} at {address}, {state or 'no state'} for {seconds} s"
        words = f" ({waiting} wait for it)" if int(waiting) else ""
        found.append(User(int(pid), told + words, bool(words)))
    return found


def one_of(users: list[User], pid: int) -> User:
    """The one to be ended.

    Raises:
        NotDoneError: no user of the database has that number.
    """
    for user in users:
        if user.pid == pid:
            return user
    names = "; ".join(user.told for user in users) or "nobody has it open"
    raise NotDoneError(f"process {pid} has not this database open; expected one of: {names}", 2)


def looked(end: int | None) -> list[User]:
    """Who has the database open, the process `end` ended."""
    source = database()
    if isinstance(source, Sqlite):
        users = of_sqlite(source)
        if end is not None:
            os.kill(one_of(users, end).pid, signal.SIGTERM)
            os.kill(end, signal.SIGCONT)  # one that is held can end, too
        return users
    with Session(environment_of(setting("DATABASE_URL", DEFAULT_URL), "holders")) as session:
        users = of_postgresql(session)
        if end is not None and session.rows(f"SELECT pg_terminate_backend({one_of(users, end).pid})") != [["t"]]:
            raise NotDoneError(f"process {end} has ended meanwhile", 2)
        return users


def main(arguments: list[str] | None = None) -> int:
    """Print who holds it, or end one; returns the exit code."""
    parser = argparse.ArgumentParser(description="Who holds the database so that others wait for it.")
    parser.add_argument("--all", action="store_true", help="name also who only has it open")
    parser.add_argument("--end", type=int, metavar="N", help="end process N, which has it open")
    options = parser.parse_args(arguments)
    try:
        users = looked(options.end)
    except (NotDoneError, OSError) as error:
        print(error, file=sys.stderr)
        return 2
    if options.end is not None:
        print(f"asked to end: {one_of(users, options.end).told}")
        return 0
    for user in sorted(users, key=lambda one: not one.holds):
        if user.holds:
            print(f"holds it: {user.told}")
        elif options.all:
            print(f"has it open: {user.told}")
    if any(user.holds for user in users):
        return 1
    print("nobody keeps others waiting")
    return 0


if __name__ == "__main__":
    sys.exit(main())
