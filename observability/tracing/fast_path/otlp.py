"""Encodes spans in the wire format of OTLP, simple ones directly.

The official encoder creates a protobuf object for every attribute, which takes longer than the span did, and holds the
GIL while requests wait. Most spans have a few texts and numbers as attributes and nothing else; those are assembled
from bytes here. All others go through the official encoder, and so do resources and scopes, once.
https://github.com/open-telemetry/opentelemetry-proto/blob/main/opentelemetry/proto/trace/v1/trace.proto
"""

from collections.abc import Sequence
from functools import lru_cache
from struct import Struct
from typing import Final

from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.trace import StatusCode

from observability.compat.opentelemetry import send

# Tags on the wire: field number << 3 | type; 2 is anything with a length, 1 and 5 are eight and four bytes.
_RESOURCE_SPANS, _SCHEMA_URL = b"\x0a", b"\x1a"
_RESOURCE, _SCOPE_SPANS = b"\x0a", b"\x12"
_SCOPE, _SPAN = b"\x0a", b"\x12"
_TRACE_ID, _SPAN_ID, _PARENT_ID = b"\x0a\x10", b"\x12\x08", b"\x22\x08"
_NAME, _KIND, _ATTRIBUTE = b"\x2a", b"\x30", b"\x4a"
_NO_STATUS, _ERROR = b"\x7a\x00", b"\x7a\x02\x18\x02"
_TIMES: Final = Struct("<BQBQ").pack
_START, _END = 0x39, 0x41
_ROOT_OR_LOCAL_PARENT, _REMOTE_PARENT = b"\x85\x01\x00\x01\x00\x00", b"\x85\x01\x00\x03\x00\x00"
_DOUBLE: Final = Struct("<d").pack
_MAX_INTEGER: Final = 1 << 63

MAX_CACHED_TEXT: Final = 80
"""Characters of a text whose encoding is cached."""


class PlainSpanExporter(OTLPSpanExporter):
    def __init__(self, *, endpoint: str, headers: dict[str, str] | None, timeout: float) -> None:
        super().__init__(endpoint=endpoint, headers=headers, timeout=timeout)
        self._encoder = SpanEncoder()
        self._send = send(self)

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send the spans; the retries, the timeout and the connection are the official exporter's."""
        if self._send is None:
            return super().export(spans)
        sent = self._send(self._encoder.request(spans))
        return SpanExportResult.SUCCESS if sent.success else SpanExportResult.FAILURE


class SpanEncoder:
    def __init__(self) -> None:
        self._envelopes: dict[tuple[int, int], _Envelope] = {}

    def request(self, spans: Sequence[ReadableSpan]) -> bytes:
        """Return the body of an export request; parsed, it equals that of the official encoder."""
        groups: dict[tuple[int, int], tuple[_Envelope, list[bytes]]] = {}
        for span in spans:
            key = (id(span.resource), id(span.instrumentation_scope))
            group = groups.get(key)
            if group is None:
                group = groups[key] = (self._envelope(key, span), [])
            group[1].append(_with_length(_SPAN, _simple_span(span) or _any_span(span)))
        return b"".join(envelope.around(bodies) for envelope, bodies in groups.values())

    def _envelope(self, key: tuple[int, int], span: ReadableSpan) -> "_Envelope":
        found = self._envelopes.get(key)
        if found is None:
            found = self._envelopes[key] = _Envelope(span)
        return found


class _Envelope:
    """The message around the spans of one scope of one resource."""

    def __init__(self, span: ReadableSpan) -> None:
        self._referenced = (span.resource, span.instrumentation_scope)  # so that no id is reused
        (resource_spans,) = encode_spans([span]).resource_spans
        (scope_spans,) = resource_spans.scope_spans
        self._scope = _with_length(_SCOPE, scope_spans.scope.SerializeToString()) + _text(
            _SCHEMA_URL, scope_spans.schema_url
        )
        self._resource = _with_length(_RESOURCE, resource_spans.resource.SerializeToString()) + _text(
            _SCHEMA_URL, resource_spans.schema_url
        )

    def around(self, spans: Sequence[bytes]) -> bytes:
        scope_spans = _with_length(_SCOPE_SPANS, b"".join((self._scope, *spans)))
        return _with_length(_RESOURCE_SPANS, self._resource + scope_spans)


