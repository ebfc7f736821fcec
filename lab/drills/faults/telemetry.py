"""Faults of the service's telemetry: a target down, metrics absent, spans dropped."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final

from lab.arms.process import free_ports
from lab.drills.environments.collector import CollectorStub
from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill


def not_instrumented(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Scrape Alertmanager as if it were a process of the service: it lacks the instrumentation's metrics."""
    return context.second_target(context.monitoring.alertmanager_url.removeprefix("http://"))


def second_target_down(context: DrillContext) -> AbstractAsyncContextManager[None]:
    """Add a target on which nothing listens; the service itself is up."""
    (port,) = free_ports(1)
    return context.second_target(f"127.0.0.1:{port}")


@asynccontextmanager
async def collector(context: DrillContext) -> AsyncIterator[None]:
    """Start a collector for the service's spans."""
    (port,) = free_ports(1)
    server = CollectorStub(port)
    server.start()
    context.add_dependency(
        "collector", server, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_BSP_SCHEDULE_DELAY="500"
    )
    try:
        yield
    finally:
        await asyncio.to_thread(server.stop)


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
        description="the OpenTelemetry Collector is stopped",
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
