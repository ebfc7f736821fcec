"""A collector that records the spans it receives over HTTP."""

import gzip
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import monotonic, sleep

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans


@dataclass(frozen=True)
class Span:
    """A span as it arrived, with the attributes of the process that sent it."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    attributes: dict[str, str]
    resource: dict[str, str]


@dataclass
class Collector:
    """The address of a collector, and the spans it has."""

    endpoint: str
    spans: list[Span] = field(default_factory=list)
    messages: list[ResourceSpans] = field(default_factory=list)
    """The same as they were sent, by resource."""

    def named(self, name: str) -> list[Span]:
        """Return the spans with this name."""
        return [span for span in self.spans if span.name == name]

    def wait_for(self, name: str, number: int = 1, *, seconds: float = 10.0) -> list[Span]:
        """Return the spans with this name once there are so many; fail after `seconds`."""
        deadline = monotonic() + seconds
        while len(self.named(name)) < number:
            assert monotonic() < deadline, f"{len(self.named(name))} spans {name!r} came; all: {self.names()}"
            sleep(0.02)
        return self.named(name)

    def names(self) -> list[str]:
        """Return the names of all spans, in the order they came."""
        return [span.name for span in self.spans]


def _texts(attributes: "list[KeyValue]") -> dict[str, str]:
    return {pair.key: pair.value.string_value or str(pair.value.int_value) for pair in attributes}


@contextmanager
def collecting() -> Iterator[Collector]:
    """Yield a collector for OTLP over HTTP on a free port."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                collector.messages.append(group)
                resource = _texts(list(group.resource.attributes))
                for scope in group.scope_spans:
                    collector.spans.extend(
                        Span(
                            name=span.name,
                            trace_id=span.trace_id.hex(),
                            span_id=span.span_id.hex(),
                            parent_id=span.parent_span_id.hex(),
                            attributes=_texts(list(span.attributes)),
                            resource=resource,
                        )
                        for span in scope.spans
                    )
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            """Write nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    collector = Collector(f"http://127.0.0.1:{server.server_port}")
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield collector
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
