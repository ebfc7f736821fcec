"""The server span in the context: ids, and a span of the SDK only if something is added to it."""

from collections.abc import Callable, Mapping
from threading import Lock
from time import perf_counter, time_ns
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.util.types import Attributes, AttributeValue

from observability.request.record import RequestRecord
from observability.tracing.context import span_context
from observability.tracing.http_span import request_attributes, request_outcome, scope_fields
from observability.tracing.kept_span import UNSET, KeptSpan, RequestSpan

_SCOPE: Final = InstrumentationScope("observability")
_FAILED: Final = Status(StatusCode.ERROR)


class SpanSnapshot(NamedTuple):
    """The data of a server span that nothing was added to, without a reference to the application."""

    trace_id: int
    span_id: int
    parent_span_context: SpanContext | None
    scope_fields: Mapping[str, Any]
    extra_attributes: Mapping[str, AttributeValue]
    """In addition to those of every request."""
    resource: Resource
    handler: str
    response_status: int
    """0 if no response started."""
    status: int | str
    """The status label of the metrics."""
    seconds: float
    end_ns: int

    @property
    def instrumentation_scope(self) -> InstrumentationScope:
        return _SCOPE

    def readable(self) -> ReadableSpan:
        name, attributes = request_attributes(self.scope_fields)
        outcome = request_outcome(name, self.response_status, handler=self.handler, status=self.status, error=None)
        return ReadableSpan(
            outcome.name or name,
            span_context(self.trace_id, self.span_id, self.parent_span_context, is_sampled=True),
            self.parent_span_context,
            self.resource,
            {**attributes, **self.extra_attributes, **outcome.attributes},
            kind=SpanKind.SERVER,
            status=_FAILED if outcome.is_failure else UNSET,
            start_time=self.end_ns - int(self.seconds * 1e9),
            end_time=self.end_ns,
            instrumentation_scope=_SCOPE,
        )


MAX_ATTRIBUTES: Final = 24
"""More than the instrumentation itself adds to a span."""

_lock: Final = Lock()


class UnsampledSpan(KeptSpan):
    """The server span of an unsampled request; its context is created on demand.

    What is added to it is kept, like its children, in case the request turns out slow or failed.
    """

    def __getattr__(self, name: str) -> Any:
        """Return what a `ReadableSpan` of this request has: code that reads spans of the SDK must not fail."""
        if name.startswith("_"):
            raise AttributeError(name)
        record, added = self.record, self.added_attributes
        return getattr(_readable(record, scope_fields(record.scope), self.get_span_context(), added), name)

    def get_span_context(self) -> SpanContext:
        if self._span_context is None:
            self._span_context = self.new_context(self.record.span_id)
        return self._span_context

    def is_recording(self) -> bool:
        return self.record.children is not None

    def _is_open(self) -> bool:
        self.record.unsampled_span = self
        return self.is_recording()


class LazyServerSpan(RequestSpan):
    """The span of a sampled request; the SDK's span is created only if something is added to it.

    Creating, changing and ending a span of the SDK takes longer than a small request. Most requests add nothing to
    their span; then the exporter gets a `SpanSnapshot` with the same content.
    """

    _sdk_span: Span | None = None
    _span_context: SpanContext | None = None
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

    def __getattr__(self, name: str) -> Any:
        """Return what the SDK's span has, or after `seal()` a `ReadableSpan` with the same content."""
        if name.startswith("_"):
            raise AttributeError(name)
        if self._is_sealed:
            return getattr(_readable(self.record, self.scope_fields, self.get_span_context()), name)
        return getattr(self.materialize(), name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()!r})"

    def materialize(self) -> Span:
        """Return the SDK's span, created at the first call; a non-recording one after `seal()`."""
        if self._sdk_span is None:
            with _lock:
                if self._sdk_span is None:
                    ended = self._is_sealed
                    self._sdk_span = NonRecordingSpan(self.get_span_context()) if ended else self._make(self)
        return self._sdk_span

    def seal(self) -> bool:
        """End the span unless `materialize()` was called; return whether it ended, so that a snapshot is all of it."""
        with _lock:
            self._is_sealed = self._sdk_span is None
        return self._is_sealed

    def snapshot(
        self, *, handler: str, status: int | str, seconds: float, end_ns: int, resource: Resource
    ) -> SpanSnapshot:
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
        if self._span_context is None:
            record = self.record
            self._span_context = span_context(
                record.trace_id, record.span_id, record.parent_span_context, is_sampled=True
            )
        return self._span_context

    def is_recording(self) -> bool:
        return not self._is_sealed and (self._sdk_span is None or self._sdk_span.is_recording())

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        self.materialize().set_attributes(attributes)

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        self.materialize().set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        self.materialize().add_event(name, attributes, timestamp)

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        self.materialize().add_link(context, attributes)

    def update_name(self, name: str) -> None:
        self.materialize().update_name(name)

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        self.materialize().set_status(status, description)

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        self.materialize().record_exception(exception, *args, **kwargs)

    def end(self, end_time: int | None = None) -> None:
        self.materialize().end(end_time)


def _readable(
    record: RequestRecord,
    fields: Mapping[str, Any],
    context: SpanContext,
    added: Mapping[str, AttributeValue] = MappingProxyType({}),
) -> ReadableSpan:
    """Return the server span as far as it is known; its name has the route once the response started."""
    name, attributes = request_attributes(fields)
    status, outcome = UNSET, None
    if record.status:
        handler = record.route or record.routes.template(record.routed or record.scope, root_path=record.root_path)
        outcome = request_outcome(name, record.status, handler=handler, status=record.status, error=None)
        status = _FAILED if outcome.is_failure else UNSET
    to_epoch_ns = time_ns() - int(perf_counter() * 1e9)
    return ReadableSpan(
        outcome.name if outcome and outcome.name else name,
        context,
        record.parent_span_context,
        attributes={**attributes, **added, **(outcome.attributes if outcome else {})},
        kind=SpanKind.SERVER,
        status=status,
        start_time=to_epoch_ns + int(record.started * 1e9),
        end_time=to_epoch_ns + int(record.last_byte * 1e9) if record.last_byte else None,
        instrumentation_scope=_SCOPE,
    )


def allows_snapshots(limits: SpanLimits) -> bool:
    """Return whether the limits truncate nothing that the instrumentation itself adds to a span."""
    maximum = limits.max_span_attributes
    return limits.max_span_attribute_length is None and (maximum is None or maximum >= MAX_ATTRIBUTES)
