"""Where arms send their spans: an OTLP/HTTP endpoint inside of the lab, and one traced request to each arm.

Arms sample nothing by themselves, so that tracing costs the measured requests nothing; the one request that carries a
sampled `traceparent` is recorded in full.
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
"""A trace from which nothing came for so long is complete."""
DEADLINE_S: Final = 8.0
POLL_S: Final = 0.05


class OtlpReceiver:
    """The spans that arrived, by trace."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}/v1/traces"
        self._traces: dict[str, list[Span]] = {}

    @property
    def settings(self) -> Mapping[str, str]:
        """The environment of an arm that sends its spans here, of those requests that carry a sampled trace."""
        return {
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": self.endpoint,
            "OTEL_TRACES_EXPORTER": "otlp",
            "OTEL_TRACES_SAMPLER": "parentbased_always_off",
            "OTEL_BSP_SCHEDULE_DELAY": str(EXPORT_DELAY_MS),
            "OBSERVABILITY_SLOW_REQUEST_S": "3600",
        }

    def put(self, span: Span) -> None:
        """Keep a span."""
        self._traces.setdefault(span.trace_id, []).append(span)

    async def trace_of(self, arm: Target, request: Request) -> TraceResult | None:
        """Return the trace of this one request to the arm; None where it sends none."""
        trace_id = secrets.token_hex(16)
        state = ClientState(token=arm.token)
        headers = dict(state.headers(request, request.target)) | {
            "traceparent": f"00-{trace_id}-{secrets.token_hex(8)}-01"
        }
        try:
            async with httpx.AsyncClient(timeout=DEADLINE_S, trust_env=False) as client:
                answer = await client.request(
                    request.method, f"{arm.url}{request.target}", content=request.body or None, headers=headers
                )
        except httpx.HTTPError:
            return None
        spans = await self._complete(trace_id)
        line = f"{request.method} {request.target}"
        return TraceResult.of(spans, request=line, status=answer.status_code) if spans else None

    async def _complete(self, trace_id: str) -> list[Span]:
        seen, quiet_s, waited_s = 0, 0.0, 0.0
        while waited_s < DEADLINE_S and not (seen and quiet_s >= QUIET_S):
            await asyncio.sleep(POLL_S)
            waited_s += POLL_S
            now = len(self._traces.get(trace_id, ()))
            quiet_s = quiet_s + POLL_S if now == seen else 0.0
            seen = now
        return list(self._traces.get(trace_id, ()))


@contextmanager
def otlp_receiver() -> Iterator[OtlpReceiver]:
    """Give an receiver on a free port of 127.0.0.1."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            try:
                sent = ExportTraceServiceRequest.FromString(_unpacked(body, self.headers.get("Content-Encoding", "")))
            except (DecodeError, OSError):
                self.send_error(400)
                return
            for group in sent.resource_spans:
                for scope in group.scope_spans:
                    for span in scope.spans:
                        receiver.put(_received(span))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Write nothing."""

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


def _unpacked(body: bytes, encoding: str) -> bytes:
    return gzip.decompress(body) if encoding == "gzip" else body


def _received(span: SentSpan) -> Span:
    return Span(
        name=span.name,
        trace_id=span.trace_id.hex(),
        span_id=span.span_id.hex(),
        parent_id=span.parent_span_id.hex(),
        begun_ns=span.start_time_unix_nano,
        ended_ns=span.end_time_unix_nano,
        kind=_kind(span),
    )


def _kind(span: SentSpan) -> SpanKind:
    if any(pair.key.startswith("db.") for pair in span.attributes):
        return "database"
    return "call" if span.kind == SentSpan.SPAN_KIND_CLIENT else "work"
