"""Tracing with the options of the official instrumentation; without options requests do nothing for them."""

from collections.abc import Mapping
from contextvars import Token
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span
from starlette.types import Scope

from observability.core.internal_errors import suppress_internal_errors
from observability.request.record import RequestRecord, request_record
from observability.tracing.http_options import HttpOptions, SpanOptions
from observability.tracing.tracing import Tracing


class TracingWithOptions(Tracing):
    """Calls hooks, captures headers, and leaves out excluded URLs."""

    def __init__(self, options: SpanOptions, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._options = options

    def begin(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> Token[Context] | None:
        if self._options.is_excluded(record.scope):
            return self._begin_excluded(record, headers)
        token = super().begin(record, headers)
        hook = self._options.server_request_hook
        if hook is not None:
            with suppress_internal_errors("hook"):
                hook(trace.get_current_span(), record.scope)
        return token

    def finish(self, record: RequestRecord, **outcome: Any) -> None:
        span = record.span
        if span is not None:
            with suppress_internal_errors("headers"):
                captured = self._options.headers.attributes(record.scope["headers"], record.response_headers)
                if captured:
                    span.set_attributes(captured)
        super().finish(record, **outcome)

    def websocket_span(self, scope: Scope, context: Context) -> Span:
        if self._options.is_excluded(scope):
            return trace.INVALID_SPAN
        span = super().websocket_span(scope, context)
        if span.is_recording():
            with suppress_internal_errors("headers"):
                span.set_attributes(self._options.headers.attributes(scope["headers"], ()))
        if self._options.server_request_hook is not None:
            with suppress_internal_errors("hook"):
                self._options.server_request_hook(span, scope)
        return span


class OfficialTracing(Tracing):
    """Leaves the spans of requests to the official instrumentation, and uses the ids of its spans."""

    def begin(self, record: RequestRecord, headers: Mapping[bytes, bytes]) -> None:
        """Begin without a span: the official middleware is inside ours, and starts it."""
        self._set_ids(record, self._extractor.context(headers))

    def keep(self, record: RequestRecord, **_: Any) -> None:
        """Keep nothing: the official instrumentation has no spans of unsampled requests."""

    def websocket_span(self, scope: Scope, context: Context) -> Span:  # noqa: ARG002 the official one starts it
        return trace.INVALID_SPAN

    def official_arguments(self, options: HttpOptions) -> dict[str, Any]:
        """Return the arguments of `FastAPIInstrumentor.instrument_app()`."""
        theirs = options.get("server_request_hook")

        def use_ids(span: Span, scope: Scope) -> None:
            record = request_record(scope)
            context = span.get_span_context()
            if record is not None and context.is_valid:
                record.trace_id, record.span_id = context.trace_id, context.span_id
                record.sampled = context.trace_flags.sampled
            if theirs is not None:
                theirs(span, scope)

        return {**options, "server_request_hook": use_ids, "tracer_provider": self.provider}
