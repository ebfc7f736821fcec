"""Executions of SQL statements, from the public events of an engine."""

from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter, time_ns
from typing import Any, Final

from opentelemetry.semconv.attributes.error_attributes import ERROR_TYPE
from opentelemetry.trace import SpanKind, Status, StatusCode, Tracer
from opentelemetry.util.types import AttributeValue
from sqlalchemy import Engine
from sqlalchemy.engine import ExceptionContext, ExecutionContext

from observability.core.internal_errors import suppress_internal_errors
from observability.core.semconv import (
    DB_OPERATION_BATCH_SIZE,
    DB_OPERATION_NAME,
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    DB_RESPONSE_STATUS_CODE,
    exception_type,
)
from observability.database.instrument_engine import replace_listeners, span_attributes
from observability.database.sql import Statement, statement_of

_STARTED: Final = "_observability_started"


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


def listen_to_statements(pool: str, engine: Engine, finished: Callable[[StatementExecution], None]) -> None:
    """Call `finished` after every execution on the engine, successful, failed or cancelled."""
    listeners = _Listeners(pool, engine, finished)
    replace_listeners(
        engine,
        "statements",
        {
            "before_cursor_execute": listeners.begin,
            "after_cursor_execute": listeners.end,
            "handle_error": listeners.fail,
        },
    )


class _Listeners:
    """The listeners of one engine; the start time is stored in the execution context."""

    def __init__(self, pool: str, engine: Engine, finished: Callable[[StatementExecution], None]) -> None:
        self._pool = pool
        self._dialect = engine.dialect.name
        self._attributes = span_attributes(pool, engine)
        self._finished = finished

    def begin(self, _conn: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        if context is not None:
            setattr(context, _STARTED, perf_counter())

    def end(self, _conn: Any, _cursor: Any, sql: str, parameters: Any, context: Any, many: bool) -> None:
        self._record(sql, context, batch_size=len(parameters) if many else 1)

    def fail(self, failure: ExceptionContext) -> None:
        """Record an execution that failed or was cancelled; errors outside of an execution have no start time."""
        self._record(failure.statement or "", failure.execution_context, error=failure.original_exception)

    def _record(
        self,
        statement: str,
        context: ExecutionContext | None,
        *,
        batch_size: int = 1,
        error: BaseException | None = None,
    ) -> None:
        started = getattr(context, _STARTED, None)
        if started is None:
            return
        seconds = perf_counter() - started
        setattr(context, _STARTED, None)
        with suppress_internal_errors("queries"):
            self._finished(
                StatementExecution(
                    pool=self._pool,
                    statement=statement_of(statement, self._dialect),
                    seconds=seconds,
                    attributes=self._attributes,
                    batch_size=batch_size,
                    error=error,
                )
            )


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
