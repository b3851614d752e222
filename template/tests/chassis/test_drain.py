"""SIGTERM: readiness says no first, every accepted request is answered, then exit 0."""

import signal
import socket
import threading
import time
from pathlib import Path

from app.chassis.testing import Client, Outcome, ServiceProcess, at_once


def _drain_answers_everything_it_accepted(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, SERVER_DRAIN_SECONDS="0.6") as service:
        failures: list[str] = []
        counts: list[int] = []
        threads = [threading.Thread(target=_polite_client, args=(service.url, failures, counts)) for _ in range(4)]
        slow = threading.Thread(target=_slow_client, args=(service.url, failures))
        for thread in (*threads, slow):
            thread.start()
        _wait_until(lambda: len(counts) >= 40)
        service.process.send_signal(signal.SIGTERM)
        for thread in (*threads, slow):
            thread.join(15)
        assert service.process.wait(15) == 0
        assert failures == []
        service.wait_for_line("draining")
        service.wait_for_line("stopped")


def _polite_client(url: str, failures: list[str], counts: list[int]) -> None:
    client = Client(url)
    try:
        while client.request("GET", "/readyz").status == 200:
            answer = client.request("GET", "/-probe/hello")
            counts.append(answer.status)
            if answer.status != 200:
                failures.append(str(answer))
    except OSError as error:
        failures.append(repr(error))
    finally:
        client.close()


def _slow_client(url: str, failures: list[str]) -> None:
    client = Client(url)
    try:
        # Begins before SIGTERM and ends after the drain time.
        if client.request("GET", "/-probe/slow?seconds=1.2").status != 200:
            failures.append("slow")
    except OSError as error:
        failures.append(repr(error))
    finally:
        client.close()


def _wait_until(is_true: object, seconds: float = 10.0) -> None:
    until = time.monotonic() + seconds
    while not is_true():  # type: ignore[operator]  # a plain function
        assert time.monotonic() < until, "it never came true"
        time.sleep(0.01)


def _draining_service_says_so(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, SERVER_DRAIN_SECONDS="20") as service:
        client = service.client()
        service.process.send_signal(signal.SIGTERM)
        service.wait_for_line("draining")
        ready = client.request("GET", "/readyz")
        assert (ready.status, ready.error["code"]) == (503, "not_ready")
        assert "stopping" in ready.error["detail"]
        assert client.request("GET", "/livez").status == 200
        assert client.request("GET", "/health").data["is_draining"] is True
        served = client.request("GET", "/-probe/hello")
        assert (served.status, served.headers["connection"]) == (200, "close")
        assert service.stop(signal.SIGTERM) == 0  # a second signal does not wait for the drain


def _thread_that_does_not_end_does_not_hold_the_service(tmp_path: Path) -> None:
    with ServiceProcess(tmp_path, SERVER_SHUTDOWN_SECONDS="0.2") as service:
        host, _, port = service.url.removeprefix("http://").rpartition(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(b"GET /-probe/thread HTTP/1.1\r\nHost: localhost\r\n\r\n")
            _wait_until(lambda: b"in_flight 2.0" in service.client().request("GET", "/metrics").body)
            service.process.send_signal(signal.SIGTERM)
            service.wait_for_line("Cancel 1 running task(s), timeout graceful shutdown exceeded")
            assert service.stop(signal.SIGTERM) == 1
        service.wait_for_line("stopped, but not everything ended")


def _place_that_cannot_be_listened_on_is_told(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = ServiceProcess(tmp_path, PORT=str(port)).run("serve")
    assert (done.returncode, "listening" in done.stdout) == (2, False)
    assert done.stderr.endswith(f"\nPORT: {port} is in use on 127.0.0.1; expected a free port\n")
    done = ServiceProcess(tmp_path, HOST="192.0.2.1").run("serve")
    assert (done.returncode, "listening" in done.stdout) == (2, False)
    assert done.stderr.endswith("\nHOST: cannot be listened on; expected an address of this machine\n")


outcome = at_once(
    _drain_answers_everything_it_accepted,
    _draining_service_says_so,
    _thread_that_does_not_end_does_not_hold_the_service,
    _place_that_cannot_be_listened_on_is_told,
)


def test_drain_answers_everything_it_accepted(outcome: Outcome) -> None:
    """Requests in flight at SIGTERM finish; clients that stop at readiness 503 see no failure at all."""
    outcome(_drain_answers_everything_it_accepted)


def test_draining_service_says_so(outcome: Outcome) -> None:
    """While it drains: readiness 503 with a reason, liveness 200, work done, connections announced closed."""
    outcome(_draining_service_says_so)


def test_thread_that_does_not_end_does_not_hold_the_service(outcome: Outcome) -> None:
    """A route in a thread cannot be cancelled: after its time the process leaves and says so, whatever signals come."""
    outcome(_thread_that_does_not_end_does_not_hold_the_service)


def test_place_that_cannot_be_listened_on_is_told(outcome: Outcome) -> None:
    """A port in use and a foreign address are settings that cannot be used: one message, exit code 2."""
    outcome(_place_that_cannot_be_listened_on_is_told)
