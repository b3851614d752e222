"""Prometheus metrics of the process. Imports nothing of the chassis."""

from collections.abc import Callable, Mapping
from pathlib import Path
from shutil import disk_usage

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    Histogram,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client import generate_latest as _generate

__all__ = ["CONTENT_TYPE", "Metrics"]

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each, which nobody reads
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


class Metrics:
    """The service's registry. Labels are route templates, never paths: their number is bounded."""

    def __init__(self, version: str) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        PlatformCollector(registry=self.registry)
        GCCollector(registry=self.registry)
        self._durations = Histogram(
            "http_request_duration_seconds",
            "Time from the first byte of a request to the last of its answer",
            ("method", "route", "status"),
            buckets=_BUCKETS,
            registry=self.registry,
        )
        self._observers: dict[tuple[str, str, int], Callable[[float], None]] = {}
        self.in_flight = Gauge("http_requests_in_flight", "Requests being answered now", registry=self.registry)
        self.deprecated = Counter(
            "api_deprecated_requests_total",
            "Requests answered by an API version that is deprecated",
            ("api_version",),
            registry=self.registry,
        )
        self._dropped_lines = Counter(
            "log_lines_dropped_total", "Log lines lost to a slow reader or a full disk", registry=self.registry
        )
        self._dropped_before = 0
        build = Gauge("app_build_info", "1; the label says which version runs", ("version",), registry=self.registry)
        build.labels(version).set(1)
        self.start_time = Gauge(
            "app_start_time_seconds", "Unix time at which the service was ready", registry=self.registry
        )
        self._check_ok = Gauge(
            "app_check_ok", "1 if this readiness check passed just now, else 0", ("check",), registry=self.registry
        )
        size = Gauge("app_disk_size_bytes", "Size of the disk that var/ is on", registry=self.registry)
        size.set_function(lambda: disk_usage(_disk()).total)
        free = Gauge("app_disk_free_bytes", "What is free of that disk for the service", registry=self.registry)
        free.set_function(lambda: disk_usage(_disk()).free)

    def observe(self, method: str, route: str | None, status: int, seconds: float) -> None:
        """Count one answer; an unknown method or path gets a label of its own."""
        key = (method if method in _METHODS else "OTHER", route or "unmatched", status)
        observer = self._observers.get(key)
        if observer is None:
            observer = self._observers[key] = self._durations.labels(key[0], key[1], str(status)).observe
        observer(seconds)

    def render(self, dropped_lines: int, checks: Mapping[str, bool]) -> bytes:
        """Text exposition format, version 0.0.4; `dropped_lines` is the log writer's count, `checks` who passed."""
        for check, is_good in checks.items():
            self._check_ok.labels(check).set(is_good)
        self._dropped_lines.inc(dropped_lines - self._dropped_before)
        self._dropped_before = dropped_lines
        return _generate(self.registry)


def _disk() -> str:
    return "var" if Path("var").is_dir() else "."
