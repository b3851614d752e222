"""Prints which files below src/app a request enters, in order. Run in a migrated service, by its Python.

Usage: .venv/bin/python trace_request.py METHOD PATH [JSON]
"""

import os
import signal
import sys
import threading
import time
from http.client import HTTPConnection
from pathlib import Path
from types import FrameType
from typing import Any

from app.chassis.server import serve
from app.main import app

ROOT = f"{Path('src/app').resolve()}{os.sep}"
entered: dict[str, None] = {}


def watch(frame: FrameType, event: str, _argument: Any) -> None:
    """Note the file of every call of ours."""
    file = frame.f_code.co_filename
    if event == "call" and file.startswith(ROOT):
        entered.setdefault(file.removeprefix(ROOT))


def send(port: int, method: str, path: str, body: str | None = None) -> None:
    """Send one request and read its answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request(method, path, body, {"Content-Type": "application/json"})
    connection.getresponse().read()
    connection.close()


def record(port: int, method: str, path: str, body: str | None) -> None:
    """Wait for the service, send the one request that counts, print, stop."""
    for _ in range(200):
        try:
            send(port, "GET", "/readyz")
            break
        except OSError:
            time.sleep(0.05)
    time.sleep(0.2)  # what the last request does after its answer is not to be counted
    entered.clear()
    send(port, method, path, body)
    time.sleep(0.2)
    print("\n".join(list(entered)), flush=True)
    os.kill(os.getpid(), signal.SIGINT)


if __name__ == "__main__":
    asked = (*sys.argv[1:], None)[:3]
    threading.Thread(target=record, args=(int(os.environ["PORT"]), *asked)).start()
    sys.setprofile(watch)
    serve(app, app.state.settings)
