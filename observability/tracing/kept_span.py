"""Spans of requests in plain fields: those of unsampled ones are kept until it is known whether the request is traced.

A request that is not sampled but slow or failed is exported with all of them. Keeping one takes a tenth of the time of
a span of the SDK, and nothing is made for the exporter unless it is needed. Where no other span processor listens, the
children of sampled requests are such spans too.
"""

from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from time import time_ns
from types import MappingProxyType
from typing import Any, Final

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    Tracer,
)
from opentelemetry.util.types import Attributes, AttributeValue

from observability.core.internal_errors import suppress_internal_errors
from observability.request.record import RequestRecord
from observability.tracing.context import new_span_id, span_context
from observability.tracing.fast_path.child_snapshot import ChildSnapshot
from observability.tracing.http_span import exception_event

UNSET: Final = Status()
_NO_ATTRIBUTES: Final[Mapping[str, AttributeValue]] = MappingProxyType({})

MAX_KEPT: Final = 128
"""Attributes, events and links of a kept span, each; as many as the SDK keeps by default."""

_Event = tuple[str | BaseException, Attributes, int]
"""Name or exception, attributes, and time in nanoseconds since the epoch."""


class KeptTracer(Tracer):
    """A tracer that can start a kept span again, as one that is recorded."""

    @property
    @abstractmethod
    def instrumentation_scope(self) -> InstrumentationScope: ...

    @abstractmethod
    def start_again(self, context: SpanContext, base: Context, **span: Any) -> Span | None:
        """Start a recorded span with these ids; None if nothing records any more."""


class RequestSpan(Span):
    """A span of a request in progress, whose children are kept or exported by its record."""

    record: RequestRecord

    @property
    def span_id(self) -> int:
        return self.record.span_id

    @property
    def is_logged(self) -> bool:
        """Whether exemplars may refer to the trace, although it is not exported."""
        return self.record.is_logged

    @property
    def has_children(self) -> bool:
        """Whether children of this span are of use: they are exported, or kept as long as that is not decided."""
        return self.record.children is not None or self.record.export_child is not None

    def keep_child(self, make: Callable[..., "ChildSpan"], *arguments: Any) -> None:
        """Keep what is needed to make a child span that has ended, or export it if the request is traced."""
        record = self.record
        if record.children is None or not record.add_child(make, *arguments):
            export = record.export_child
            if export is not None:
                export(make(*arguments))


class KeptSpan(RequestSpan, NonRecordingSpan):
    """A span whose state is in plain fields; most spans keep the defaults, which are on the class."""

    _name: str = ""
    _span_context: SpanContext | None = None
    _attributes: dict[str, AttributeValue] | None = None
    _events: list[_Event] | None = None
    _links: list[Link] | None = None
    _status: Status = UNSET

    def __init__(self, record: RequestRecord) -> None:
        self.record = record

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.get_span_context()!r})"

    @property
    def added_attributes(self) -> Mapping[str, AttributeValue]:
        return self._attributes or {}

    def new_context(self, span_id: int) -> SpanContext:
        """Return a context in the trace of the request, with its sampling decision at this time."""
        record = self.record
        return span_context(record.trace_id, span_id, record.parent_span_context, is_sampled=record.sampled)

    def _is_open(self) -> bool:
        """Return whether a change is kept; called before each."""
        return self.is_recording()

    def set_attribute(self, key: str, value: AttributeValue) -> None:
        if not self._is_open():
            return
        attributes = self._attributes
        if attributes is None:
            self._attributes = {key: value}
        elif len(attributes) < MAX_KEPT or key in attributes:
            attributes[key] = value

    def set_attributes(self, attributes: Mapping[str, AttributeValue]) -> None:
        for key, value in attributes.items():
            self.set_attribute(key, value)

    def add_event(self, name: str, attributes: Attributes = None, timestamp: int | None = None) -> None:
        self._keep_event(name, attributes, timestamp)

    def record_exception(
        self,
        exception: BaseException,
        attributes: Attributes = None,
        timestamp: int | None = None,
        escaped: bool = False,  # noqa: ARG002 the signature is OpenTelemetry's
    ) -> None:
        """Keep the exception itself: a traceback becomes text only if the span is exported."""
        self._keep_event(exception, attributes, timestamp)

    def _keep_event(self, what: str | BaseException, attributes: Attributes, timestamp: int | None) -> None:
        if not self._is_open():
            return
        if self._events is None:
            self._events = []
        if len(self._events) < MAX_KEPT:
            self._events.append((what, attributes and dict(attributes), timestamp or time_ns()))

    def add_link(self, context: SpanContext, attributes: Attributes = None) -> None:
        if not self._is_open():
            return
        if self._links is None:
            self._links = []
        if len(self._links) < MAX_KEPT:
            self._links.append(Link(context, attributes))

    def update_name(self, name: str) -> None:
        if self._is_open():
            self._name = name

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status, by the SDK's rules: `OK` is final, `UNSET` is ignored."""
        new = status if isinstance(status, Status) else Status(status, description)
        if self._is_open() and self._status.status_code is not StatusCode.OK and not new.is_unset:
            self._status = new

    def replay_on(self, span: Span) -> None:
        """Repeat on this span what was done to the kept one after its start."""
        if self._attributes:
            span.set_attributes(self._attributes)
        for link in self._links or ():
            span.add_link(link.context, link.attributes)
        for name, attributes, at_ns in self._named_events():
            span.add_event(name, attributes, at_ns)
        if not self._status.is_unset:
            span.set_status(self._status)

    def _named_events(self) -> list[tuple[str, Attributes, int]]:
        events: list[tuple[str, Attributes, int]] = []
        for what, attributes, at_ns in self._events or ():
            if isinstance(what, str):
                events.append((what, attributes, at_ns))
            else:
                with suppress_internal_errors("span"):
                    events.append(("exception", {**exception_event(what, self.record), **(attributes or {})}, at_ns))
        return events


