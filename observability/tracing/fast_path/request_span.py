"""What stands for a request's span in the context: little more than its ids, until somebody asks for more."""

from collections.abc import Callable, Mapping
from threading import Lock
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import Attributes, AttributeValue

from observability.request.record import RequestRecord
from observability.tracing.http_span import request_attributes, request_outcome, scope_fields

SAMPLED: Final = TraceFlags(TraceFlags.RANDOM_TRACE_ID | TraceFlags.SAMPLED)
_RANDOM: Final = int(TraceFlags.RANDOM_TRACE_ID)
_SAMPLED_BIT: Final = int(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("observability")
_UNSET: Final = Status()
_FAILED: Final = Status(StatusCode.ERROR)


class SpanSnapshot(NamedTuple):
    """The facts of a request that added nothing to its span; none of them holds on to the application."""

    trace_id: int
    span_id: int
    parent_span_context: SpanContext | None
    scope_fields: Mapping[str, Any]
    """What `http_span.scope_fields` kept of the scope."""
    extra_attributes: Mapping[str, AttributeValue]
    """Attributes beside those of every request."""
    resource: Resource
    handler: str
    answered: int
    """The status that was sent; 0 if none was."""
    status: int | str
    """As the metrics have it."""
    seconds: float
    end_ns: int

    def readable(self) -> ReadableSpan:
        """Return the span as exporters read it."""
        name, attributes = request_attributes(self.scope_fields)
        outcome = request_outcome(name, self.answered, handler=self.handler, status=self.status, error=None)
        return ReadableSpan(
            outcome.name or name,
            server_span_context(self.trace_id, self.span_id, self.parent_span_context),
            self.parent_span_context,
            self.resource,
            {**attributes, **self.extra_attributes, **outcome.attributes},
            kind=SpanKind.SERVER,
            status=_FAILED if outcome.is_failure else _UNSET,
            start_time=self.end_ns - int(self.seconds * 1e9),
            end_time=self.end_ns,
            instrumentation_scope=_SCOPE,
        )


def server_span_context(trace_id: int, span_id: int, parent_span_context: SpanContext | None) -> SpanContext:
    """Return the ids of a sampled request, as outgoing calls and logs want them."""
    return SpanContext(
        trace_id,
        span_id,
        is_remote=False,
        trace_flags=SAMPLED
        if parent_span_context is None
        else TraceFlags(parent_span_context.trace_flags & _RANDOM | _SAMPLED_BIT),
        trace_state=parent_span_context.trace_state if parent_span_context else None,
    )


MOST_ATTRIBUTES: Final = 24
"""More than the instrumentation itself gives to a span."""

_NOT_SAMPLED: Final = TraceFlags(TraceFlags.RANDOM_TRACE_ID)
_lock: Final = Lock()


class UnsampledSpan(NonRecordingSpan):
    """A span that carries the request's ids and records nothing; what it is asked for rarely, it makes then."""

    _made: SpanContext | None = None

    def __init__(self, record: RequestRecord) -> None:
        self._record = record

    def get_span_context(self) -> SpanContext:
        """Return the request's ids, as outgoing calls and logs want them."""
        if self._made is None:
            record = self._record
            self._made = SpanContext(
                record.trace_id,
                record.span_id,
                is_remote=False,
                trace_flags=SAMPLED if record.sampled else _NOT_SAMPLED,
                trace_state=record.parent_span_context.trace_state if record.parent_span_context else None,
            )
        return self._made


class LazyServerSpan(Span):
    """The span of a sampled request; the SDK's span is made only if somebody adds something to it.

    Making, changing and ending a span of the SDK takes longer than answering a small request. Most requests add
    nothing to their span; their `SpanSnapshot` tells the exporter what the SDK would.
    """

    _made: Span | None = None
    _context: SpanContext | None = None
    _is_sealed = False

    def __init__(
        self,
        record: RequestRecord,
        make: Callable[["LazyServerSpan"], Span],
        extra_attributes: Mapping[str, AttributeValue],
    ) -> None:
        self.record = record
        self.scope_fields = scope_fields(record.scope)
        self.extra_attributes = extra_attributes
        self._make = make

    def materialize(self) -> Span:
        """Return the SDK's span, made now if nobody needed it before."""
        if self._made is None:
            with _lock:
                if self._made is None:
                    self._made = NonRecordingSpan(self.get_span_context()) if self._is_sealed else self._make(self)
        return self._made

    def seal(self) -> bool:
        """Return whether the SDK's span was never needed; then it never will be, and what is added later is lost."""
        with _lock:
            self._is_sealed = self._made is None
        return self._is_sealed

    def snapshot(
        self, *, handler: str, status: int | str, seconds: float, end_ns: int, resource: Resource
    ) -> SpanSnapshot:
        """Return what the exporter needs to know."""
        record = self.record
        return SpanSnapshot(
            record.trace_id,
            record.span_id,
            record.parent_span_context,
            self.scope_fields,
            self.extra_attributes,
            resource,
            handler,
            record.status,
            status,
            seconds,
            end_ns,
        )

    def get_span_context(self) -> SpanContext:
        """Return the request's ids, as outgoing calls and logs want them."""
        if self._context is None:
            record = self.record
            self._context = server_span_context(record.trace_id, record.span_id, record.parent_span_context)
        return self._context

    def is_recording(self) -> bool:
        """Whether what is added now is kept."""
        return not self._is_sealed and (self._made is None or self._made.is_recording())

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        """Add attributes."""
        self.materialize().set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        """Add an attribute."""
        self.materialize().set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        """Add an event."""
        self.materialize().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        """Add a link."""
        self.materialize().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        """Take another name."""
        self.materialize().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Take a status."""
        self.materialize().set_status(status, description)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add an exception as an event."""
        self.materialize().record_exception(exception, attributes, timestamp, escaped)

    def end(self, end_time: int | None = None) -> None:
        """End the span, if somebody does that before the request is over."""
        self.materialize().end(end_time)


def can_be_finished_by_itself(limits: SpanLimits) -> bool:
    """Return whether nothing of what the instrumentation gives to a span is cut by the configured limits."""
    most = limits.max_span_attributes
    return limits.max_span_attribute_length is None and (most is None or most >= MOST_ATTRIBUTES)
