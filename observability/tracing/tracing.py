"""A trace context for every request, and a server span for those that are sampled, slow or failed.

Most requests are not sampled and get little: ids, and a context that propagates them to outgoing calls and logs. What a
child span needs is kept until the request ends. One that turns out slow or failed gets a retroactive server span with
these ids, and its child spans.
"""

import hmac
from collections import deque
from collections.abc import Mapping, Sequence
from contextvars import Token
from threading import Thread
from time import perf_counter, time_ns
from typing import Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TracerProvider
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from observability.compat.fastapi import operations
from observability.core.internal_errors import suppress_internal_errors
from observability.core.limits import RateLimiter, run_with_timeout
from observability.core.semconv import RETROACTIVE
from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts
from observability.request.record import RequestRecord, current_request
from observability.tracing.context import CURRENT_CONTEXT, CURRENT_SPAN
from observability.tracing.fast_path.request_span import LazyServerSpan, UnsampledSpan, allows_snapshots
from observability.tracing.http_span import (
    add_exception,
    apply_outcome,
    request_attributes,
    request_outcome,
    scope_fields,
    span_name,
)
from observability.tracing.kept_span import ChildSpan
from observability.tracing.operations import OperationTracer
from observability.tracing.propagation import Extractor, header_values
from observability.tracing.provider import ProxyTracerProvider, activate, deactivate, global_tracer_provider
from observability.tracing.sampling import FORCE_SAMPLE, HeadSampler, PresetIdGenerator
from observability.tracing.span_processor import (
    BoundedSpanProcessor,
    NonOwningSpanProcessor,
    otlp_span_processor,
)

RETROACTIVE_REQUESTS_PER_S: Final = 500
"""Limit of retroactive spans, without their children: when everything fails, tracing must not make it slower."""

_NO_ATTRIBUTES: Final[dict[str, AttributeValue]] = {}
_RETROACTIVE: Final[dict[str, AttributeValue]] = {RETROACTIVE: True}
_OURS: Final = frozenset({b"x-request-id", b"x-sample-token"})
_FORCED: Final = Context({FORCE_SAMPLE: True})
_BATCH: Final = 32
"""Child spans of a sampled request that are queued together: queueing one takes longer than what follows in a batch."""
_BATCH_S: Final = 1.0
"""Age of a request from which its child spans are queued one by one: a stream may run for days."""


