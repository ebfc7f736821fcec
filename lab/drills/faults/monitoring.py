"""Faults of Prometheus, Alertmanager and the receiver, which would make other alerts silent."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import httpx

from lab.drills.run.context import DrillContext
from lab.drills.run.drill import Drill

INVALID_YAML: Final = "no configuration: [\n"
MANY_TO_MANY: Final = """\
groups:
  - name: many to many
    rules:
      - record: drill:up:one
        expr: up / on () up
"""
"""Loads, and fails at evaluation: several series match where one is needed."""


@asynccontextmanager
async def invalid_config(context: DrillContext, path: Path, url: str) -> AsyncIterator[None]:
    """Reload an invalid configuration during the block."""
    valid = path.with_suffix(".valid")
    await asyncio.to_thread(shutil.copyfile, path, valid)
    await asyncio.to_thread(path.write_text, INVALID_YAML, "utf-8")
    try:
        await context.monitoring.reload(url)
        yield
    finally:
        await asyncio.to_thread(valid.replace, path)
        await context.monitoring.reload(url)


def prometheus_config(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return invalid_config(context, context.monitoring.prometheus_config, context.monitoring.prometheus_url)


def alertmanager_config(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return invalid_config(context, context.monitoring.alertmanager_config, context.monitoring.alertmanager_url)


@asynccontextmanager
async def failing_rule(context: DrillContext) -> AsyncIterator[None]:
    rule = context.monitoring.rules / "many-to-many.yml"
    await asyncio.to_thread(rule.write_text, MANY_TO_MANY, "utf-8")
    try:
        await context.monitoring.reload(context.monitoring.prometheus_url)
        yield
    finally:
        await asyncio.to_thread(rule.unlink)
        await context.monitoring.reload(context.monitoring.prometheus_url)


@asynccontextmanager
async def no_targets(context: DrillContext) -> AsyncIterator[None]:
    context.monitoring.remove_targets(context.arm)
    try:
        yield
    finally:
        context.scrape_service()


def alertmanager_killed(context: DrillContext) -> AbstractAsyncContextManager[None]:
    return context.monitoring.alertmanager.killed()


@asynccontextmanager
async def receiver_killed(context: DrillContext) -> AsyncIterator[None]:
    """Kill the receiver, and post a new alert to Alertmanager every second."""
    async with context.monitoring.receiver.killed(), context.in_background(_post_alerts(context)):
        yield


async def _post_alerts(context: DrillContext) -> None:
    async with httpx.AsyncClient(base_url=context.monitoring.alertmanager_url, timeout=5.0) as client:
        number = 0
        while True:
            number += 1
            labels = {"alertname": "Undeliverable", "drill": context.arm, "number": str(number), "severity": "warning"}
            with suppress(httpx.HTTPError):
                await client.post("/api/v2/alerts", json=[{"labels": labels}])
            await asyncio.sleep(1.0)


MONITORING_DRILLS: Final = (
    Drill(
        name="prometheus-config",
        description="Prometheus reloads an invalid configuration",
        fault=prometheus_config,
        alerts=("PrometheusConfigReloadFailed",),
        exclusive=frozenset({"prometheus"}),
    ),
    Drill(
        name="rule-fails",
        description="Prometheus reloads with a rule that fails at evaluation",
        fault=failing_rule,
        alerts=("PrometheusRuleFailures",),
        exclusive=frozenset({"prometheus"}),
    ),
    Drill(
        name="alertmanager-config",
        description="Alertmanager reloads an invalid configuration",
        fault=alertmanager_config,
        alerts=("AlertmanagerConfigReloadFailed",),
    ),
    Drill(
        name="no-targets",
        description="service discovery finds no process of the service",
        fault=no_targets,
        alerts=("ServiceMissing",),
        runs_alone=True,
    ),
    Drill(
        name="alertmanager-killed",
        description="Alertmanager is killed: the alerts fire and cannot be delivered",
        fault=alertmanager_killed,
        alerts=("AlertmanagerMissing", "AlertsNotSent"),
        runs_alone=True,
        is_delivered=False,
    ),
    Drill(
        name="receiver-killed",
        description="the receiver is killed while Alertmanager has alerts to deliver",
        fault=receiver_killed,
        alerts=("NotificationsFailing",),
        runs_alone=True,
        is_delivered=False,
    ),
)
