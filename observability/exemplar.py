"""The link from a bucket of a histogram to a trace that fell into it."""

from opentelemetry import trace
from opentelemetry.trace import Span


def exemplar() -> dict[str, str] | None:
    """Return the exemplar labels of the current trace, or None when nobody keeps that trace."""
    return exemplar_of(trace.get_current_span())


def exemplar_of(span: Span) -> dict[str, str] | None:
    """Return the exemplar labels of the span's trace, or None when nobody keeps that trace.

    The flag of the context decides, not `is_recording()`: the server span may have ended by the time a duration is
    recorded.
    """
    context = span.get_span_context()
    if not context.trace_flags.sampled:
        return None
    return {"trace_id": f"{context.trace_id:032x}"}
