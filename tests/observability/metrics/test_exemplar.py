import pytest
from opentelemetry import context, trace
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags

from observability.metrics.histogram import exemplar


@pytest.mark.parametrize(
    ("flags", "labels"),
    [(TraceFlags.SAMPLED, {"trace_id": f"{7:032x}", "span_id": f"{9:016x}"}), (TraceFlags.DEFAULT, None)],
)
def test_only_a_sampled_trace_is_an_exemplar(flags: int, labels: dict[str, str] | None) -> None:
    span = NonRecordingSpan(SpanContext(7, 9, is_remote=False, trace_flags=TraceFlags(flags)))
    token = context.attach(trace.set_span_in_context(span))
    try:
        assert exemplar() == labels
    finally:
        context.detach(token)


def test_outside_of_a_trace_there_is_no_link() -> None:
    assert exemplar() is None
