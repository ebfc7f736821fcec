"""Registries that have other collectors than ours."""

import prometheus_client
import pytest
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, GCCollector, PlatformCollector, ProcessCollector
from prometheus_client.exposition import generate_latest
from sqlalchemy import create_engine

from observability import InstrumentationError, TelemetrySettings, instrument
from observability.cache.cache import CacheMetrics
from observability.cache.compression import CompressionMetrics

SETTINGS = TelemetrySettings(metrics_exporter="none", log_format="none", access_log=False)


def default_registry() -> CollectorRegistry:
    """Return a registry like prometheus_client's own, which other tests use."""
    registry = CollectorRegistry(auto_describe=True)
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    GCCollector(registry=registry)
    return registry


def names(registry: CollectorRegistry) -> list[str]:
    return [family.name for family in registry.collect()]


def test_the_default_registry_is_shared_with_the_application() -> None:
    assert type(default_registry()) is type(prometheus_client.REGISTRY)
    registry = default_registry()
    Counter("orders", "Orders.", registry=registry)
    instrument(FastAPI(), registry=registry, settings=SETTINGS)
    found = names(registry)
    assert {"orders", "http_requests", "process_cpu_seconds", "python_info", "observability_errors"} <= set(found)
    assert len(found) == len(set(found))


@pytest.mark.parametrize(
    "given", [None, default_registry(), CollectorRegistry()], ids=["of its own", "default", "plain"]
)
def test_every_metric_is_served_by_its_name(given: CollectorRegistry | None) -> None:
    engines = {"primary": create_engine("sqlite://")}
    registry = instrument(FastAPI(), registry=given, settings=SETTINGS, engines=engines).registry
    CacheMetrics(registry)
    CompressionMetrics(registry)
    for family in registry.collect():
        wanted = {family.name, *(sample.name for sample in family.samples)}
        served = registry.restricted_registry(wanted).collect()
        assert [one.name for one in served if one.samples] == ([family.name] if family.samples else [])


@pytest.mark.parametrize(
    "name", ["http_requests_total", "cache_entries", "db_queries_per_request", "event_loop_lag_seconds"]
)
@pytest.mark.parametrize("auto_describe", [False, True])
def test_a_metric_of_the_same_name_is_an_error_that_leaves_the_registry_as_it_was(
    name: str, auto_describe: bool
) -> None:
    registry = CollectorRegistry(auto_describe=auto_describe)
    Counter(name, "The application's own.", registry=registry)
    app = FastAPI()
    if name == "cache_entries":
        instrument(app, registry=registry, settings=SETTINGS)
        with pytest.raises(ValueError, match="cache_entries"):
            CacheMetrics(registry)
        return
    before = names(registry)
    with pytest.raises(InstrumentationError, match=f"{name}.*registry of its own"):
        instrument(app, registry=registry, settings=SETTINGS, engines={"primary": create_engine("sqlite://")})
    assert names(registry) == before
    instrument(app, registry=CollectorRegistry(), settings=SETTINGS)


@pytest.mark.parametrize("auto_describe", [False, True])
def test_collectors_of_the_process_are_added_where_they_are_missing(auto_describe: bool) -> None:
    registry = CollectorRegistry(auto_describe=auto_describe)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    instrument(FastAPI(), registry=registry, settings=SETTINGS)
    found = names(registry)
    assert {"process_cpu_seconds", "python_info", "python_gc_collections"} <= set(found)
    assert len(found) == len(set(found))


def test_two_applications_need_two_registries() -> None:
    registry = default_registry()
    instrument(FastAPI(), registry=registry, settings=SETTINGS)
    before = names(registry)
    with pytest.raises(InstrumentationError, match="another instrumented application"):
        instrument(FastAPI(), registry=registry, settings=SETTINGS)
    assert names(registry) == before
    assert generate_latest(registry)
