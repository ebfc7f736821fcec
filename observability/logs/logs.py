"""The set-up of logging for the whole process: one format, with the ids of the request.

structlog, the standard library and the server share one handler. It replaces only handlers that write to the terminal;
those of files, test tools and other services stay.
"""

import logging
import sys
from threading import Lock
from typing import TYPE_CHECKING, Final, TextIO

import structlog
from opentelemetry.sdk.resources import Resource

from observability.compat import opentelemetry_logs
from observability.core.limits import Deadline
from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts
from observability.logs.access_log import AccessLog, console_line, json_line
from observability.logs.correlation import tag_exception
from observability.logs.format import configure_structlog, formatter, is_terminal
from observability.request.record import RequestRecord

if TYPE_CHECKING:
    from observability.logs.otlp import LogExport

logger: Final = logging.getLogger("observability")

_SERVERS: Final = ("uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "celery", "celery.task")
_CLIENTS: Final = ("httpx", "httpcore")
"""Clients that log every call with its URL, query values included; spans and metrics have the calls without them."""
_ACCESS_LOGS: Final = ("uvicorn.access", "gunicorn.access", "hypercorn.access")

_configured = Lock()
"""Held by the telemetry that configured the logging of the process; a second one does not configure it."""


class LoggingSetup:
    """Configures the logging of the process at start and restores it at stop."""

    def __init__(self, *, settings: TelemetrySettings, counts: ExportCounts, stream: TextIO | None = None) -> None:
        self._settings = settings
        self._counts = counts
        self._stream = stream
        self._export: LogExport | None = None
        self._before: _LoggingSnapshot | None = None
        self.access = AccessLog(counts=counts) if settings.access_log else None

    def start(self, resource: Resource) -> None:
        """Configure logging, unless other telemetry already did or it is disabled."""
        settings = self._settings
        stream = self._stream or sys.stderr
        as_json = settings.log_format == "json" or (settings.log_format == "auto" and not is_terminal(stream))
        self._export = self._log_export(resource)
        if settings.log_format != "none" and _configured.acquire(blocking=False):
            self._before = _LoggingSnapshot(replaces_access_log=self.access is not None)
            handler = logging.StreamHandler(stream)
            handler.setFormatter(formatter(json=as_json, colors=is_terminal(stream)))
            self._before.replace(handler, self._export, level=settings.log_level.upper())
        if self.access is not None:
            export = self._export.access if self._export else None
            self.access.start(stream, json_line if as_json else console_line, export)

    def _log_export(self, resource: Resource) -> "LogExport | None":
        if self._settings.logs_exporter == "none":
            return None
        if not opentelemetry_logs.IS_AVAILABLE:
            logger.error("OTEL_LOGS_EXPORTER: logs are not exported: this version of OpenTelemetry lacks their SDK")
            return None
        from observability.logs.otlp import log_export  # noqa: PLC0415 fails to import without the SDK

        return log_export(self._settings, self._counts, resource)

    def stop(self, *, timeout_s: float) -> None:
        """Write and export what is queued, within the timeout, and restore the logging."""
        deadline = Deadline(timeout_s)
        if self.access is not None:
            self.access.stop(timeout_s=deadline.remaining_s)
        if self._before is not None:
            self._before.restore()
            self._before = None
            _configured.release()
        if self._export is not None:
            self._export.stop(timeout_s=deadline.remaining_s)

    def observe(self, record: RequestRecord, *, error: BaseException | None, **_: object) -> None:
        """Store the request on its exception, for the server's log record."""
        if error is not None:
            tag_exception(error, record)


class _LoggingSnapshot:
    """The logging configuration before the start."""

    def __init__(self, *, replaces_access_log: bool) -> None:
        silenced = _ACCESS_LOGS if replaces_access_log else ()
        loggers = [logging.getLogger(), *(logging.getLogger(name) for name in (*_SERVERS, *_CLIENTS, *silenced))]
        self._loggers = [(one, one.handlers.copy(), one.propagate, one.level) for one in loggers]
        self._silenced = frozenset(silenced)
        self._had_structlog = structlog.is_configured()

    def replace(self, handler: logging.Handler, export: logging.Handler | None, *, level: str) -> None:
        """Replace the handlers that write to the terminal by these."""
        root = logging.getLogger()
        for one, handlers, _, _ in self._loggers:
            own = _writes_to_terminal if one is root else _is_plain_stream
            one.handlers = [handler for handler in handlers if not own(handler)]
            one.propagate = one.name not in self._silenced
            if one is not root:
                one.setLevel(logging.WARNING if one.name in _CLIENTS else logging.NOTSET)
        for added in filter(None, (handler, export)):
            root.addHandler(added)
        root.setLevel(level)
        if not self._had_structlog:
            configure_structlog()

    def restore(self) -> None:
        for one, handlers, propagate, level in self._loggers:
            one.handlers, one.propagate = handlers, propagate
            one.setLevel(level)
        if not self._had_structlog:
            structlog.reset_defaults()


def _writes_to_terminal(handler: logging.Handler) -> bool:
    terminal = {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}
    return isinstance(handler, logging.StreamHandler) and handler.stream in terminal


def _is_plain_stream(handler: logging.Handler) -> bool:
    """Whether it is a handler that servers write to the terminal with, even if the terminal was replaced since."""
    return type(handler) is logging.StreamHandler
