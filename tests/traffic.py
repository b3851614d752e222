"""Clients of a service: so many requests a second over connections that they keep; each answer is counted."""

import http.client
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass
class Answers:
    """What clients got: how often each status, or each error in its place; and the longest time."""

    counted: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0

    @property
    def total(self) -> int:
        """How many requests were sent."""
        return self.counted.total()

    @property
    def failed(self) -> dict[str, int]:
        """What was no success."""
        return {name: count for name, count in self.counted.items() if not name.startswith("2")}


@contextmanager
def clients(port: int, path: str = "/v1/items", *, clients: int = 20, a_second: int = 400) -> Iterator[Answers]:
    """Let clients ask while the body runs; each waits for its answer, and never repeats a request."""
    answers, lock, is_over = Answers(), threading.Lock(), threading.Event()

    def ask(number: int) -> None:
        pause = clients / a_second
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        due = time.monotonic() + pause * number / clients
        while not is_over.wait(max(0.0, due - time.monotonic())):
            due = max(due + pause, time.monotonic())
            begun = time.monotonic()
            try:
                connection.request("GET", path)
                answer = connection.getresponse()
                answer.read()
                got = str(answer.status)
            except (OSError, http.client.HTTPException) as error:
                got = type(error).__name__
                connection.close()
            with lock:
                answers.counted[got] += 1
                answers.slowest = max(answers.slowest, time.monotonic() - begun)
        connection.close()

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        is_over.set()
        for thread in threads:
            thread.join(60)
