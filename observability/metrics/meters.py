"""Instruments of OpenTelemetry's Meter API on the metrics port, through the official exporter."""

from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client import REGISTRY, CollectorRegistry

from observability.compat.prometheus_client import registered_collectors


def meter_provider(registry: CollectorRegistry, resource: Resource) -> MeterProvider:
    """Return a provider whose instruments are collected by the registry."""
    before = registered_collectors(REGISTRY)
    reader = PrometheusMetricReader(disable_target_info=True)
    provider = MeterProvider(metric_readers=[reader], resource=resource, shutdown_on_exit=False)
    if registry is not REGISTRY:  # the only one that older exporters register in
        for collector in registered_collectors(REGISTRY) - before:
            REGISTRY.unregister(collector)
            registry.register(collector)
    return provider
