"""A trace context for every request, and a span for those that are sampled, slow or failed.

Most requests are not sampled, so they get as little as possible: ids, and a context that passes them on to outgoing
calls and to logs. A request that turns out slow or failed leaves one span after the fact, under the ids that it had;
the spans below it are lost, which is as far as a decision at the head goes.
"""

import hmac
from collections.abc import Mapping, Sequence
from contextvars import Token
from threading import Thread
from time import perf_counter, time_ns
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, SpanProcessor
from opentelemetry.sdk.trace import TracerProvider as SdkTracerProvider
from opentelemetry.trace import NonRecordingSpan, Span, SpanContext, SpanKind, TracerProvider
from opentelemetry.util.types import AttributeValue
from starlette.types import Scope

from observability.core.internal_errors import guarded
from observability.core.limits import PerSecond, within
from observability.core.settings import TelemetrySettings
from observability.export.counts import ExportCounts
from observability.request.record import METHODS, RequestRecord
from observability.tracing.fast_path.request_span import RequestSpan, UnrecordedSpan, can_be_finished_by_itself
from observability.tracing.http_span import add_exception, arrival, describe, outcome_of, request_attributes
from observability.tracing.propagation import Extractor
from observability.tracing.provider import SwitchedProvider, foreign_provider, switch_off, switch_on
from observability.tracing.sampling import DECIDED, HeadSampler, RequestIds
from observability.tracing.span_processor import (
    BorrowedSpanProcessor,
    BoundedSpanProcessor,
    otlp_span_processor,
)

LATE_SPANS_PER_S: Final = 100
"""Spans after the fact in a second, at most: when everything is slow, tracing must not make it slower."""

_NOTHING: Final[dict[str, AttributeValue]] = {}
_AFTER_THE_FACT: Final[dict[str, AttributeValue]] = {"observability.retroactive": True}
_CURRENT_SPAN: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
"""Under which key a context holds its span; making the context by it saves a copy for every request."""
_OURS: Final = frozenset({b"x-request-id", b"x-sample-token"})
_DECIDED: Final = Context({DECIDED: True})
_attached: Final = otel_context.attach(Context())
_CURRENT_CONTEXT: Final = _attached.var
"""Where the current context is kept; setting it here saves two calls on the way there, and as many on the way back."""
otel_context.detach(_attached)