class Tracing:
    """The traces of one application; its `provider` has tracers before anything is started."""

    def __init__(
        self, *, settings: TelemetrySettings, counts: ExportCounts, processors: Sequence[SpanProcessor] = ()
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._processors = tuple(map(NonOwningSpanProcessor, processors))
        self._sampler = HeadSampler.of(settings)
        self._sample_token = settings.sample_token.get_secret_value().encode()
        self._is_sampled = self._sampler.is_sampled
        self._ids = PresetIdGenerator()
        self._random_bits = self._ids.random_bits
        self._extractor = Extractor()
        self.trigger_headers = self._extractor.fields | _OURS
        """Headers that matter here: those of trace context, request id and forced sampling."""
        self._retroactive_limiter = RateLimiter(RETROACTIVE_REQUESTS_PER_S)
        self._own: SdkTracerProvider | None = None
        self._exporting: BoundedSpanProcessor | None = None
        self._fast_exporter: BoundedSpanProcessor | None = None
        """The exporter, if it is the only processor and no limit truncates spans: it accepts snapshots."""
        self._uses_global_provider = False
        self._activated: TracerProvider | None = None
        self.recording = False
        """Whether spans are recorded: there is a processor for them."""
        self._logs_trace_ids = settings.access_log and settings.log_format != "none"
        self._span_limits = SpanLimits()
        self._resource = Resource.get_empty()
        self.provider = ProxyTracerProvider()
        self._tracer = self.provider.get_tracer("observability")
        self._operations = operations(
            OperationTracer(self.provider.get_tracer("fastapi")) if settings.operation_spans else None, _add_event
        )

    @property
    def slow_s(self) -> float:
        """Duration in seconds from which a request gets a span, sampled or not."""
        return self._settings.slow_request_s

    def start(self, resource: Resource) -> None:
        """Start recording, in the process that serves requests: threads and id generators must not be forked."""
        self._ids = PresetIdGenerator()
        self._random_bits = self._ids.random_bits
        self._extractor = Extractor()
        self.trigger_headers = self._extractor.fields | _OURS
        provider = global_tracer_provider()
        if provider is not None:
            self._uses_global_provider = self.recording = True
            self.provider.activate(provider)
            return
        exporting = otlp_span_processor(self._settings, self._counts)
        processors: list[SpanProcessor] = [*self._processors, *([exporting] if exporting else [])]
        own = SdkTracerProvider(self._sampler, resource, shutdown_on_exit=False, id_generator=self._ids)
        self._resource = own.resource
        for processor in processors:
            own.add_span_processor(processor)
        self._own, self._exporting, self.recording = own, exporting, bool(processors)
        if not self._processors and allows_snapshots(SpanLimits()):
            self._fast_exporter = exporting
        if processors:
            self.provider.activate(own)
        self._activated = own if processors else self.provider
        activate(self._activated)

    def stop(self, *, timeout_s: float) -> None:
        own, self._own, self._fast_exporter, self.recording, self._uses_global_provider = (
            self._own,
            None,
            None,
            False,
            False,
        )
        if self._activated is not None:
            deactivate(self._activated)
            self._activated = None
        if own is not None:
            self.provider.deactivate(own)
            run_with_timeout(timeout_s, Thread(target=own.shutdown, daemon=True))
        if self._exporting is not None:
            self._exporting.close()
            self._exporting = None

    def caller_context(self, headers: Sequence[tuple[bytes, bytes]]) -> Context:
        """Return the caller's trace context and baggage."""
        return self._extractor.context(header_values(headers))

    def begin(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> Token[Context] | None:
        """Set the request's ids and make its span current; the caller resets `token.var` with the token.

        The span records only if the request is sampled. `headers` may be empty if none of `trigger_headers` is present.
        """
        if headers or self._uses_global_provider:
            return self._begin_with_parent(record, headers or header_values(record.scope["headers"]))
        record.trace_id = trace_id = self._random_bits(128) or 1
        record.span_id = self._random_bits(64) or 1
        if self.recording:
            if self._is_sampled(trace_id, None):
                span = self._sampled_span(record)
                return CURRENT_CONTEXT.set(Context({CURRENT_SPAN: span, **self._operations}))
            record.children = []
        elif self._logs_trace_ids and self._is_sampled(trace_id, None):
            record.is_logged = True
        return CURRENT_CONTEXT.set(Context({CURRENT_SPAN: UnsampledSpan(record)}))

    def _begin_with_parent(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> Token[Context]:
        """Begin a request that has a parent span or other trigger headers, or whose provider is the application's."""
        base = self._extractor.context(headers)
        if self._uses_global_provider:
            record.parent_span_context = _span_context(base)
            span = self._global_provider_span(record, base)
            context = span.get_span_context()
            record.trace_id, record.span_id = context.trace_id, context.span_id
            record.sampled = context.trace_flags.sampled
            if record.span is not None:
                base = Context({**base, **self._operations})
        else:
            self._set_ids(record, base)
            parent = record.parent_span_context
            if self.recording and (self._is_sampled(record.trace_id, parent) or self._is_force_sampled(headers)):
                span = self._sampled_span(record)
                base = Context({**base, **self._operations})
            else:
                if self.recording:
                    record.children = []
                else:
                    # A process that does not record propagates the parent's decision: other services may record.
                    record.sampled = parent is not None and parent.trace_flags.sampled
                    record.is_logged = self._logs_trace_ids and self._is_sampled(record.trace_id, parent)
                span = UnsampledSpan(record)
        return CURRENT_CONTEXT.set(trace.set_span_in_context(span, base))

    def websocket_span(self, scope: Scope, context: Context) -> Span:
        """Start the span of a connection."""
        return self._tracer.start_span(
            "WEBSOCKET", context, SpanKind.SERVER, request_attributes(scope_fields(scope))[1]
        )

    def _begin_excluded(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> Token[Context]:
        """Begin a request without spans; it has ids for logs, and propagates them as not sampled."""
        base = self._extractor.context(headers)
        self._set_ids(record, base)
        return CURRENT_CONTEXT.set(trace.set_span_in_context(UnsampledSpan(record), base))

    def _set_ids(self, record: RequestRecord, base: Context) -> None:
        record.parent_span_context = parent = _span_context(base)
        record.trace_id = parent.trace_id if parent else self._ids.trace_id()
        record.span_id = self._ids.span_id()

    def keep(self, record: RequestRecord, *, status: int | str, error: BaseException | None, ended: float) -> None:
        """Make the span of an unsampled request that was slow or failed, with what was added to it meanwhile.

        The other observers then know that the request is traced; `finish()` follows them.
        """
        seconds = (record.last_byte or ended) - record.started
        failed = error is not None or (isinstance(status, int) and status >= 500)
        if record.sampled or not (failed or seconds >= self._settings.slow_request_s):
            return
        if record.children is None:
            record.is_logged = self._logs_trace_ids and not self.recording
        elif self._retroactive_limiter.allow():
            span = self._sampled_span(record, _RETROACTIVE)
            if isinstance(record.unsampled_span, UnsampledSpan):
                record.unsampled_span.replay_on(span)
        else:
            self._counts.dropped("spans", 1 + len(record.children) + record.further_children)

    def finish(
        self, record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None, ended: float
    ) -> None:
        """End the server span, and export the children that were kept for it."""
        span = record.span
        if span is None:
            return
        seconds = (record.last_byte or ended) - record.started
        record.span = None
        if record.children is not None:
            self._export_children(record)
        end_ns = _epoch_ns(record.started + seconds)
        if isinstance(span, LazyServerSpan):
            if error is None and not record.events and span.seal():
                if self._fast_exporter is not None:
                    server = span.snapshot(
                        handler=handler, status=status, seconds=seconds, end_ns=end_ns, resource=self._resource
                    )
                    self._fast_exporter.on_snapshots([server, *record.taken_snapshots()])
                return
            span = span.materialize()
        self._export_snapshots(record)
        name = span_name(record.scope["method"])
        outcome = request_outcome(name, record.status, handler=handler, status=status, error=error)
        with suppress_internal_errors("span"):
            apply_outcome(span, outcome)
            if error is not None:
                add_exception(span, error, record)
            for event, attributes, at_ns in record.events or ():
                span.add_event(event, attributes, at_ns)
        span.end(end_ns)

    def _export_children(self, record: RequestRecord) -> None:
        """Export the children that were kept; those that end from now on are exported at once."""
        children, record.children = record.children or (), None
        for make, arguments in children:
            with suppress_internal_errors("span"):
                self._end_child(make(*arguments))
        if record.further_children:
            self._counts.dropped("spans", record.further_children)

    def _export_child(self, span: ChildSpan) -> None:
        record = span.record
        self._end_child(span)
        snapshots = record.snapshots
        if snapshots and (
            record.span is None or len(snapshots) >= _BATCH or perf_counter() - record.started > _BATCH_S
        ):
            self._export_snapshots(record)

    def _end_child(self, span: ChildSpan) -> None:
        snapshots = span.record.snapshots
        if self._fast_exporter is None:
            span.replay()
        elif snapshots is not None:
            snapshots.append(span.snapshot(self._resource, self._span_limits))

    def _export_snapshots(self, record: RequestRecord) -> None:
        exporter = self._fast_exporter
        if exporter is not None and (snapshots := record.taken_snapshots()):
            exporter.on_snapshots(snapshots)

    def _is_force_sampled(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether the request has the configured sample token."""
        given = headers.get(b"x-sample-token")
        return bool(given and self._sample_token) and hmac.compare_digest(given or b"", self._sample_token)

    def _sampled_span(self, record: RequestRecord, extra: Mapping[str, AttributeValue] = _NO_ATTRIBUTES) -> Span:
        record.sampled = True
        record.snapshots = deque()
        record.export_child = self._export_child
        span = LazyServerSpan(record, self._sdk_span, extra)
        record.span = started = span if self._fast_exporter is not None else span.materialize()
        return started

    def _sdk_span(self, span: LazyServerSpan) -> Span:
        record, parent = span.record, span.record.parent_span_context
        name, attributes = request_attributes(span.scope_fields)
        self._ids.preset(trace_id=record.trace_id, span_id=record.span_id)
        base = _FORCED if parent is None else trace.set_span_in_context(NonRecordingSpan(parent), _FORCED)
        started_ns = _epoch_ns(record.started)
        return self._tracer.start_span(
            name, base, SpanKind.SERVER, {**attributes, **span.extra_attributes}, start_time=started_ns
        )

    def _global_provider_span(self, record: RequestRecord, base: Context) -> Span:
        """Return the span of the provider that the application set."""
        name, attributes = request_attributes(scope_fields(record.scope))
        span = self._tracer.start_span(name, base, SpanKind.SERVER, attributes, start_time=_epoch_ns(record.started))
        record.span = span if span.is_recording() else None
        return span


def _add_event(name: str, attributes: dict[str, AttributeValue]) -> None:
    request = current_request.get()
    if request is not None:
        request.add_event(name, attributes)


def _span_context(base: Context) -> SpanContext | None:
    context = trace.get_current_span(base).get_span_context()
    return context if context.is_valid else None


def _epoch_ns(reading: float) -> int:
    """Convert a reading of `perf_counter` to nanoseconds since the epoch."""
    return time_ns() - int((perf_counter() - reading) * 1e9)
