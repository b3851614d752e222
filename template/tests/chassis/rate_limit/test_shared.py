"""Three processes, one Valkey: one count, and what happens when the store goes away."""

import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from app.chassis.redis.testing import ValkeyServer
from app.chassis.testing import Client, ServiceProcess

PROGRAM = "tests.chassis.rate_limit.program"


@pytest.fixture(scope="module")
def services(valkey: ValkeyServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[ServiceProcess]]:
    """Three processes that know no more of each other than the store does."""
    given = {"RATE_LIMIT_ENABLED": "true", "REDIS_URL": valkey.url, "ENVIRONMENT": "test"}
    with ExitStack() as stack:
        processes = [ServiceProcess(tmp_path_factory.mktemp("shared"), module=PROGRAM, **given) for _ in range(3)]
        starting = [threading.Thread(target=stack.enter_context, args=(process,)) for process in processes]
        for thread in starting:
            thread.start()
        for thread in starting:
            thread.join()
        yield processes


def ask(service: ServiceProcess, path: str, statuses: list[int], times: int, after: threading.Event) -> None:
    """Requests one after another, so many of them `after` something; each claims to come from somewhere else."""
    client = Client(service.url)
    while times:  # one after another: others look at what is there already
        times -= after.is_set()
        sent = {"X-Forwarded-For": f"10.0.0.{len(statuses) % 250}"}
        statuses.append(client.request("GET", path, headers=sent).status)
    client.close()


def together(
    services: list[ServiceProcess], path: str, times: int, after: threading.Event | None = None
) -> list[threading.Thread]:
    """Two callers of each process, at once; `statuses` of each thread tells what it got."""
    if after is None:
        after = threading.Event()
        after.set()
    threads = []
    for service in services * 2:
        statuses: list[int] = []
        threads.append(threading.Thread(target=ask, args=(service, path, statuses, times, after), daemon=True))
        threads[-1].statuses = statuses  # type: ignore[attr-defined]
        threads[-1].start()
    return threads


def got(threads: list[threading.Thread]) -> Counter[int]:
    """Statuses of all, once they are done."""
    for thread in threads:
        thread.join(60)
    return Counter(status for thread in threads for status in thread.statuses)  # type: ignore[attr-defined]


def test_exactly_the_limit_is_let_in(services: list[ServiceProcess]) -> None:
    """Nine hundred requests to three processes, a limit of a hundred; no proxy is trusted, so none is believed."""
    assert got(together(services, "/v1/hundred", 150)) == {200: 100, 429: 800}
    for service in services:
        line = service.wait_for_line("clients behind a proxy share one limit")
        assert line["setting"] == "SECURITY_TRUSTED_PROXIES"
        assert service.wait_for_line("rate limits are counted in Redis, for all processes together")


def test_store_that_dies_in_the_middle_is_no_error(services: list[ServiceProcess], valkey: ValkeyServer) -> None:
    """The open route lets everybody in, the closed one nobody; when the store is back, it is asked again."""
    dead = threading.Event()
    opened, closed = (together(services, f"/v1/{name}", 50, dead) for name in ("open", "closed"))
    while min(len(thread.statuses) for thread in opened + closed) < 10:  # type: ignore[attr-defined]
        assert all(thread.is_alive() for thread in opened + closed)
        time.sleep(0.001)
    valkey.kill()
    dead.set()
    assert set(got(opened)) == {200}
    assert set(got(closed)) == {200, 503}
    assert not any(thread.is_alive() for thread in opened + closed)
    client = services[0].client()
    refused = client.request("GET", "/v1/closed")
    assert (refused.status, refused.error["code"], refused.headers["retry-after"]) == (503, "unavailable", "1")
    assert "ratelimit" not in refused.headers
    assert refused.headers["ratelimit-policy"] == '"day";q=1000000;w=86400'
    metrics = client.request("GET", "/metrics").body.decode()
    counts = dict(line.rsplit(" ", 1) for line in metrics.splitlines() if line.startswith("rate_limit_decisions"))
    assert all(
        float(counts[f'rate_limit_decisions_total{{decision="store_down_{name}"}}']) > 0
        for name in ("allowed", "refused")
    )
    valkey.start()
    for service in services:
        until, asking = time.monotonic() + 15, service.client()
        while "ratelimit" not in asking.request("GET", "/v1/closed").headers:
            assert time.monotonic() < until, "the store is back and nobody asks it"
            time.sleep(0.02)
        assert service.wait_for_line("rate limit store answers again")["down_seconds"] > 0
        lines = [line for line in service.lines if line["event"] == "rate limit store is down"]
        assert len(lines) == 1, "one line an outage"
        assert valkey.password not in str(service.lines)


def test_store_that_hangs_holds_nobody_up(services: list[ServiceProcess], valkey: ValkeyServer) -> None:
    """A connection that is open and silent counts as down as soon as the time is over."""
    client = services[0].client()
    valkey.freeze()
    try:
        answers = [client.request("GET", "/v1/open") for _ in range(5)]
        assert {answer.status for answer in answers} == {200}
        assert not [answer for answer in answers if "ratelimit" in answer.headers]
        assert client.request("GET", "/v1/closed").status == 503
    finally:
        valkey.thaw()
    down = "rate limit store is down"
    until = time.monotonic() + 10
    while not [line for line in services[0].lines if line["event"] == down and "TimeoutError" in line["problem"]]:
        assert time.monotonic() < until, services[0].lines[-5:]
        time.sleep(0.01)


def test_readiness_does_not_hang_on_the_store(services: list[ServiceProcess]) -> None:
    """A replica that cannot count still answers: out of traffic it would help nobody, and all of them would go."""
    assert {check["name"] for check in services[0].client().request("GET", "/health").data["checks"]} == {
        "database",
        "migrations",
    }
