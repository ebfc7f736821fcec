"""The set-up of logging for the whole process: one format, with the ids of the request.

structlog, the standard library and the server share one handler. It replaces only handlers that write to the terminal;
those of files, test tools and other services stay.
"""

import logging
import sys
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, TextIO

from opentelemetry.sdk.resources import Resource

from observability.core.extras import MissingExtra, requires
from observability.core.limits import Deadline
from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts
from observability.logs.access_log import AccessLog, console_line, json_line
from observability.logs.correlation import tag_exception
from observability.logs.format import configure_structlog, formatter, is_terminal, reset_structlog
from observability.logs.uncaught import log_uncaught, restore_hooks
from observability.request.record import RequestRecord

if TYPE_CHECKING:
    from observability.logs.otlp import LogExport

logger: Final = logging.getLogger("observability")

_SERVERS: Final = (
    "uvicorn", "uvicorn.error", "uvicorn.asgi", "gunicorn.error", "hypercorn.error", "celery", "celery.task",
)  # fmt: skip
_CLIENTS: Final = ("httpx", "httpcore")
"""Clients that log every call with its URL, query values included; spans and metrics have the calls without them."""
_ACCESS_LOGS: Final = ("uvicorn.access", "gunicorn.access", "hypercorn.access")


class LoggingSetup:
    """The logging of a process: one format from `install()` on, access log and export from `start()` to `stop()`.

    The format stays after `stop()`: servers log their end after that of the application.
    """

    def __init__(self, *, settings: TelemetrySettings, counts: ExportCounts, stream: TextIO | None = None) -> None:
        self._settings = settings
        self._counts = counts
        self._stream = stream
        self._export: LogExport | None = None
        self.access = AccessLog(counts=counts) if settings.access_log else None

    def install(self) -> None:
        """Configure the logging of the process, unless it is disabled; of several applications the first one does."""
        if self._settings.log_format != "none":
            _process_logging.install(self._settings, self._stream)

    def start(self, resource: Resource) -> None:
        """Start access log and export; replace handlers that a server added since `install()`."""
        self.install()
        self._export = self._log_export(resource)
        stream = self._stream or sys.stderr
        writes = self._settings.log_format != "none"
        if self._export is not None and writes:
            logging.getLogger().addHandler(self._export)
        if self.access is not None:
            render = json_line if is_json(self._settings, stream) else console_line
            self.access.start(stream if writes else None, render, self._export.access if self._export else None)

    def _log_export(self, resource: Resource) -> "LogExport | None":
        if self._settings.logs_exporter == "none":
            return None
        try:
            with requires("otlp", needed_for="OTEL_LOGS_EXPORTER"):
                import opentelemetry.exporter.otlp.proto.http  # noqa: F401, PLC0415 an extra
        except MissingExtra as error:
            logger.error("%s; logs are not exported", error)  # noqa: TRY400 the traceback adds nothing
            return None
        from observability.compat import opentelemetry_logs  # noqa: PLC0415 slow to import

        if not opentelemetry_logs.IS_AVAILABLE:
            logger.error("OTEL_LOGS_EXPORTER: logs are not exported: this version of OpenTelemetry lacks their SDK")
            return None
        from observability.logs.otlp import log_export  # noqa: PLC0415 fails to import without the SDK

        return log_export(self._settings, self._counts, resource)

    def stop(self, *, timeout_s: float) -> None:
        """Write and export what is queued, within the timeout."""
        deadline = Deadline(timeout_s)
        if self.access is not None:
            self.access.stop(timeout_s=deadline.remaining_s)
        if self._export is not None:
            logging.getLogger().removeHandler(self._export)
            self._export.stop(timeout_s=deadline.remaining_s)

    def observe(self, record: RequestRecord, *, error: BaseException | None, **_: object) -> None:
        """Store the request on its exception, for the server's log record."""
        if error is not None:
            tag_exception(error, record)


def is_json(settings: TelemetrySettings, stream: TextIO) -> bool:
    return settings.log_format == "json" or (settings.log_format == "auto" and not is_terminal(stream))


