"""One structured line an event, from every logger of the process, without secrets.

May import exchange, redact, settings, writer.
"""

import atexit
import json
import logging
import time
import traceback
from collections.abc import Callable
from functools import partial
from typing import Any

from pydantic_core import to_json

from app.chassis.exchange import Exchange, current_exchange
from app.chassis.observability.redact import TEXT_LIMIT, redact, redact_text, snapshot, text_of
from app.chassis.observability.settings import LogSettings
from app.chassis.observability.writer import LineWriter

__all__ = ["AccessLog", "configure_logs"]

_STANDARD = set(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | {"message", "asctime", "taskName"}
_LINE_LIMIT = 262_144  # bytes; a longer line keeps these members only
_KEPT = ("time", "level", "logger", "event", "request_id", "error", "trace")


class _LineHandler(logging.Handler):
    """Root handler: notes what a record says now; the writer thread hides secrets and makes the line."""

    def __init__(self, writer: LineWriter, *, is_json: bool) -> None:
        super().__init__()
        self._writer = writer
        self._form = _as_json if is_json else _as_text

    def emit(self, record: logging.LogRecord) -> None:
        """Write one record. Never raises: whoever logs has something better to do."""
        try:
            event = _event_of(record)
        except Exception as error:  # noqa: BLE001  # objects of others are asked for their text
            event = _head_of(record, "log record not readable") | {"error": type(error).__name__}
        self._writer.put(partial(_line, event, self._form), is_urgent=record.levelno >= logging.ERROR)


def _event_of(record: logging.LogRecord) -> dict[str, Any]:
    said = record.msg if isinstance(record.msg, dict) else {"event": _message_of(record)}
    extra = {name: value for name, value in record.__dict__.items() if name not in _STANDARD and str(name)[:1] != "_"}
    members = snapshot({**said} | extra)
    head = _head_of(record, members.pop("event", ""))
    event = head | {name + "_" * (name in head): value for name, value in members.items()}
    if record.exc_info and record.exc_info[0] is not None:
        event["error"] = record.exc_info[0].__name__
        # A formatted trace shows source lines, never the values of variables. Made here, it keeps no frame alive.
        event["trace"] = snapshot(logging.Formatter().formatException(record.exc_info))
        if query := _query_of(record.exc_info[1]):
            event["query"] = query
    return event


def _query_of(error: BaseException | None) -> str | None:
    """The function of a domain's `queries.py` that failed, as `items.newest_items`: what a trace says in many lines."""
    while error is not None:
        frames = [frame for frame, _ in traceback.walk_tb(error.__traceback__)]
        for frame in reversed(frames):
            module = frame.f_globals.get("__name__", "").split(".")
            if module[-1] == "queries" and len(module) > 1:
                return f"{module[-2]}.{frame.f_code.co_name}"
        error = error.__cause__
    return None


def _head_of(record: logging.LogRecord, event: Any) -> dict[str, Any]:
    when, level, exchange = _timestamp(record.created), record.levelname.lower(), current_exchange.get()
    head = {"time": when, "level": level, "logger": record.name, "event": event}
    return head if exchange is None else head | {"request_id": exchange.request_id}


def _message_of(record: logging.LogRecord) -> str:
    try:
        return record.getMessage()
    except Exception:  # noqa: BLE001  # an argument that does not fit or has no text
        return f"{text_of(record.msg)} (its arguments do not fit)"


def _line(event: dict[str, Any], form: Callable[[dict[str, Any]], bytes]) -> bytes:
    clean = redact(event)
    line = form(dict(clean))
    if len(line) > _LINE_LIMIT:
        kept = {name: text_of(clean[name])[:TEXT_LIMIT] for name in _KEPT if name in clean}
        line = form(kept | {"cut_bytes": len(line)})
    return line


def _timestamp(seconds: float) -> str:
    whole, fraction = divmod(seconds, 1)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(whole)) + f".{int(fraction * 1000):03d}Z"


def _as_json(event: dict[str, Any]) -> bytes:
    try:
        return to_json(event, serialize_unknown=True, inf_nan_mode="strings") + b"\n"
    except ValueError:  # a lone surrogate has no UTF-8; escaped it has
        return json.dumps(event, default=str).encode("ascii") + b"\n"


def _as_text(event: dict[str, Any]) -> bytes:
    trace = event.pop("trace", "")
    head = f"{event.pop('time', '')} {event.pop('level', ''):7} {event.pop('event', '')}"
    rest = " ".join(f"{name}={value!r}" for name, value in event.items())
    return f"{head}  {rest}\n{trace}{chr(10) if trace else ''}".encode("utf-8", "replace")


def configure_logs(settings: LogSettings, writer: LineWriter) -> None:
    """Send every logger of the process through one handler to `writer`. A second call replaces the first."""
    root = logging.getLogger()
    root.handlers[:] = [_LineHandler(writer, is_json=settings.log_format == "json")]
    root.setLevel(settings.log_level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "asyncio", "alembic"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
        logger.setLevel(logging.WARNING if settings.log_level == "info" else logging.NOTSET)  # their news are not ours
    logging.getLogger("uvicorn.access").disabled = True  # the edge writes the access line
    logging.captureWarnings(capture=True)
    atexit.register(writer.close)


class AccessLog:
    """The one line a request: written straight to the writer, past the logging machinery."""

    def __init__(self, writer: LineWriter, settings: LogSettings) -> None:
        self._writer = writer
        self._is_json = settings.log_format == "json"
        self._is_on = settings.log_level in ("debug", "info")
        self._is_debug = settings.log_level == "debug"

    def write(self, exchange: Exchange, duration_ms: float, *, is_probe: bool) -> None:
        """Write the line; probes that went well are shown at level debug only."""
        if not self._is_on or (is_probe and exchange.status < 400 and not self._is_debug):
            return
        self._writer.put(partial(self._line, exchange, duration_ms, time.time()))

    def _line(self, exchange: Exchange, duration_ms: float, now: float) -> bytes:
        event = {
            "time": _timestamp(now),
            "level": "info",
            "logger": "access",
            "event": "request",
            "request_id": exchange.request_id,
            "method": exchange.method[:16],
            "route": exchange.route,
            "path": redact_text(exchange.path[:256]),
            "status": exchange.status,
            "duration_ms": round(duration_ms, 2),
            "api_version": exchange.api_version,
            "client": exchange.client,
            "subject": exchange.caller.subject,
        }
        return _as_json(event) if self._is_json else _as_text(event)