class Tracing:
    """The traces of one application; its `provider` gives tracers before anything runs."""

    def __init__(
        self, *, settings: TelemetrySettings, counts: ExportCounts, processors: Sequence[SpanProcessor] = ()
    ) -> None:
        self._settings = settings
        self._counts = counts
        self._processors = tuple(map(BorrowedSpanProcessor, processors))
        self._sampler = HeadSampler.of(settings)
        self._sample_token = settings.sample_token.get_secret_value().encode()
        self._samples = self._sampler.samples
        self._ids = RequestIds()
        self._random_bits = self._ids.random_bits
        self._extractor = Extractor()
        self.listens_to = self._extractor.fields | _OURS
        """The names of the headers by which a caller tells what a request belongs to, and what to do with it."""
        self._late = PerSecond(LATE_SPANS_PER_S)
        self._own: SdkTracerProvider | None = None
        self._alone: BoundedSpanProcessor | None = None
        """The exporter, if nobody else hears of spans and none has to be cut: it can be given finished ones."""
        self._foreign = False
        self._switched: TracerProvider | None = None
        self.recording = False
        """Whether spans are kept: something must take them."""
        self.provider = SwitchedProvider()
        self._tracer = self.provider.get_tracer("observability")

    @property
    def slow_s(self) -> float:
        """From how many seconds on a request is worth a span, sampled or not."""
        return self._settings.slow_request_s

    def start(self, resource: Resource) -> None:
        """Begin to record, in the process that answers requests: threads and ids do not survive a fork."""
        self._ids = RequestIds()
        self._random_bits = self._ids.random_bits
        self._extractor = Extractor()
        self.listens_to = self._extractor.fields | _OURS
        foreign = foreign_provider()
        if foreign is not None:
            self._foreign = self.recording = True
            self.provider.switch_on(foreign)
            return
        exporting = otlp_span_processor(self._settings, self._counts)
        processors: list[SpanProcessor] = [*self._processors, *([exporting] if exporting else [])]
        own = SdkTracerProvider(self._sampler, resource, shutdown_on_exit=False, id_generator=self._ids)
        for processor in processors:
            own.add_span_processor(processor)
        self._own, self.recording = own, bool(processors)
        if not self._processors and can_be_finished_by_itself(SpanLimits()):
            self._alone = exporting
        if processors:
            self.provider.switch_on(own)
        self._switched = own if processors else self.provider
        switch_on(self._switched)

    def stop(self, *, timeout_s: float) -> None:
        """Export what is queued, but wait no longer than the timeout."""
        own, self._own, self._alone, self.recording, self._foreign = self._own, None, None, False, False
        if self._switched is not None:
            switch_off(self._switched)
            self._switched = None
        if own is not None:
            self.provider.switch_off(own)
            within(timeout_s, Thread(target=own.shutdown, daemon=True))

    def begin(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> Token[Context]:
        """Give the request its ids and make its span current, until the token's variable is reset by it.

        The span is a recording one only if the request is sampled. The headers may be left out when there is none that
        this `listens_to`.
        """
        if headers or self._foreign:
            return self._begin_called(record, headers or dict(record.scope["headers"]))
        record.trace_number = trace_id = self._random_bits(128) or 1
        record.span_number = self._random_bits(64) or 1
        if self.recording and self._samples(trace_id, None):
            span = self._decided_span(record)
            return _CURRENT_CONTEXT.set(Context({_CURRENT_SPAN: span}))
        return _CURRENT_CONTEXT.set(Context({_CURRENT_SPAN: UnrecordedSpan(record)}))

    def _begin_called(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> Token[Context]:
        """Begin a request whose caller says what it belongs to, or whose provider the process set itself."""
        base = self._extractor.context(headers)
        record.caller = caller = _span_context(base)
        if self._foreign:
            span = self._foreign_span(record, base)
            context = span.get_span_context()
            record.trace_number, record.span_number = context.trace_id, context.span_id
            record.sampled = context.trace_flags.sampled
        else:
            record.trace_number = caller.trace_id if caller else self._ids.trace_id()
            record.span_number = self._ids.span_id()
            if self.recording and (self._samples(record.trace_number, caller) or self._is_wanted(headers)):
                span = self._decided_span(record)
            else:
                # Where nothing is kept the caller's decision is passed on: others may keep the trace.
                record.sampled = caller is not None and caller.trace_flags.sampled and not self.recording
                span = UnrecordedSpan(record)
        return _CURRENT_CONTEXT.set(trace.set_span_in_context(span, base))

    def finish(
        self, record: RequestRecord, *, handler: str, status: int | str, error: BaseException | None, ended: float
    ) -> None:
        """End the request's span; leave one after the fact if the request was slow or failed."""
        seconds = (record.last_byte or ended) - record.started
        span = record.span
        if span is None:
            failed = error is not None or (isinstance(status, int) and status >= 500)
            if not self.recording or self._foreign or not (failed or seconds >= self._settings.slow_request_s):
                return
            if record.sampled or not self._late.admits():
                return
            span = self._decided_span(record, _AFTER_THE_FACT)
        record.span = None
        end_ns = _epoch_ns(record.started + seconds)
        if isinstance(span, RequestSpan):
            if error is None and not record.notes and span.settled():
                if self._alone is not None and self._own is not None:
                    resource = self._own.resource
                    self._alone.on_request_end(
                        span.finished(handler=handler, status=status, seconds=seconds, end_ns=end_ns, resource=resource)
                    )
                return
            span = span.full()
        outcome = outcome_of(_name(record.scope), record.status, handler=handler, status=status, error=error)
        with guarded("span"):
            describe(span, outcome)
            if error is not None:
                add_exception(span, error, record)
            for name, attributes, at_ns in record.notes or ():
                span.add_event(name, attributes, at_ns)
        span.end(end_ns)

    def _is_wanted(self, headers: Mapping[bytes, bytes]) -> bool:
        """Whether an authorised caller asks for a trace of this request."""
        given = headers.get(b"x-sample-token")
        return bool(given and self._sample_token) and hmac.compare_digest(given or b"", self._sample_token)

    def _decided_span(self, record: RequestRecord, also: Mapping[str, AttributeValue] = _NOTHING) -> Span:
        """Return a span that is recorded, whatever the trace id says."""
        record.sampled = True
        span = RequestSpan(record, self._full_span, also)
        record.span = started = span if self._alone is not None else span.full()
        return started

    def _full_span(self, span: RequestSpan) -> Span:
        """Return the SDK's span."""
        record, caller = span.record, span.record.caller
        name, attributes = request_attributes(span.arrived)
        self._ids.preset(trace_id=record.trace_number, span_id=record.span_number)
        base = _DECIDED if caller is None else trace.set_span_in_context(NonRecordingSpan(caller), _DECIDED)
        started_ns = _epoch_ns(record.started)
        return self._tracer.start_span(name, base, SpanKind.SERVER, {**attributes, **span.also}, start_time=started_ns)

    def _foreign_span(self, record: RequestRecord, base: Context) -> Span:
        """Return the span that the process's own provider makes, if it samples the request."""
        name, attributes = request_attributes(arrival(record.scope))
        span = self._tracer.start_span(name, base, SpanKind.SERVER, attributes, start_time=_epoch_ns(record.started))
        record.span = span if span.is_recording() else None
        return span


def _name(scope: Scope) -> str:
    """Return what the span of a request is called that no route answered."""
    method: str = scope["method"]
    return method if method in METHODS else "HTTP"


def _span_context(base: Context) -> SpanContext | None:
    context = trace.get_current_span(base).get_span_context()
    return context if context.is_valid else None


def _epoch_ns(reading: float) -> int:
    """Return the time of a reading of `perf_counter`, in nanoseconds since 1970."""
    return time_ns() - int((perf_counter() - reading) * 1e9)
