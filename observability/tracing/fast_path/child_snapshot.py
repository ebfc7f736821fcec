"""The data of a finished child span, as it is queued for export."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import Link, SpanContext, SpanKind, Status
from opentelemetry.util.types import Attributes, AttributeValue

from observability.tracing.context import span_context


class ChildSnapshot(NamedTuple):
    """A finished child span, without a reference to the application."""

    name: str
    trace_id: int
    span_id: int
    parent_id: int
    """Of the span in this process that it is a child of."""
    caller: SpanContext | None
    """The span of the request's client."""
    is_sampled: bool
    resource: Resource
    attributes: Mapping[str, AttributeValue]
    events: Sequence[tuple[str, Attributes, int]]
    links: Sequence[Link]
    kind: SpanKind
    status: Status
    start_ns: int
    end_ns: int | None
    instrumentation_scope: InstrumentationScope
    limits: SpanLimits

    def readable(self) -> ReadableSpan:
        limits = self.limits
        return ReadableSpan(
            self.name,
            span_context(self.trace_id, self.span_id, self.caller, is_sampled=self.is_sampled),
            span_context(self.trace_id, self.parent_id, self.caller, is_sampled=self.is_sampled),
            self.resource,
            BoundedAttributes(limits.max_span_attributes, self.attributes),
            [Event(name, BoundedAttributes(limits.max_event_attributes, own), at) for name, own, at in self.events],
            self.links,
            kind=self.kind,
            status=self.status,
            start_time=self.start_ns,
            end_time=self.end_ns,
            instrumentation_scope=self.instrumentation_scope,
        )
