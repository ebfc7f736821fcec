"""OpenTelemetry's logs: API, SDK and exporter are in private modules. Without them logs are not exported."""

try:
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.sdk._logs import LoggerProvider, ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor, LogRecordExporter, LogRecordExportResult
except ImportError:
    IS_AVAILABLE = False
else:
    IS_AVAILABLE = True

__all__ = [
    "IS_AVAILABLE",
    "BatchLogRecordProcessor",
    "LogRecordExportResult",
    "LogRecordExporter",
    "LoggerProvider",
    "OTLPLogExporter",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SeverityNumber",
]
