"""The context of a span, new span ids, and the variable with the current context."""

import os
from random import Random
from typing import Final

from opentelemetry import context as otel_context
from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanContext, TraceFlags

_RANDOM: Final = 0x02
"""`TraceFlags.RANDOM_TRACE_ID`, which older versions lack."""
_SAMPLED_BIT: Final = int(TraceFlags.SAMPLED)
_SAMPLED: Final = TraceFlags(_RANDOM | _SAMPLED_BIT)
_NOT_SAMPLED: Final = TraceFlags(_RANDOM)

CURRENT_SPAN: Final = next(iter(trace.set_span_in_context(trace.INVALID_SPAN, Context())))
"""The key of the span in a context; creating a context with it saves a copy for every request."""

_attached: Final = otel_context.attach(Context())
CURRENT_CONTEXT: Final = _attached.var
"""The variable of the current context; setting it here saves two calls per request, and two when it is reset."""
otel_context.detach(_attached)

_random: Final = Random()  # noqa: S311 ids need to be unique, not secret
if hasattr(os, "register_at_fork"):  # Windows has none, and does not fork
    os.register_at_fork(after_in_child=_random.seed)


def new_span_id() -> int:
    """Return a random id, which no process of ours repeats; reading the system's randomness takes six times longer."""
    return _random.getrandbits(64) or 1


def span_context(trace_id: int, span_id: int, parent: SpanContext | None, *, is_sampled: bool) -> SpanContext:
    """Return the context of a span of a request, whose caller's span is `parent`."""
    if parent is None:
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=_SAMPLED if is_sampled else _NOT_SAMPLED)
    flags = TraceFlags(parent.trace_flags & _RANDOM | (_SAMPLED_BIT if is_sampled else 0))
    return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags, trace_state=parent.trace_state)
