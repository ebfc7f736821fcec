"""Export of log records over OTLP.

OpenTelemetry's own logging handler would export tracebacks with secrets, and structlog events as they are, without the
request id.
"""

import json
import logging
from collections.abc import Iterator, Sequence
from threading import Thread
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.semconv.attributes.client_attributes import CLIENT_ADDRESS
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.semconv.attributes.exception_attributes import (
    EXCEPTION_MESSAGE,
    EXCEPTION_STACKTRACE,
    EXCEPTION_TYPE,
)
from opentelemetry.semconv.attributes.http_attributes import HTTP_REQUEST_METHOD, HTTP_RESPONSE_STATUS_CODE, HTTP_ROUTE
from opentelemetry.semconv.attributes.url_attributes import URL_PATH
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags
from opentelemetry.util.types import AnyValue

from observability.compat.opentelemetry_logs import (
    BatchLogRecordProcessor,
    LoggerProvider,
    LogRecordExporter,
    LogRecordExportResult,
    OTLPLogExporter,
    ReadableLogRecord,
    ReadWriteLogRecord,
    SeverityNumber,
)
from observability.core.internal_errors import record_internal_error
from observability.core.limits import run_with_timeout
from observability.core.semconv import CODE_STACKTRACE, LOG_TRUNCATED, REQUEST_DURATION_S, REQUEST_ID, exception_type
from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts, ExportQueue
from observability.logs.access_log import AccessRecord
from observability.logs.bounds import RecordBounds, record_bytes
from observability.logs.correlation import exception_text, ids_of
from observability.logs.fields import plain_fields, text
from observability.logs.record import LogEvent, log_event
from observability.request.record import METHODS
from observability.request.route_table import UNMATCHED

_SEVERITIES: Final = {
    "debug": SeverityNumber.DEBUG,
    "info": SeverityNumber.INFO,
    "warning": SeverityNumber.WARN,
    "error": SeverityNumber.ERROR,
    "critical": SeverityNumber.FATAL,
}
_OWN: Final = frozenset(
    {EXCEPTION_TYPE, EXCEPTION_MESSAGE, EXCEPTION_STACKTRACE, CODE_STACKTRACE, REQUEST_ID, LOG_TRUNCATED}
)
"""The names of a record's own attributes; a caller's of that name gets an underscore at its end."""

MAX_REQUEST_BYTES: Final = 3_000_000
"""Records of one export request, about: Loki and many other back ends accept 4 MiB."""


class LogExport(logging.Handler):
    """Exports log records, and access records without a `LogRecord`."""

    def __init__(self, *, settings: TelemetrySettings, counts: ExportCounts, resource: Resource, endpoint: str) -> None:
        super().__init__()
        exporter = _CountedExporter(
            endpoint=endpoint, headers=settings.otlp_headers or None, timeout=settings.otlp_timeout_s
        )
        exporter.queue = self._queue = counts.queue("logs", limit=settings.export_queue_size)
        self._provider = LoggerProvider(resource, shutdown_on_exit=False)
        self._provider.add_log_record_processor(_BoundedProcessor(exporter, queue=self._queue, settings=settings))
        self._bounds = RecordBounds(resource.attributes)
        self._access = self._provider.get_logger("observability.access")

    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("opentelemetry"):
            return  # errors of the exporter must not be exported
        try:
            event = log_event(record)
            body, attributes = self._bounds.apply(event.message, _attributes(event))
            level = record.levelname.lower()
            self._provider.get_logger(record.name).emit(
                timestamp=int(record.created * 1e9),
                severity_number=_SEVERITIES.get(level, SeverityNumber.INFO),
                severity_text=level,
                body=body,
                attributes=attributes,
            )
        except Exception as error:  # noqa: BLE001 telemetry never breaks a request
            record_internal_error("logs_export", error)

    def access(self, access: AccessRecord) -> None:
        """Export the record of a request, with its trace context."""
        line = f"{access.method} {text(access.path)} {access.status}"
        body, attributes = self._bounds.apply(line, _access_attributes(access))
        context = SpanContext(access.trace_id, access.span_id, is_remote=False, trace_flags=TraceFlags(0))
        self._access.emit(
            timestamp=int(access.at_s * 1e9),
            context=trace.set_span_in_context(NonRecordingSpan(context), Context()),
            severity_number=_SEVERITIES[access.level],
            severity_text=access.level,
            body=body,
            attributes=attributes,
        )

    def stop(self, *, timeout_s: float) -> None:
        """Export what is queued; count what was not exported in time, and later records, as dropped."""
        run_with_timeout(timeout_s, Thread(target=self._provider.shutdown, daemon=True))
        self._queue.close()


