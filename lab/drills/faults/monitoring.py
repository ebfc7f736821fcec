"""Faults of Prometheus, Alertmanager and the receiver: what makes a quiet pager a lie."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from lab.drills.run.context import Scene
from lab.drills.run.drill import Drill

BROKEN: Final = "this is no configuration: [\n"
MANY_TO_MANY: Final = """\
groups:
  - name: many to many
    rules:
      - record: drill:up:one
        expr: up / on () up
"""
"""Valid to read; at evaluation it finds several targets where it needs one."""


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
async def rule_that_fails(scene: Scene) -> AsyncIterator[None]:
    """Prometheus gets a rule that it can read and not evaluate."""
    rule = scene.monitoring.rules / "many-to-many.yml"
    await asyncio.to_thread(rule.write_text, MANY_TO_MANY, "utf-8")
    try:
        await scene.monitoring.reload(scene.monitoring.prometheus_url)
        yield
    finally:
        await asyncio.to_thread(rule.unlink)
        await scene.monitoring.reload(scene.monitoring.prometheus_url)


@asynccontextmanager
async def no_targets(scene: Scene) -> AsyncIterator[None]:
    """Discovery finds no process of the service any more."""
    scene.monitoring.forget(scene.arm)
    try:
        yield
    finally:
        scene.scraped()


@asynccontextmanager
async def alertmanager_killed(scene: Scene) -> AsyncIterator[None]:
    """Alertmanager is gone until somebody starts it again."""
    await scene.monitoring.alertmanager.kill()
    try:
        yield
    finally:
        await scene.monitoring.alertmanager.start(remove=scene.monitoring.directory)


@asynccontextmanager
async def receiver_killed(scene: Scene) -> AsyncIterator[None]:
    """The receiver is gone, and Alertmanager has an alert to deliver every second."""
    await scene.monitoring.receiver.kill()
    try:
        async with scene.working(_alerts(scene)):
            yield
    finally:
        await scene.monitoring.receiver.start(remove=scene.monitoring.directory)


async def _alerts(scene: Scene) -> None:
    async with httpx.AsyncClient(base_url=scene.monitoring.alertmanager_url, timeout=5.0) as client:
        number = 0
        while True:
            number += 1
            labels = {"alertname": "Undeliverable", "drill": scene.arm, "number": str(number), "severity": "ticket"}
            with suppress(httpx.HTTPError):
                await client.post("/api/v2/alerts", json=[{"labels": labels}])
            await asyncio.sleep(1.0)


MONITORING_DRILLS: Final = (
    Drill(
        name="prometheus-config",
        breaks="Prometheus reloads a broken configuration",
        fault=prometheus_config,
        alerts=("PrometheusConfigReloadFailed",),
        needs=frozenset({"prometheus"}),
    ),
    Drill(
        name="rule-fails",
        breaks="Prometheus reloads with a rule that it cannot evaluate",
        fault=rule_that_fails,
        alerts=("PrometheusRuleFailures",),
        needs=frozenset({"prometheus"}),
    ),
    Drill(
        name="alertmanager-config",
        breaks="Alertmanager reloads a broken configuration",
        fault=alertmanager_config,
        alerts=("AlertmanagerConfigReloadFailed",),
    ),
    Drill(
        name="no-targets",
        breaks="discovery finds no process of the service any more",
        fault=no_targets,
        alerts=("ServiceMissing",),
        is_alone=True,
    ),
    Drill(
        name="alertmanager-killed",
        breaks="Alertmanager is killed; Prometheus says so, and nobody can be told",
        fault=alertmanager_killed,
        alerts=("AlertmanagerMissing", "AlertsNotSent"),
        is_alone=True,
        is_heard=False,
    ),
    Drill(
        name="receiver-killed",
        breaks="the receiver is killed while there is something to deliver",
        fault=receiver_killed,
        alerts=("NotificationsFailing",),
        is_alone=True,
        is_heard=False,
    ),
)
