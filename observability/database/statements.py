"""Executions of SQL statements, from the public events of an engine."""

from collections.abc import Callable
from time import perf_counter
from typing import Any, Final

from sqlalchemy import Engine
from sqlalchemy.engine import ExceptionContext, ExecutionContext

from observability.core.internal_errors import suppress_internal_errors
from observability.database.execution import StatementExecution
from observability.database.instrument_engine import replace_listeners, span_attributes
from observability.database.sql import statement_of

_STARTED: Final = "_observability_started"


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