def restore_logging() -> None:
    """Undo what `install()` did to the logging of this process: for tests."""
    _process_logging.restore()


class _ProcessLogging:
    """The configuration of this process's logging, and the one before."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._handler: logging.Handler | None = None
        self._silences_access_logs = False
        self._before: list[tuple[logging.Logger, list[logging.Handler], bool, int]] = []
        self._configures_structlog = False
        self._uvicorn_formatters: dict[str, Any] = {}

    def install(self, settings: TelemetrySettings, stream: TextIO | None) -> None:
        """Replace the handlers that write to the terminal; another time only those that were added since."""
        with self._lock:
            if self._handler is None:
                self._handler = handler = _TerminalHandler(stream)
                self._begin(settings, handler)
            root = logging.getLogger()
            for one, _, _, _ in self._before:
                own = _writes_to_terminal if one is root else _is_plain_stream
                one.handlers = [handler for handler in one.handlers if not own(handler)]
                one.propagate = one.name not in _ACCESS_LOGS or not self._silences_access_logs
                if one is not root:
                    one.setLevel(logging.WARNING if one.name in _CLIENTS else logging.NOTSET)
            root.addHandler(self._handler)

    def _begin(self, settings: TelemetrySettings, handler: "_TerminalHandler") -> None:
        self._silences_access_logs = settings.access_log
        silenced = _ACCESS_LOGS if settings.access_log else ()
        loggers = [logging.getLogger(name) for name in (None, *_SERVERS, *_CLIENTS, *silenced)]
        self._before = [(one, one.handlers.copy(), one.propagate, one.level) for one in loggers]
        as_json, colors = is_json(settings, handler.stream), is_terminal(handler.stream)
        handler.setFormatter(formatter(json=as_json, colors=colors))
        handler.setLevel(settings.log_level.upper())
        logging.getLogger().setLevel(handler.level)
        self._format_uvicorn("JsonFormatter" if as_json else "ConsoleFormatter", colors=colors)
        self._configures_structlog = configure_structlog()
        log_uncaught()

    def _format_uvicorn(self, name: str, *, colors: bool) -> None:
        """Let uvicorn's handlers have the format too: `uvicorn.run(app)` adds them after `instrument()`.

        By name, because uvicorn pickles its configuration for its workers.
        """
        if find_spec("uvicorn") is None:
            return
        from uvicorn.config import LOGGING_CONFIG  # noqa: PLC0415 the application may have another server

        formatters = LOGGING_CONFIG["formatters"]
        self._uvicorn_formatters = formatters.copy()
        formatters.update({key: {"()": f"observability.logs.format.{name}", "colors": colors} for key in formatters})

    def restore(self) -> None:
        with self._lock:
            if self._handler is None:
                return
            logging.getLogger().removeHandler(self._handler)
            self._handler = None
            for one, handlers, propagate, level in self._before:
                one.handlers, one.propagate = handlers, propagate
                one.setLevel(level)
            if self._uvicorn_formatters:
                from uvicorn.config import LOGGING_CONFIG  # noqa: PLC0415 the same

                LOGGING_CONFIG["formatters"] = self._uvicorn_formatters
            if self._configures_structlog:
                reset_structlog()
            restore_hooks()


_process_logging: Final = _ProcessLogging()


class _TerminalHandler(logging.Handler):
    """Writes to the given stream, else to what `sys.stderr` is at the time."""

    def __init__(self, stream: TextIO | None) -> None:
        super().__init__()
        self._stream = stream

    @property
    def stream(self) -> TextIO:
        return self._stream or sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self.stream.write(f"{self.format(record)}\n")
            self.stream.flush()
        except Exception:  # noqa: BLE001 as in every handler
            self.handleError(record)


def _writes_to_terminal(handler: logging.Handler) -> bool:
    terminal = {sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__}
    return isinstance(handler, logging.StreamHandler) and handler.stream in terminal


def _is_plain_stream(handler: logging.Handler) -> bool:
    """Whether it is a handler that servers write to the terminal with, even if the terminal was replaced since."""
    return type(handler) is logging.StreamHandler
