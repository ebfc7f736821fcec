"""The client span of a statement, in the stable semantic conventions for databases."""

from time import time_ns

from opentelemetry.semconv.attributes.db_attributes import (
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_RESPONSE_STATUS_CODE,
)
from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer

from observability.executions import Execution


def leave_span(tracer: Tracer, execution: Execution) -> None:
    """Leave a finished span below the current one.

    The error's message stays out: it may hold values, as in `Key (email)=(someone@example.org) already exists`.
    """
    statement, error = execution.statement, execution.error
    attributes = execution.attributes | {
        DB_OPERATION_NAME: statement.operation,
        DB_QUERY_SUMMARY: statement.summary,
        DB_QUERY_TEXT: statement.text,
    }
    if execution.batch_size > 1:
        attributes[DB_OPERATION_BATCH_SIZE] = execution.batch_size
    if error is not None:
        attributes[ERROR_TYPE] = type(error).__name__
        status_code = getattr(error, "sqlstate", None) or getattr(error, "sqlite_errorname", None)
        if status_code:
            attributes[DB_RESPONSE_STATUS_CODE] = str(status_code)
    ended_ns = time_ns()
    span = tracer.start_span(
        statement.summary or statement.operation,
        kind=SpanKind.CLIENT,
        attributes=attributes,
        start_time=ended_ns - int(execution.seconds * 1e9),
    )
    if error is not None:
        span.set_status(Status(StatusCode.ERROR))
    span.end(ended_ns)
