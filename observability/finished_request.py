"""A sampled request that is over: what its span is made of, until a thread that nobody waits for makes it."""

from collections.abc import Mapping
from typing import Any, Final, NamedTuple

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags
from opentelemetry.util.types import AttributeValue

from observability.http_span import outcome_of, request_attributes

SAMPLED: Final = TraceFlags(TraceFlags.RANDOM_TRACE_ID | TraceFlags.SAMPLED)
_RANDOM: Final = int(TraceFlags.RANDOM_TRACE_ID)
_SAMPLED_BIT: Final = int(TraceFlags.SAMPLED)
_SCOPE: Final = InstrumentationScope("observability")
_UNSET: Final = Status()
_FAILED: Final = Status(StatusCode.ERROR)


class FinishedRequest(NamedTuple):
    """The facts of a request that added nothing to its span; none of them holds on to the application."""

    trace_number: int
    span_number: int
    caller: SpanContext | None
    arrived: Mapping[str, Any]
    """What `http_span.arrival` kept of the scope."""
    also: Mapping[str, AttributeValue]
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
        name, attributes = request_attributes(self.arrived)
        outcome = outcome_of(name, self.answered, handler=self.handler, status=self.status, error=None)
        return ReadableSpan(
            outcome.name or name,
            request_context(self.trace_number, self.span_number, self.caller),
            self.caller,
            self.resource,
            {**attributes, **self.also, **outcome.attributes},
            kind=SpanKind.SERVER,
            status=_FAILED if outcome.is_failure else _UNSET,
            start_time=self.end_ns - int(self.seconds * 1e9),
            end_time=self.end_ns,
            instrumentation_scope=_SCOPE,
        )


def request_context(trace_number: int, span_number: int, caller: SpanContext | None) -> SpanContext:
    """Return the ids of a sampled request, as outgoing calls and logs want them."""
    return SpanContext(
        trace_number,
        span_number,
        is_remote=False,
        trace_flags=SAMPLED if caller is None else TraceFlags(caller.trace_flags & _RANDOM | _SAMPLED_BIT),
        trace_state=caller.trace_state if caller else None,
    )
