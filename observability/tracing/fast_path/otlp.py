"""Encodes spans in the wire format of OTLP: snapshots and simple spans directly.

The official encoder creates a protobuf object for every attribute, which takes longer than the span did, and holds the
GIL while requests wait. Most spans have a few texts and numbers as attributes and nothing else; those are assembled
from bytes here. All others go through the official encoder, and so do resources and scopes, once.
"""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.semconv.attributes.exception_attributes import EXCEPTION_STACKTRACE
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode

from observability.compat.opentelemetry import send
from observability.core.semconv import CODE_STACKTRACE
from observability.core.truncation import innermost_frames
from observability.request.record import METHODS
from observability.tracing.fast_path import protobuf
from observability.tracing.fast_path.child_snapshot import ChildSnapshot
from observability.tracing.fast_path.request_span import SpanSnapshot
from observability.tracing.http_span import (
    OTHER_METHOD,
    common_attributes,
    own_attributes,
    request_outcome,
    span_name,
)

# Tags on the wire: field number << 3 | type; 2 is anything with a length, 1 and 5 are eight and four bytes.
_RESOURCE_SPANS, _SCHEMA_URL = b"\x0a", b"\x1a"
_RESOURCE, _SCOPE_SPANS = b"\x0a", b"\x12"
_SCOPE, _SPAN = b"\x0a", b"\x12"
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
_KIND = b"\x30"
_NO_STATUS, _ERROR = b"\x7a\x00", b"\x7a\x02\x18\x02"
_TIMES: Final = Struct("<BQBQ").pack
_START, _END = 0x39, 0x41
_ROOT_OR_LOCAL_PARENT, _REMOTE_PARENT = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"

Exportable = ReadableSpan | SpanSnapshot | ChildSnapshot

_STACKTRACES: Final = frozenset({EXCEPTION_STACKTRACE, CODE_STACKTRACE})

MAX_STACKTRACE_BYTES: Final = 2_048
"""Of an event. Tempo cuts attributes there by default (`distributor.max_attribute_bytes`), and would keep the frames of
the middleware instead of the line that raised."""


class PlainSpanExporter(OTLPSpanExporter):
    accepts_snapshots: Final = True

    def __init__(self, *, endpoint: str, headers: dict[str, str] | None, timeout: float) -> None:
        super().__init__(endpoint=endpoint, headers=headers, timeout=timeout)
        self._encoder = SpanEncoder()
        self._send = send(self)

    def export(self, spans: Sequence[Exportable]) -> SpanExportResult:
        """Send the spans; the retries, the timeout and the connection are the official exporter's."""
        if self._send is None:
            return super().export(list(map(_readable, spans)))
        sent = self._send(self._encoder.request(spans))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


class SpanEncoder:
    def __init__(self) -> None:
        self._envelopes: dict[tuple[int, int], _Envelope] = {}

    def request(self, spans: Iterable[Exportable]) -> bytes:
        """Return the body of an export request; parsed, it equals that of the official encoder.

        Except for long stack traces, which have their innermost frames only.
        """
        groups: dict[tuple[int, int], tuple[_Envelope, list[bytes]]] = {}
        for span in spans:
            key = (id(span.resource), id(span.instrumentation_scope))
            group = groups.get(key)
            if group is None:
                group = groups[key] = (self._envelope(key, span), [])
            group[1].append(protobuf.with_length(_SPAN, _message(span)))
        return b"".join(envelope.around(bodies) for envelope, bodies in groups.values())

    def _envelope(self, key: tuple[int, int], span: Exportable) -> "_Envelope":
        found = self._envelopes.get(key)
        if found is None:
            found = self._envelopes[key] = _Envelope(_readable(span))
        return found


class _Envelope:
    """The message around the spans of one scope of one resource."""

    def __init__(self, span: ReadableSpan) -> None:
        self._referenced = (span.resource, span.instrumentation_scope)  # so that no id is reused
        (resource_spans,) = encode_spans([span]).resource_spans
        (scope_spans,) = resource_spans.scope_spans
        self._scope = protobuf.with_length(_SCOPE, scope_spans.scope.SerializeToString()) + protobuf.text(
            _SCHEMA_URL, scope_spans.schema_url
        )
        self._resource = protobuf.with_length(_RESOURCE, resource_spans.resource.SerializeToString()) + protobuf.text(
            _SCHEMA_URL, resource_spans.schema_url
        )

    def around(self, spans: Sequence[bytes]) -> bytes:
        scope_spans = protobuf.with_length(_SCOPE_SPANS, b"".join((self._scope, *spans)))
        return protobuf.with_length(_RESOURCE_SPANS, self._resource + scope_spans)


def _readable(span: Exportable) -> ReadableSpan:
    return span if isinstance(span, ReadableSpan) else span.readable()


