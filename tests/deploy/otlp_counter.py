"""Counts the spans, log records and metrics that it receives over OTLP/HTTP, by service, in place of the back ends.

It runs inside the stack, in an image of the service, so it imports nothing from the tests.
"""

import gzip
import json
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.resource.v1.resource_pb2 import Resource

spans: Counter[str] = Counter()
log_records: Counter[str] = Counter()
metrics: Counter[str] = Counter()
"""By service and metric, such as `shop orders`."""
trace_ids: set[str] = set()


def service_name(resource: Resource) -> str:
    return next((pair.value.string_value for pair in resource.attributes if pair.key == "service.name"), "")


class Handler(BaseHTTPRequestHandler):
    """POST receives OTLP; GET returns the counts, those of the metrics, or whether a trace was received."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            for group in ExportTraceServiceRequest.FromString(body).resource_spans:
                sent = [span for scope in group.scope_spans for span in scope.spans]
                spans[service_name(group.resource)] += len(sent)
                trace_ids.update(span.trace_id.hex() for span in sent)
        elif self.path.endswith("/v1/metrics"):
            for received in ExportMetricsServiceRequest.FromString(body).resource_metrics:
                names = (metric.name for scope in received.scope_metrics for metric in scope.metrics)
                metrics.update(f"{service_name(received.resource)} {name}" for name in names)
        else:
            for logs in ExportLogsServiceRequest.FromString(body).resource_logs:
                log_records[service_name(logs.resource)] += sum(len(scope.log_records) for scope in logs.scope_logs)
        self._respond(b"")

    def do_GET(self) -> None:
        if self.path.startswith("/traces/"):
            self._respond(json.dumps(self.path.removeprefix("/traces/") in trace_ids).encode())
        elif self.path == "/metrics":
            self._respond(json.dumps(metrics).encode())
        else:
            self._respond(json.dumps({"spans": spans, "log_records": log_records}).encode())

    def _respond(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the base class's
        """Write nothing."""


if __name__ == "__main__":
    ThreadingHTTPServer(("", 3100), Handler).serve_forever()
