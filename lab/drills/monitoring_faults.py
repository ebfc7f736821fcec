"""Faults of the monitoring: broken configurations, targets without metrics, a collector that is away."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from lab.drills.drill import Drill
from lab.drills.scene import ARM, Scene
from lab.process import free_ports

BROKEN: Final = "this is no configuration: [\n"


@asynccontextmanager
async def broken_config(scene: Scene, path: Path, url: str) -> AsyncIterator[None]:
    """A configuration that cannot be read, reloaded; then the good one again."""
    good = path.with_suffix(".good")
    await asyncio.to_thread(shutil.copyfile, path, good)
    await asyncio.to_thread(path.write_text, BROKEN, "utf-8")
    try:
        await scene.monitoring.reload(url)
        yield
    finally:
        await asyncio.to_thread(good.replace, path)
        await scene.monitoring.reload(url)


@asynccontextmanager
async def prometheus_config(scene: Scene) -> AsyncIterator[None]:
    """Prometheus reads a broken configuration."""
    async with broken_config(scene, scene.monitoring.prometheus_config, scene.monitoring.prometheus_url):
        yield


@asynccontextmanager
async def alertmanager_config(scene: Scene) -> AsyncIterator[None]:
    """Alertmanager reads a broken configuration."""
    async with broken_config(scene, scene.monitoring.alertmanager_config, scene.monitoring.alertmanager_url):
        yield


@asynccontextmanager
async def not_instrumented(scene: Scene) -> AsyncIterator[None]:
    """A process joins the service whose metrics are not the instrumentation's: Alertmanager stands in for it."""
    stranger = scene.monitoring.alertmanager_url.removeprefix("http://")
    scene.monitoring.scrape("service", [scene.metrics_address, stranger], arm=ARM)
    try:
        yield
    finally:
        scene.scraped()


@asynccontextmanager
async def second_target_down(scene: Scene) -> AsyncIterator[None]:
    """One process of two is gone: the service still answers."""
    (port,) = free_ports(1)
    scene.monitoring.scrape("service", [scene.metrics_address, f"127.0.0.1:{port}"], arm=ARM)
    try:
        yield
    finally:
        scene.scraped()


class _Collector:
    """Accepts spans over OTLP/HTTP and forgets them."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._answer, "127.0.0.1", self._port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                (
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length:")
                ),
                0,
            )
            await reader.readexactly(length)
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def collector(scene: Scene) -> AsyncIterator[None]:
    """A collector of spans of the drill's own."""
    (port,) = free_ports(1)
    server = _Collector(port)
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
    server: _Collector = scene.shared("collector")
    await server.stop()
    try:
        yield
    finally:
        await server.start()


MONITORING_DRILLS: Final = (
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
        name="prometheus-config",
        breaks="Prometheus reloads a broken configuration",
        fault=prometheus_config,
        alerts=("PrometheusConfigBroken",),
    ),
    Drill(
        name="alertmanager-config",
        breaks="Alertmanager reloads a broken configuration",
        fault=alertmanager_config,
        alerts=("AlertmanagerConfigBroken",),
    ),
)