class ChildSpan(KeptSpan):
    """A child span: a call, a statement, or a step of the application."""

    _span_id: int = 0
    _end_ns: int = 0

    def __init__(  # noqa: PLR0913 what a span consists of
        self,
        parent: RequestSpan,
        tracer: KeptTracer,
        name: str,
        *,
        kind: SpanKind,
        attributes: Attributes,
        start_ns: int,
        links: Sequence[Link] | None = None,
    ) -> None:
        self.record = parent.record
        self._parent = parent
        self._tracer = tracer
        self._name = name
        self._kind = kind
        self._start_ns = start_ns
        if attributes:
            self._attributes = dict(attributes)
        if links:
            self._links = list(links)

    def __getattr__(self, name: str) -> Any:
        """Return what a `ReadableSpan` has: code that reads spans of the SDK must not fail."""
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self.snapshot(Resource.get_empty(), SpanLimits()).readable(), name)

    def get_span_context(self) -> SpanContext:
        if self._span_context is None:
            self._span_context = self.new_context(self.span_id)
        return self._span_context

    @property
    def span_id(self) -> int:
        if not self._span_id:
            self.__dict__.setdefault("_span_id", new_span_id())  # atomic: threads agree on one
        return self._span_id

    def is_recording(self) -> bool:
        return not self._end_ns

    def end(self, end_time: int | None = None) -> None:
        if not self._end_ns:
            self._end_ns = end_time or time_ns()
            self._parent.keep_child(_ended, self)

    def ended(self, end_ns: int) -> "ChildSpan":
        """End a span that was made from a finished operation, without keeping it again."""
        self._end_ns = end_ns
        return self

    def replay(self) -> None:
        """Make the same span by the SDK, for its span processors."""
        base = trace.set_span_in_context(NonRecordingSpan(self.new_context(self._parent.span_id)), Context())
        span = self._tracer.start_again(
            self.get_span_context(), base, name=self._name, kind=self._kind, start_time=self._start_ns
        )
        if span is not None:
            self.replay_on(span)
            span.end(self._end_ns)

    def snapshot(self, resource: Resource, limits: SpanLimits) -> ChildSnapshot:
        record = self.record
        return ChildSnapshot(
            self._name,
            record.trace_id,
            self.span_id,
            self._parent.span_id,
            record.parent_span_context,
            record.sampled,
            resource,
            self._attributes or _NO_ATTRIBUTES,
            self._named_events() if self._events else (),
            self._links or (),
            self._kind,
            self._status,
            self._start_ns,
            self._end_ns or None,
            self._tracer.instrumentation_scope,
            limits,
        )


def _ended(span: ChildSpan) -> ChildSpan:
    return span
