"""prometheus_client: the collectors of a registry, and the label names of metrics that have no samples yet."""

from collections.abc import Iterator

from prometheus_client import CollectorRegistry, Metric
from prometheus_client.registry import Collector


def registered_collectors(registry: CollectorRegistry) -> frozenset[Collector]:
    """Return the registry's collectors; none without `_collector_to_names`."""
    return frozenset(getattr(registry, "_collector_to_names", ()))


def metric_names(registry: CollectorRegistry) -> frozenset[str]:
    """Return the names of the registry's metrics; none without `_names_to_collectors`."""
    return frozenset(getattr(registry, "_names_to_collectors", ()))


def families_with_labels(registry: CollectorRegistry) -> Iterator[tuple[Metric, tuple[str, ...]]]:
    """Yield the registry's metric families with their label names.

    Without `_collector_to_names` or `_labelnames` only the labels of existing samples are known.
    """
    for collector in list(getattr(registry, "_collector_to_names", None) or [registry]):
        for family in collector.collect():
            labels = getattr(collector, "_labelnames", None) or getattr(family, "_labelnames", None)
            yield family, tuple(labels or {name: None for s in family.samples for name in s.labels if name != "le"})