def log_export(settings: TelemetrySettings, counts: ExportCounts, resource: Resource) -> LogExport | None:
    """Return the handler that exports over OTLP/HTTP, or None if that is disabled or there is no endpoint."""
    endpoint = settings.otlp_url("logs")
    if settings.logs_exporter != "otlp" or not endpoint:
        return None
    return LogExport(settings=settings, counts=counts, resource=resource, endpoint=endpoint)


class _CountedExporter(OTLPLogExporter):
    queue: ExportQueue

    def export(self, batch: Sequence[ReadableLogRecord]) -> LogRecordExportResult:
        """Export the batch, in several requests if it is large, and count the outcome of each."""
        result = LogRecordExportResult.SUCCESS
        exported = 0
        try:
            for request in _requests(batch):
                outcome = super().export(request)
                if outcome is LogRecordExportResult.SUCCESS:
                    exported += len(request)
                else:
                    result = outcome
        finally:
            self.queue.dequeued("exported", exported)
            self.queue.dequeued("failed", len(batch) - exported)
        return result


def _requests(batch: Sequence[ReadableLogRecord]) -> Iterator[Sequence[ReadableLogRecord]]:
    """Yield the batch in parts of limited size; a record is always smaller."""
    first = size = 0
    for index, each in enumerate(batch):
        own = record_bytes(each.log_record.body, each.log_record.attributes)
        if size + own > MAX_REQUEST_BYTES:
            yield batch[first:index]
            first, size = index, 0
        size += own
    yield batch[first:]


class _BoundedProcessor(BatchLogRecordProcessor):
    """The SDK's batch processor; when its queue is full, it drops and counts new records."""

    def __init__(self, exporter: LogRecordExporter, *, queue: ExportQueue, settings: TelemetrySettings) -> None:
        super().__init__(
            exporter,
            schedule_delay_millis=settings.export_delay_ms,
            max_export_batch_size=min(settings.export_batch_size, settings.export_queue_size),
            max_queue_size=settings.export_queue_size,
        )
        self._queue = queue

    def on_emit(self, log_record: ReadWriteLogRecord) -> None:
        if self._queue.try_enqueue():
            super().on_emit(log_record)


def _attributes(event: LogEvent) -> dict[str, AnyValue]:
    own: dict[str, Any] = plain_fields(event.failure)
    if event.error is not None:
        own |= _exception(event.error)
    if event.stack:
        own[CODE_STACKTRACE] = event.stack
    request_id = ids_of(event.error).get("request_id")
    if request_id:
        own[REQUEST_ID] = request_id
    fields = plain_fields(event.fields, taken={*_OWN, *own})
    return own | {name or "_": _attribute(value) for name, value in fields.items()}


def _access_attributes(access: AccessRecord) -> dict[str, AnyValue]:
    attributes: dict[str, AnyValue] = {
        HTTP_REQUEST_METHOD: access.method if access.method in METHODS else "_OTHER",
        URL_PATH: text(access.path),
        REQUEST_DURATION_S: access.seconds,
        REQUEST_ID: access.request_id or f"{access.span_id:016x}",
    }
    if access.client:
        attributes[CLIENT_ADDRESS] = access.client
    if access.handler != UNMATCHED:
        attributes[HTTP_ROUTE] = access.handler
    if isinstance(access.status, int):
        attributes[HTTP_RESPONSE_STATUS_CODE] = access.status
    if isinstance(access.status, str) or access.status >= 500:
        attributes[ERROR_TYPE] = str(access.status)
    return attributes


def _attribute(value: Any) -> AnyValue:
    """Return the value as an attribute; lists and mappings as JSON, as back ends show them."""
    return value if isinstance(value, str | bool | int | float) else json.dumps(value)


def _exception(error: BaseException) -> dict[str, str]:
    stacktrace = text(exception_text(error))
    return {
        EXCEPTION_TYPE: exception_type(error),
        EXCEPTION_MESSAGE: stacktrace.rpartition("\n")[2],
        EXCEPTION_STACKTRACE: stacktrace,
    }
