"""Metrics made at home: OpenMetrics, but without exemplars, labelled by raw path, in old names."""

from time import perf_counter

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.openmetrics.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

registry = CollectorRegistry()
requests = Counter("http_server_requests", "Requests.", ("path", "http_method"), registry=registry)
duration = Histogram("http_request_duration_seconds", "Duration.", ("path",), buckets=(0.25, 1), registry=registry)


class Counted:
    """Counts requests by path."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = perf_counter()
        await self.app(scope, receive, send)
        if scope["type"] == "http":
            requests.labels(scope["path"], scope["method"]).inc()
            duration.labels("all").observe(perf_counter() - started)


app = FastAPI()
app.add_middleware(Counted)


@app.get("/metrics")
def metrics() -> Response:
    return Response(generate_latest(registry), headers={"Content-Type": CONTENT_TYPE_LATEST})  # type: ignore[no-untyped-call]  # untyped there
