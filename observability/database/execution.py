"""An execution of a SQL statement, and its span."""

from dataclasses import dataclass
from time import time_ns
from typing import Final

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
from observability.tracing.kept_span import ChildSpan, KeptTracer, RequestSpan

_FAILED: Final = Status(StatusCode.ERROR)


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
    """Create a span for the finished execution, as a child of the current one."""
    ended_ns = time_ns()
    span = tracer.start_span(
        _span_name(execution),
        kind=SpanKind.CLIENT,
        attributes=_attributes(execution),
        start_time=ended_ns - int(execution.seconds * 1e9),
    )
    if execution.error is not None:
        span.set_status(_FAILED)
    span.end(ended_ns)


def kept_span(parent: RequestSpan, tracer: KeptTracer, execution: StatementExecution, ended_ns: int) -> ChildSpan:
    """Return the same span for the request of `parent`."""
    span = ChildSpan(
        parent,
        tracer,
        _span_name(execution),
        kind=SpanKind.CLIENT,
        attributes=_attributes(execution),
        start_ns=ended_ns - int(execution.seconds * 1e9),
    )
    if execution.error is not None:
        span.set_status(_FAILED)
    return span.ended(ended_ns)


def _span_name(execution: StatementExecution) -> str:
    return execution.statement.summary or execution.statement.operation


def _attributes(execution: StatementExecution) -> dict[str, AttributeValue]:
    """Return the attributes of the span.

    They do not contain the error message, which may have values, as in `Key (email)=(a@example.org) already exists`.
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
    return attributes