def _message(span: Exportable) -> bytes:
    try:
        if isinstance(span, ChildSnapshot):
            simple = _child(span)
        elif isinstance(span, SpanSnapshot):
            simple = _request(span)
        else:
            simple = _simple_span(span)
    except TypeError:  # an attribute is not simple
        simple = None
    return simple or _any_span(_readable(span))


def _request(span: SpanSnapshot) -> bytes | None:
    """Return the message of a server span; None with a trace state."""
    parent, fields = span.parent_span_context, span.scope_fields
    if parent is not None and parent.trace_state:
        return None
    method, server = fields["method"], fields["server"]
    return b"".join(
        (
            _ids_and_times(span.trace_id, span.span_id, span.end_ns - int(span.seconds * 1e9), span.end_ns),
            _parent(parent),
            _common(
                method if method in METHODS else OTHER_METHOD,
                fields["scheme"],
                fields["http_version"],
                server and tuple(server),
                span.handler,
                span.response_status,
                span.status,
            ),
            *(protobuf.pair(key, value) for key, value in own_attributes(fields).items()),
            *(protobuf.pair(key, value) for key, value in span.extra_attributes.items()),
        )
    )


@lru_cache(maxsize=1024)
def _common(  # noqa: PLR0913, PLR0917 what requests share
    method: str,
    scheme: str,
    http_version: str,
    server: tuple[Any, ...] | None,
    handler: str,
    response_status: int,
    status: int | str,
) -> bytes:
    """Return the name, the kind, the status and the attributes of all requests with the same outcome."""
    name = span_name(method)
    outcome = request_outcome(name, response_status, handler=handler, status=status, error=None)
    attributes = common_attributes(method, scheme, http_version, server) | outcome.attributes
    return b"".join(
        (
            protobuf.name(outcome.name or name),
            _kind(SpanKind.SERVER),
            *(protobuf.pair(key, value) for key, value in attributes.items()),
            _ERROR if outcome.is_failure else _NO_STATUS,
        )
    )


def _child(span: ChildSnapshot) -> bytes | None:
    """Return the message of a child span; None if it has more than simple attributes."""
    caller, attributes, limit, status = span.caller, span.attributes, span.limits.max_span_attributes, span.status
    if (
        span.events
        or span.links
        or (caller is not None and caller.trace_state)
        or not _is_simple(status)
        or (limit is not None and len(attributes) > limit)
    ):
        return None
    return b"".join(
        (
            _ids_and_times(span.trace_id, span.span_id, span.start_ns, span.end_ns or 0),
            _PARENT_ID,
            span.parent_id.to_bytes(8, "big"),
            _ROOT_OR_LOCAL_PARENT,
            protobuf.name(span.name),
            _kind(span.kind),
            *[protobuf.pair(key, value) for key, value in attributes.items()],
            _ERROR if status.status_code is StatusCode.ERROR else _NO_STATUS,
        )
    )


def _simple_span(span: ReadableSpan) -> bytes | None:
    """Return the span's message, or None if the span has more than simple attributes."""
    context, attributes, status = span.context, span.attributes, span.status
    if (
        context is None
        or attributes is None
        or span.events
        or span.links
        or context.trace_state
        or not _is_simple(status)
        or span.dropped_attributes
        or span.dropped_events
        or span.dropped_links
    ):
        return None
    return b"".join(
        (
            _ids_and_times(context.trace_id, context.span_id, span.start_time or 0, span.end_time or 0),
            _parent(span.parent),
            protobuf.name(span.name),
            _kind(span.kind),
            *[protobuf.pair(key, value) for key, value in attributes.items()],
            _ERROR if status.status_code is StatusCode.ERROR else _NO_STATUS,
        )
    )


def _is_simple(status: Status) -> bool:
    return not status.description and status.status_code is not StatusCode.OK


def _ids_and_times(trace_id: int, span_id: int, start_ns: int, end_ns: int) -> bytes:
    return b"".join(
        (
            _TRACE_ID,
            trace_id.to_bytes(16, "big"),
            _SPAN_ID,
            span_id.to_bytes(8, "big"),
            _TIMES(_START, start_ns, _END, end_ns),
        )
    )


def _parent(parent: SpanContext | None) -> bytes:
    if parent is None:
        return _ROOT_OR_LOCAL_PARENT
    flags = _REMOTE_PARENT if parent.is_remote else _ROOT_OR_LOCAL_PARENT
    return _PARENT_ID + parent.span_id.to_bytes(8, "big") + flags


@lru_cache(maxsize=16)
def _kind(kind: SpanKind) -> bytes:
    return _KIND + protobuf.varint(kind.value + 1)


def _any_span(span: ReadableSpan) -> bytes:
    encoded = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0]
    for event in encoded.events:
        for attribute in event.attributes:
            if attribute.key in _STACKTRACES and attribute.value.HasField("string_value"):
                stacktrace = attribute.value.string_value
                attribute.value.string_value = innermost_frames(stacktrace, max_bytes=MAX_STACKTRACE_BYTES)
    message: bytes = encoded.SerializeToString()
    return message
