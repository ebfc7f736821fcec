"""Every metric, from registries of an application with every kind of instrumentation."""

from collections.abc import Mapping

import httpx
from prometheus_client import CollectorRegistry
from sqlalchemy import create_engine
from starlette.applications import Starlette

from docsgen.markdown import code, table
from observability import TelemetrySettings, instrument
from observability.cache.cache import CacheMetrics
from observability.cache.compression import CompressionMetrics
from observability.celery.metrics import TaskMetrics
from observability.metrics.reference import LABELS, MetricDescription, metric_reference
from service.app import create_app
from service.database.replica import READ_REASONS
from service.http.admission.metrics import OUTCOMES as ADMISSION_OUTCOMES
from service.settings import Settings as ServiceSettings
from service.weather.metrics import OUTCOMES as UPSTREAM_OUTCOMES

SERVICE_LABELS = {
    "outcome": (
        f"{LABELS['outcome']}; of upstreams {code(UPSTREAM_OUTCOMES)}; of admission {code(ADMISSION_OUTCOMES)}; "
        "of rate limits `allowed`, `rejected`"
    ),
    "policy": "`writes`, `exports`",
    "upstream": "names of upstreams in the service",
    "role": code(READ_REASONS),
    "reason": "; ".join(f"of the {role} {code(reasons)}" for role, reasons in READ_REASONS.items()),
}
QUIET = TelemetrySettings(metrics_exporter="none", traces_exporter="none")


def package_metrics() -> list[MetricDescription]:
    """Return the metrics of an application with one of every kind of instrumentation."""
    registry = CollectorRegistry()
    CacheMetrics(registry)
    CompressionMetrics(registry)
    TaskMetrics(registry)
    engine, client = create_engine("sqlite://"), httpx.Client()
    instrument(
        Starlette(),
        engines={"primary": engine},
        http_clients={"upstream": client},
        registry=registry,
        settings=QUIET,
    )
    client.close()
    return metric_reference(registry)


def whatif_metrics() -> list[MetricDescription]:
    """Return the metrics that `instrument(whatif=True)` adds."""
    registry = CollectorRegistry()
    instrument(Starlette(), registry=registry, settings=QUIET, whatif=True)
    return [one for one in metric_reference(registry) if one.name.startswith("whatif_")]


def service_metrics() -> list[MetricDescription]:
    """Return the metrics that the flights service adds."""
    registry = CollectorRegistry()
    settings = ServiceSettings(
        database_url="postgresql://primary/flights", database_replica_url="postgresql://replica/flights"
    )
    create_app(settings, registry=registry, telemetry=QUIET)
    package = {one.name for one in package_metrics()}
    return [one for one in metric_reference(registry) if one.name not in package]


def metrics_page() -> Mapping[str, object]:
    labels = sorted((LABELS | SERVICE_LABELS).items())
    return {
        "port": TelemetrySettings().metrics_port,
        "package": _table(package_metrics()),
        "service": _table(service_metrics()),
        "labels": table(["label", "values"], ([f"`{label}`", values] for label, values in labels)),
    }


def whatif_metrics_page() -> Mapping[str, object]:
    used = {label for one in whatif_metrics() for label in one.labels}
    return {
        "metrics": _table(whatif_metrics()),
        "labels": table(["label", "values"], ([f"`{label}`", LABELS[label]] for label in sorted(used))),
    }


def _table(metrics: list[MetricDescription]) -> str:
    columns = ["metric", "type", "labels", "meaning"]
    return table(columns, ([f"`{one.name}`", one.kind, code(one.labels) or "none", one.help] for one in metrics))
