"""The HTTP server: uvicorn with a protocol of ours, and a drain before it stops.

May import http, observability, settings.
"""

import asyncio
import errno
import logging
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import uvicorn

from app.chassis.http.protocol import Protocol
from app.chassis.observability.log import configure_logs
from app.chassis.settings import ChassisSettings, SettingsError

__all__ = ["serve"]

_log = logging.getLogger(__name__)
_LAST_SECONDS = 1.0
_TOLD_BY_US = {
    "Invalid HTTP request received.",
    "Unsupported upgrade request.",
    "ASGI callable returned without completing response.",
}


class _Server(uvicorn.Server):
    """SIGTERM: readiness says 503 for the drain time, then uvicorn finishes what it accepted, then exit 0."""

    def __init__(self, config: uvicorn.Config, service: Any) -> None:
        super().__init__(config)
        self._service = service

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """As uvicorn does it, without raising the signal again: a drained stop is a success."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self.handle_exit)
        try:
            yield
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)  # it is on its way out already

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002  # a signal handler
        """First SIGTERM drains; SIGINT, or a second signal, stops without waiting for the drain."""
        health = self._service.state.health
        seconds = self._service.state.settings.server_drain_seconds
        if sig == signal.SIGTERM and not health.is_draining and self.started and seconds:
            health.is_draining = True
            _log.info("draining", extra={"drain_seconds": seconds})
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, self._stop)
            return
        health.is_draining = True
        self.force_exit = self.should_exit and sig == signal.SIGINT
        self.should_exit = True

    async def startup(self, sockets: Any = None) -> None:
        """Start listening and say where."""
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        for server in self.servers:
            for socket in server.sockets:
                host, port = socket.getsockname()[:2]
                _log.info("listening", extra={"url": f"http://{host}:{port}", "version": self._service.version})

    async def shutdown(self, sockets: Any = None) -> None:
        """Finish what was accepted; what then still runs has had its time: a thread cannot be cancelled."""
        await super().shutdown(sockets)
        last = threading.Timer(_LAST_SECONDS, self._leave)
        last.daemon = True
        last.start()

    def _leave(self) -> None:
        _log.error("stopped, but not everything ended", extra={"waited_seconds": _LAST_SECONDS})
        self._service.state.writer.close()
        os._exit(1)

    def _stop(self) -> None:
        self.should_exit = True


def _is_news(record: logging.LogRecord) -> bool:
    return str(record.msg) not in _TOLD_BY_US and not isinstance(record.msg, OSError)


def _not_listening(settings: ChassisSettings, error: OSError) -> str:
    """Which setting is to blame: uvicorn stops with the error of the system as the reason."""
    if error.errno == errno.EADDRINUSE:
        return f"PORT: {settings.port} is in use on {settings.host}; expected a free port"
    if error.errno in (errno.EACCES, errno.EPERM):
        return "PORT: may not be listened on by this user; expected 1024 or more"
    return "HOST: cannot be listened on; expected an address of this machine"


def serve(service: Any, settings: ChassisSettings) -> int:
    """Run the service until it is told to stop; returns 0 after a clean stop, 1 if it could not start.

    Raises:
        SettingsError: nothing can listen on HOST and PORT, or a feature cannot start with its settings.
    """
    configure_logs(settings, service.state.writer)
    logging.getLogger("uvicorn.error").addFilter(_is_news)
    protocol = type("Limited", (Protocol,), {"limits": settings, "metrics": service.state.metrics})
    config = uvicorn.Config(
        service,
        host=settings.host,
        port=settings.port,
        http=protocol,
        ws="none",
        lifespan="on",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        backlog=settings.server_backlog,
        timeout_keep_alive=settings.server_keep_alive_seconds,
        timeout_graceful_shutdown=settings.server_shutdown_seconds,  # type: ignore[arg-type]  # it only waits so long
    )
    server = _Server(config, service)
    try:
        server.run()
    except SystemExit as stop:
        if service.start_problem is not None:
            raise service.start_problem from None
        if isinstance(stop.__context__, OSError) and not server.started:
            raise SettingsError(_not_listening(settings, stop.__context__)) from None
        if server.started:
            _log.error("stopped by sys.exit() of something in the service", exc_info=stop)
        return 1 if stop.code or server.started else 0
    _log.info("stopped")
    return 0 if server.started else 1
