"""SQL statements: durations, spans, statements per request, and suspected N+1 patterns.

The official instrumentation does not support SQLAlchemy 2.1, so the engine's public events are used here.
"""

from collections import Counter as Tally
from collections.abc import Iterator
from functools import partial
from threading import Lock
from time import time, time_ns
from typing import TYPE_CHECKING, Final

from opentelemetry import trace
from opentelemetry.trace import Tracer
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.core import Metric

from observability.core.collector import DescribedCollector
from observability.core.labels import POOL_LABEL, BoundedValues
from observability.core.semconv import (
    DB_QUERY_SUMMARY,
    DB_QUERY_TEXT,
    N_PLUS_ONE_SUSPECTED,
    QUERY_EXECUTIONS,
    QUERY_FINGERPRINT,
)
from observability.database.execution import StatementExecution, emit_span, kept_span
from observability.database.sql import Statement
from observability.metrics.histogram import BucketCounts, HistogramFamily, LabelValues, exemplar_of
from observability.request.record import MAX_STATEMENTS, RequestRecord, current_request
from observability.request.server_timing import add_timing
from observability.tracing.kept_span import KeptTracer, RequestSpan

if TYPE_CHECKING:
    from sqlalchemy import Engine
    from sqlalchemy.ext.asyncio import AsyncEngine

BUCKETS: Final = (0, 1, 2, 3, 4, 5, 7, 10, 15, 20, 30, 50, 100, 200, 500, 1000)


class QueriesPerRequest(DescribedCollector):
    def __init__(self, registry: CollectorRegistry) -> None:
        self._counted: dict[LabelValues, BucketCounts] = {}
        self._lock = Lock()
        self._view = HistogramFamily(counted_s=BUCKETS, bounds_s=BUCKETS)
        registry.register(self)

    def observe(self, request: RequestRecord, statements: int, *, method: str, handler: str) -> None:
        counted = self._counted.get((method, handler))
        if counted is None:
            counted = self._counted.setdefault((method, handler), BucketCounts(BUCKETS))
        with self._lock:
            is_exemplar = request.sampled or request.is_logged
            counted.observe(statements, (request.trace_id, request.span_id, time()) if is_exemplar else None)

    def collect(self) -> Iterator[Metric]:
        counted = dict(sorted(self._counted.copy().items()))
        yield self._view.family(
            "db_queries_per_request",
            "Statements that one request executed.",
            ("method", "handler"),
            {values: [one] for values, one in counted.items()},
        )


DURATION_BUCKETS_S: Final = (
    *(0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1),
    *(0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0),
)
N_PLUS_ONE_THRESHOLD: Final = 10
"""Executions of one statement in one request that make a query in a loop the likely cause."""

_first_statement: Final = Lock()


def statements_of(request: RequestRecord) -> list[Statement]:
    """Return the list of the request's statements, one for all of its threads: appending to it is atomic."""
    if request.statements is None:
        with _first_statement:
            request.statements = request.statements or []
    return request.statements


class QueryMetrics:
    """Time the statements of engines, count them by request, and trace them in sampled requests."""

    def __init__(
        self,
        registry: CollectorRegistry,
        *,
        n_plus_one_threshold: int = N_PLUS_ONE_THRESHOLD,
        tracer: Tracer | None = None,
    ) -> None:
        self._threshold = n_plus_one_threshold
        self._tracer = tracer or trace.get_tracer("observability")
        self._kept_tracer = self._tracer if isinstance(self._tracer, KeptTracer) else None
        self._error = BoundedValues()
        # Resolving label values takes longer than observing.
        self._durations: dict[tuple[str, str], Histogram] = {}
        counter = partial(Counter, registry=registry)
        histogram = partial(Histogram, registry=registry)
        self._duration = histogram(
            "db_client_operation_duration_seconds",
            "Time from sending a statement to its result; waiting for a connection is not included.",
            (POOL_LABEL, "operation"),
            buckets=DURATION_BUCKETS_S,
        )
        self._errors = counter(
            "db_client_operation_errors_total",
            "Statements that failed or were cancelled, by error class.",
            (POOL_LABEL, "error"),
        )
        self._per_request = QueriesPerRequest(registry)
        self._suspected = counter(
            "db_n_plus_one_suspected_total",
            "Statements that one request executed so often that a query in a loop is the likely cause.",
            ("method", "handler"),
        )

    def attach(self, pool: str, engine: "Engine | AsyncEngine") -> None:
        """Observe the engine under its role `pool`."""
        from observability.database.instrument_engine import sync_engine  # noqa: PLC0415 needs SQLAlchemy
        from observability.database.statements import listen_to_statements  # noqa: PLC0415 the same

        listen_to_statements(pool, sync_engine(engine), self.observe)

    def observe_request(self, request: RequestRecord, *, method: str, handler: str) -> None:
        """Count the statements of a finished request; repeated ones become events of its span."""
        statements = request.statements or ()
        executed = len(statements) + request.further_statements
        self._per_request.observe(request, executed, method=method, handler=handler)
        if len(statements) < self._threshold:
            return
        for statement, times in Tally(statements).items():
            if times < self._threshold:
                continue
            self._suspected.labels(method, handler).inc()
            request.add_event(
                N_PLUS_ONE_SUSPECTED,
                {
                    QUERY_FINGERPRINT: statement.fingerprint,
                    DB_QUERY_SUMMARY: statement.summary,
                    DB_QUERY_TEXT: statement.text,
                    QUERY_EXECUTIONS: times,
                },
            )

    def observe(self, execution: StatementExecution) -> None:
        """Time a finished execution, and count it for the current request."""
        statement = execution.statement
        key = (execution.pool, statement.operation)
        duration = self._durations.get(key)
        if duration is None:
            duration = self._durations[key] = self._duration.labels(*key)
        span = trace.get_current_span()
        duration.observe(execution.seconds, exemplar_of(span))
        add_timing("db", execution.seconds)
        request = current_request.get()
        if request is not None:
            statements = statements_of(request)
            if len(statements) < MAX_STATEMENTS:
                statements.append(statement)
            else:
                request.further_statements += 1
        if execution.error is not None:
            self._errors.labels(execution.pool, self._error(type(execution.error).__name__)).inc()
        if self._kept_tracer is not None and isinstance(span, RequestSpan):
            span.keep_child(kept_span, span, self._kept_tracer, execution, time_ns())
        elif span.is_recording():
            emit_span(self._tracer, execution)
