"""Faults of the service's telemetry: a target down, metrics absent, spans dropped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Final

from lab.arms.ports import free_ports
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill


def not_instrumented(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Scrape Alertmanager as if it were a process of the service: it lacks the instrumentation's metrics."""
    return context.second_target(context.monitoring.alertmanager_url.removeprefix("http://"))


def second_target_down(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Add a target on which nothing listens; the service itself is up."""
    (port,) = free_ports(1)
    return context.second_target(f"127.0.0.1:{port}")


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Write nothing."""


class CollectorStub:
    """Accepts OTLP/HTTP requests and discards them; can be stopped and started on the same port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: ThreadingHTTPServer | None = None

    def start(self) -> None:
        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), _Handler)
        Thread(target=self._server.serve_forever, daemon=True).start()

    def stop(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


async def collector(context: DrillContext) -> None:
    """Start a collector for the service's spans."""
    (port,) = free_ports(1)
    server = CollectorStub(port)
    server.start()
    context.cleanup.push_async_callback(asyncio.to_thread, server.stop)
    context.add_dependency(
        "collector", server, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_BSP_SCHEDULE_DELAY="500"
    )


@asynccontextmanager
async def collector_down(context: DrillContext) -> AsyncIterator[None]:
    server: CollectorStub = context.dependency("collector")
    await asyncio.to_thread(server.stop)
    try:
        yield
    finally:
        server.start()


def unwritable_targets_dir(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return context.deployed(OBSERVABILITY_METRICS_TARGETS_DIR="/dev/null/targets")


TELEMETRY_DRILLS: Final = (
    Drill(
        name="target-down",
        description="one of two processes of the service cannot be scraped",
        fault=second_target_down,
        alerts=("TargetDown",),
    ),
    Drill(
        name="not-instrumented",
        description="a process without the instrumentation's metrics is scraped as part of the service",
        fault=not_instrumented,
        alerts=("MetricsAbsent",),
    ),
    Drill(
        name="collector-down",
        description="the server that collects the spans is stopped",
        prepare=collector,
        fault=collector_down,
        alerts=("TelemetryDropped",),
    ),
    Drill(
        name="telemetry-fails",
        description="a release cannot write its target file",
        fault=unwritable_targets_dir,
        alerts=("TelemetryErrors",),
    ),
)
