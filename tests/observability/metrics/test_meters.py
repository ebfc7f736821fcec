"""Instruments of OpenTelemetry's Meter API are on the metrics port."""

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.metrics import MeterProvider, Observation
from prometheus_client import REGISTRY, CollectorRegistry

from observability import TelemetrySettings, instrument
from observability.compat.prometheus_client import registered_collectors


@pytest.fixture(autouse=True)
def global_providers(monkeypatch: pytest.MonkeyPatch) -> list[MeterProvider]:
    """What would become the global provider, which a process can set once only."""
    providers: list[MeterProvider] = []
    monkeypatch.setattr("observability.telemetry.set_meter_provider", providers.append)
    return providers


@pytest.mark.parametrize("registry", [None, REGISTRY], ids=["a registry of its own", "that of prometheus_client"])
@pytest.mark.anyio
async def test_every_kind_of_instrument_is_served_beside_the_metrics_of_requests(
    registry: CollectorRegistry | None,
) -> None:
    before = registered_collectors(REGISTRY)
    try:
        app = FastAPI()
        telemetry = instrument(app, registry=registry, settings=TelemetrySettings(metrics_port=0))
        meter = telemetry.serve_meters().get_meter("shop")
        meter.create_counter("orders", unit="1").add(2, {"kind": "book"})
        meter.create_histogram("order.time", unit="s").record(3)
        meter.create_observable_gauge("stock", callbacks=[lambda _: [Observation(7)]])
        async with app.router.lifespan_context(app), httpx.AsyncClient() as client:
            page = (await client.get(f"http://127.0.0.1:{telemetry.metrics_port}/metrics")).text
    finally:
        for collector in registered_collectors(REGISTRY) - before:
            REGISTRY.unregister(collector)
    lines = page.splitlines()
    assert any(line.startswith("orders_total{") and 'kind="book"' in line and line.endswith(" 2.0") for line in lines)
    assert any(line.startswith("order_time_seconds_sum") and line.endswith(" 3.0") for line in lines)
    assert any(line.startswith("stock") and line.endswith(" 7.0") for line in lines)
    assert any(line.startswith("# TYPE http_requests") for line in lines)


def test_the_provider_becomes_the_global_one_and_the_registry_of_prometheus_client_stays(
    global_providers: list[MeterProvider],
) -> None:
    before = registered_collectors(REGISTRY)
    provider = instrument(FastAPI(), settings=TelemetrySettings(metrics_exporter="none")).serve_meters()
    assert global_providers == [provider]
    assert registered_collectors(REGISTRY) == before
