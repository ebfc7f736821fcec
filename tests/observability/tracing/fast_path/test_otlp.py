"""The encoder of plain spans makes what the official one makes, for any span at all."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan, SpanLimits
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_STACKTRACE
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags, TraceState

from observability.core.semconv import CODE_STACKTRACE
from observability.request.route_table import UNMATCHED
from observability.tracing.fast_path.child_snapshot import ChildSnapshot
from observability.tracing.fast_path.otlp import MAX_STACKTRACE_BYTES, Exportable, SpanEncoder
from observability.tracing.fast_path.request_span import SpanSnapshot
from tests.observability.core.test_truncation import raised

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)
numbers = st.integers(-(2**63), 2**63 - 1)
plain = st.one_of(texts, st.booleans(), numbers, st.floats(allow_nan=False))
values = st.one_of(plain, st.lists(texts, max_size=3), st.lists(st.integers(0, 9), max_size=3))
attributes = st.dictionaries(st.text("abc.é", min_size=1, max_size=20), values, max_size=8)
contexts = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.just(TraceFlags(1)),
    trace_state=st.sampled_from([TraceState(), TraceState([("a", "b")])]),
)
times = st.integers(1, 2**63)
statuses = st.sampled_from([Status(), Status(StatusCode.OK), Status(StatusCode.ERROR), Status(StatusCode.ERROR, "why")])
RESOURCES = [Resource({}), Resource({"service.name": "shop", "n": 1}, schema_url="https://example.org/1")]
SCOPES = [InstrumentationScope("shop"), InstrumentationScope("lib", "1.0", "https://example.org/2", {"a": "b"})]
spans = st.builds(
    ReadableSpan,
    name=texts,
    context=contexts,
    parent=st.one_of(st.none(), contexts),
    resource=st.sampled_from(RESOURCES),
    attributes=attributes,
    events=st.lists(st.builds(Event, name=texts, attributes=attributes, timestamp=times), max_size=1),
    links=st.lists(st.builds(Link, context=contexts, attributes=attributes), max_size=1),
    kind=st.sampled_from(SpanKind),
    status=statuses,
    start_time=times,
    end_time=times,
    instrumentation_scope=st.sampled_from(SCOPES),
)


def parsed(body: bytes) -> dict[tuple[bytes, bytes], list[bytes]]:
    """Return the spans of a request by resource and scope, in a form that does not depend on grouping."""
    found: dict[tuple[bytes, bytes], list[bytes]] = {}
    for group in ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in group.scope_spans:
            key = (
                group.resource.SerializeToString(deterministic=True) + group.schema_url.encode(),
                scope.scope.SerializeToString(deterministic=True) + scope.schema_url.encode(),
            )
            for span in scope.spans:
                span.attributes.sort(key=lambda attribute: attribute.key)  # a mapping has no order
            found.setdefault(key, []).extend(span.SerializeToString(deterministic=True) for span in scope.spans)
    return {key: sorted(bodies) for key, bodies in found.items()}


@given(st.lists(spans, min_size=1, max_size=5))
def test_any_spans_are_what_the_official_encoder_makes_of_them(some: list[ReadableSpan]) -> None:
    ours = SpanEncoder().request(some)
    theirs = encode_spans(some).SerializeToString()
    assert parsed(ours) == parsed(theirs)


child_snapshots = st.builds(
    ChildSnapshot,
    name=texts,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    parent_id=st.integers(1, 2**64 - 1),
    caller=st.one_of(st.none(), contexts),
    is_sampled=st.booleans(),
    resource=st.sampled_from(RESOURCES),
    attributes=attributes,
    events=st.lists(st.tuples(texts, attributes, times), max_size=1),
    links=st.lists(st.builds(Link, context=contexts, attributes=attributes), max_size=1),
    kind=st.sampled_from(SpanKind),
    status=statuses,
    start_ns=times,
    end_ns=times,
    instrumentation_scope=st.sampled_from(SCOPES),
    limits=st.sampled_from([SpanLimits(), SpanLimits(max_span_attributes=2)]),
)
request_snapshots = st.builds(
    SpanSnapshot,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    parent_span_context=st.one_of(st.none(), contexts),
    scope_fields=st.fixed_dictionaries(
        {
            "method": st.sampled_from(["GET", "POST", "BREW"]),
            "scheme": st.sampled_from(["http", "https"]),
            "path": texts,
            "http_version": st.sampled_from(["1.1", "2"]),
            "query_string": st.sampled_from([b"", b"a=1"]),
            "server": st.sampled_from([None, ("127.0.0.1", 80), ["::1", None]]),
            "client": st.sampled_from([None, ("127.0.0.1", 5)]),
            "headers": st.sampled_from([[], [(b"user-agent", b"bench")], [(b"user-agent", b"\xe9" * 600)]]),
        }
    ),
    extra_attributes=st.sampled_from([{}, {"flightdeck.retroactive": True}]),
    resource=st.sampled_from(RESOURCES),
    handler=st.sampled_from(["/items/{item}", UNMATCHED]),
    response_status=st.sampled_from([0, 200, 404, 503]),
    status=st.sampled_from([200, 404, 500, "client_disconnected"]),
    seconds=st.floats(0, 60),
    end_ns=st.integers(10**18, 2 * 10**18),
)


@settings(max_examples=50)
@given(st.lists(st.one_of(child_snapshots, request_snapshots), min_size=1, max_size=5))
def test_snapshots_are_what_the_official_encoder_makes_of_their_spans(some: list[Exportable]) -> None:
    readable = [one if isinstance(one, ReadableSpan) else one.readable() for one in some]
    assert parsed(SpanEncoder().request(some)) == parsed(encode_spans(readable).SerializeToString())


@given(st.dictionaries(st.sampled_from("abc"), st.sampled_from([0, 0.0, False, "", 1, 1.0, True, "1"]), max_size=3))
def test_equal_values_of_different_types_are_not_confused(given_attributes: dict[str, Any]) -> None:
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    span = ReadableSpan("x", context, resource=RESOURCES[0], attributes=given_attributes, start_time=1, end_time=2)
    assert parsed(SpanEncoder().request([span])) == parsed(encode_spans([span]).SerializeToString())


def test_long_stack_traces_of_events_keep_the_line_that_raised() -> None:
    context = SpanContext(1, 2, is_remote=False, trace_flags=TraceFlags(1))
    stacktraces = {EXCEPTION_STACKTRACE: raised(60, "no seat"), "other": "o" * 5000}
    events = [Event("exception", stacktraces, 1), Event("blocked", {CODE_STACKTRACE: raised(3, "short")}, 1)]
    span = ReadableSpan("x", context, resource=RESOURCES[0], events=events, start_time=1, end_time=2)
    body = ExportTraceServiceRequest.FromString(SpanEncoder().request([span]))
    found = {
        pair.key: pair.value.string_value
        for event in body.resource_spans[0].scope_spans[0].spans[0].events
        for pair in event.attributes
    }
    assert len(found[EXCEPTION_STACKTRACE].encode()) <= MAX_STACKTRACE_BYTES
    assert found[EXCEPTION_STACKTRACE].endswith("raise ValueError(message)\nValueError: no seat\n")
    assert found[CODE_STACKTRACE] == raised(3, "short")
    assert found["other"] == "o" * 5000
