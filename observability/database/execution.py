"""An execution of a SQL statement, and its span."""

from dataclasses import dataclass
from time import time_ns

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue

from observability.core.semconv import (
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_RESPONSE_STATUS_CODE,
    exception_type,
)
from observability.database.sql import Statement


@dataclass(slots=True)  # not frozen: creation would take twice as long, for every query
class StatementExecution:
    pool: str
    statement: Statement
    seconds: float
    attributes: dict[str, AttributeValue]
    """Of every span of the engine."""
    batch_size: int = 1
    """Number of parameter sets."""
    error: BaseException | None = None
    """The driver's exception or the cancellation."""


def emit_span(tracer: Tracer, execution: StatementExecution) -> None:
    """Create a span for the finished execution, as a child of the current one.

    It does not contain the error message, which may have values, as in `Key (email)=(a@example.org) already exists`.
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
        attributes[ERROR_TYPE] = exception_type(error)
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
