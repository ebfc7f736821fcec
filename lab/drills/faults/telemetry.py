"""Faults of what the service tells about itself: no target, no metrics, spans that get lost."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from lab.arms.process import free_ports
from lab.drills.environments.collector import Collector
from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill


@asynccontextmanager
async def not_instrumented(scene: Scene) -> AsyncIterator[None]:
    """A process joins the service whose metrics are not the instrumentation's: Alertmanager stands in for it."""
    stranger = scene.monitoring.alertmanager_url.removeprefix("http://")
    scene.monitoring.scrape("service", [scene.metrics_address, stranger], arm=scene.arm)
    try:
        yield
    finally:
        scene.scraped()


@asynccontextmanager
async def second_target_down(scene: Scene) -> AsyncIterator[None]:
    """One process of two is gone: the service still answers."""
    (port,) = free_ports(1)
    scene.monitoring.scrape("service", [scene.metrics_address, f"127.0.0.1:{port}"], arm=scene.arm)
    try:
        yield
    finally:
        scene.scraped()


@asynccontextmanager
async def collector(scene: Scene) -> AsyncIterator[None]:
    """A collector of spans of the drill's own."""
    (port,) = free_ports(1)
    server = Collector(port)
    await server.start()
    scene.share(
        "collector", server, OTEL_EXPORTER_OTLP_ENDPOINT=f"http://127.0.0.1:{port}", OTEL_BSP_SCHEDULE_DELAY="500"
    )
    try:
        yield
    finally:
        await server.stop()


@asynccontextmanager
async def collector_down(scene: Scene) -> AsyncIterator[None]:
    """The collector is gone until somebody starts it again."""
    server: Collector = scene.shared("collector")
    await server.stop()
    try:
        yield
    finally:
        await server.start()


@asynccontextmanager
async def nowhere_to_announce(scene: Scene) -> AsyncIterator[None]:
    """A release that is told to announce its metrics in a directory that cannot be."""
    async with scene.released(OBSERVABILITY_METRICS_TARGETS_DIR="/dev/null/targets"):
        yield


TELEMETRY_DRILLS: Final = (
    Drill(
        name="target-down",
        breaks="one process of two cannot be scraped",
        fault=second_target_down,
        alerts=("TargetDown",),
    ),
    Drill(
        name="not-instrumented",
        breaks="a process joins the service that lacks its metrics",
        fault=not_instrumented,
        alerts=("MetricsAbsent",),
    ),
    Drill(
        name="collector-down",
        breaks="the collector of spans is stopped",
        prepare=collector,
        fault=collector_down,
        alerts=("TelemetryDropped",),
    ),
    Drill(
        name="telemetry-fails",
        breaks="a release is told to announce its metrics in a directory that cannot be",
        fault=nowhere_to_announce,
        alerts=("TelemetryErrors",),
    ),
)
