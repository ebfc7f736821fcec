"""Every metric of a registry: what it is called, what it counts, and where the values of its labels come from."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client import CollectorRegistry
from prometheus_client.metrics import MetricWrapperBase

LABELS: Final = {
    "cache": "names of caches in the code, at most 100, then `other`",
    "client": "names given to `instrument(http_clients=…)`",
    "code": "close codes of WebSocket connections, `rejected`, `failed`, `application`, `other`",
    "direction": "`received`, `sent`",
    "encoding": "`identity`, `gzip`, `br`, `zstd`, `deflate`, `other`",
    "error": "classes of database errors, at most 100, then `other`",
    "generation": "`0`, `1`, `2`",
    "handler": "route templates, `unmatched`; `none` for work outside of requests",
    "level": "`local`, `shared`, `edge`, `other`",
    "limiter": "`default` and names of limiters in the code, at most 100, then `other`",
    "method": "HTTP methods, `other`",
    "operation": "SQL operations, `other`",
    "outcome": "of exports `exported`, `failed`, `dropped`",
    "pool": "roles given to `instrument(engines=…)`",
    "result": "`hit`, `stale`, `miss`, `coalesced`, `error`, `other`",
    "reused": "`true`, `false`",
    "signal": "`spans`, `logs`, `errors`, `access_log`",
    "state": "connections: `used`, `idle`; tasks: `success`, `failure`, `retry`, `revoked`, `rejected`, `ignored`",
    "status": "status codes, `client_disconnected`; of clients also `timeout`, `error`",
    "task": "names of tasks, at most 200, then `other`",
    "where": "parts of this package",
    **dict.fromkeys(("implementation", "major", "minor", "patchlevel", "version"), "facts of the interpreter"),
}
"""Where the values of each label come from: always from a closed set, or a bounded one."""


@dataclass(frozen=True)
class MetricDescription:
    """A metric as a reader of its exposition sees it."""

    name: str
    """Counters with their `_total`."""
    kind: str
    labels: tuple[str, ...]
    help: str


def metric_reference(registry: CollectorRegistry) -> list[MetricDescription]:
    """Return the registry's metrics by name, also those that have counted nothing yet."""
    found = {one.name: one for collector in _collectors(registry) for one in _of(collector)}
    return sorted(found.values(), key=lambda one: one.name)


def _collectors(registry: CollectorRegistry) -> list[Any]:
    return list(registry._collector_to_names)  # noqa: SLF001 a registry does not list its collectors


def _of(collector: Any) -> Iterator[MetricDescription]:
    if isinstance(collector, MetricWrapperBase):
        metric: Any = collector
        yield _description(metric._name, metric._type, metric._labelnames, metric._documentation)  # noqa: SLF001 nor its labels
        return
    for family in collector.collect():
        labels = getattr(family, "_labelnames", ())
        yield _description(family.name, family.type, labels, family.documentation)


def _description(name: str, kind: str, labels: tuple[str, ...], text: str) -> MetricDescription:
    return MetricDescription(f"{name}_total" if kind == "counter" else name, kind, tuple(labels), text)