def _simple_span(span: ReadableSpan) -> bytes | None:
    """Return the span's message, or None if the span has more than simple attributes."""
    context, parent, attributes, status = span.context, span.parent, span.attributes, span.status
    if (
        context is None
        or attributes is None
        or span.events
        or span.links
        or context.trace_state
        or status.description
        or status.status_code is StatusCode.OK
        or span.dropped_attributes
        or span.dropped_events
        or span.dropped_links
    ):
        return None
    try:
        pairs = [_pair(key, value) for key, value in attributes.items()]
    except TypeError:
        return None
    return b"".join(
        (
            _TRACE_ID,
            context.trace_id.to_bytes(16, "big"),
            _SPAN_ID,
            context.span_id.to_bytes(8, "big"),
            _PARENT_ID + parent.span_id.to_bytes(8, "big") if parent else b"",
            _name(span.name),
            _KIND,
            _varint(span.kind.value + 1),
            _TIMES(_START, span.start_time or 0, _END, span.end_time or 0),
            *pairs,
            _ERROR if status.status_code is StatusCode.ERROR else _NO_STATUS,
            _REMOTE_PARENT if parent and parent.is_remote else _ROOT_OR_LOCAL_PARENT,
        )
    )


def _any_span(span: ReadableSpan) -> bytes:
    message: bytes = encode_spans([span]).resource_spans[0].scope_spans[0].spans[0].SerializeToString()
    return message


@lru_cache(maxsize=1024)
def _name(name: str) -> bytes:
    return _text(_NAME, name)


def _pair(key: str, value: object) -> bytes:
    """Return an attribute; raise `TypeError` for a value that is not a text or a number."""
    if type(value) is str:
        return _short_text_pair(key, value) if len(value) <= MAX_CACHED_TEXT else _text_pair(key, value)
    if type(value) is bool:
        return _attribute(key, b"\x10\x01" if value else b"\x10\x00")
    if type(value) is int and -_MAX_INTEGER <= value < _MAX_INTEGER:
        return _integer_pair(key, value)
    if type(value) is float:
        return _attribute(key, b"\x21" + _DOUBLE(value))
    raise TypeError(value)


def _text_pair(key: str, value: str) -> bytes:
    return _attribute(key, _with_length(b"\x0a", _utf8(value)))


_short_text_pair = lru_cache(maxsize=4096)(_text_pair)


@lru_cache(maxsize=1024)
def _integer_pair(key: str, value: int) -> bytes:
    return _attribute(key, b"\x18" + _varint(value % (1 << 64)))


def _attribute(key: str, value: bytes) -> bytes:
    return _with_length(_ATTRIBUTE, _text(b"\x0a", key) + _with_length(b"\x12", value))


def _text(tag: bytes, text: str) -> bytes:
    return _with_length(tag, _utf8(text)) if text else b""


def _utf8(text: str) -> bytes:
    """Return the text in UTF-8; a lone surrogate becomes a question mark, it must not fail the batch."""
    return text.encode("utf-8", "replace")


def _with_length(tag: bytes, body: bytes) -> bytes:
    return tag + _varint(len(body)) + body


def _varint(number: int) -> bytes:
    if number < 0x80:
        return _SMALL[number]
    digits = bytearray()
    while number >= 0x80:
        digits.append(number & 0x7F | 0x80)
        number >>= 7
    digits.append(number)
    return bytes(digits)


_SMALL: Final = tuple(bytes((number,)) for number in range(0x80))
