"""An OTLP/HTTP receiver for the spans of arms, and one traced request per arm.

Arms sample no trace of their own, so that tracing adds no cost to the measured requests; only a request with a sampled
`traceparent` is traced.
"""

import asyncio
import gzip
import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

import httpx
from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # ships no types
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from lab.load.client_state import ClientState
from lab.measure.rounds import Target
from lab.measure.trace import Span, SpanKind, TraceResult
from lab.traffic.traffic import Request

EXPORT_DELAY_MS: Final = 200
QUIET_S: Final = 0.8
"""A trace without new spans for this long is complete."""
DEADLINE_S: Final = 8.0
POLL_S: Final = 0.05


class OtlpReceiver:
    """Received spans, by trace."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}/v1/traces"
        self._traces: dict[str, list[Span]] = {}

    @property
    def settings(self) -> Mapping[str, str]:
        """Settings of an arm that exports the spans of requests with a sampled `traceparent` to this receiver."""
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": self.endpoint,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "OTEL_BSP_SCHEDULE_DELAY": str(EXPORT_DELAY_MS),
            "OBSERVABILITY_SLOW_REQUEST_S": "3600",
        }

    def put(self, span: Span) -> None:
        self._traces.setdefault(span.trace_id, []).append(span)

    async def trace_of(self, arm: Target, request: Request) -> TraceResult | None:
        """Send the request and return its trace; None if the arm exports no span."""
        trace_id = secrets.token_hex(16)
        state = ClientState(token=arm.token)
        headers = dict(state.headers(request, request.target)) | {
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"
        }
        try:
            async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client:
                response = await client.request(
                    request.method, f"{arm.url}{request.target}", content=request.body or None, headers=headers
                )
        except httpx.HTTPError:
            return None
        spans = await self._complete(trace_id)
        line = f"{request.method} {request.target}"
        return TraceResult.of(spans, request=line, status=response.status_code) if spans else None

    async def _complete(self, trace_id: str) -> list[Span]:
        count, quiet_s, waited_s = 0, 0.0, 0.0
        while waited_s < DEADLINE_S and not (count and quiet_s >= QUIET_S):
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
            now = len(self._traces.get(trace_id, ()))
            quiet_s = quiet_s + POLL_S if now == count else 0.0
            count = now
        return list(self._traces.get(trace_id, ()))


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Run a receiver on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                sent = ExportTraceServiceRequest.FromString(
                    _decompressed(body, self.headers.get("Content-Encoding", ""))
                )
            except (DecodeError, OSError):
                self.send_error(400)
                return
            for group in sent.resource_spans:
                for scope in group.scope_spans:
                    for span in scope.spans:
                        receiver.put(_parsed(span))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Log nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    receiver = OtlpReceiver(server.server_port)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _decompressed(body: bytes, encoding: str) -> bytes:
    return gzip.decompress(body) if encoding == "gzip" else body


def _parsed(span: SentSpan) -> Span:
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        started_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        kind=_kind(span),
    )


def _kind(span: SentSpan) -> SpanKind:
    if any(pair.key.startswith("db.") for pair in span.attributes):
        return "database"
    return "call" if span.kind == SentSpan.SPAN_KIND_CLIENT else "work"
