"""What a running service says about itself on its metrics port: its routes with their traffic, and its parts."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf
from typing import Final

import httpx
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from lab.core.errors import LabError
from prometheus.parts import SHARED, Part, part_of
from prometheus.promql import LATENCY

WRITES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
TIMEOUT_S: Final = 10.0


class NotInstrumented(LabError):
    """The address has no metrics of an instrumented service."""


@dataclass(kw_only=True)
class Route:
    """One route with what was counted since the process started."""

    handler: str
    methods: dict[str, float] = field(default_factory=lambda: defaultdict(float))
    failures: float = 0
    buckets: dict[float, float] = field(default_factory=lambda: defaultdict(float))
    """Requests within each bound in seconds, over all methods."""

    @property
    def requests(self) -> float:
        return sum(self.methods.values())

    @property
    def is_write(self) -> bool:
        return sum(count for method, count in self.methods.items() if method in WRITES) > self.requests / 2


@dataclass(frozen=True, kw_only=True)
class Discovery:
    routes: Mapping[str, Route]
    parts: frozenset[Part]


def discover(url: str) -> Discovery:
    """Read the metrics at the URL; raise `NotInstrumented` naming what is wrong."""
    try:
        response = httpx.get(url, timeout=TIMEOUT_S, headers={"Accept": "text/plain"})
        response.raise_for_status()
        return discovered(response.text)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NotInstrumented(f"{url} cannot be read: {error}; is it the metrics port, 9464 by default?") from error
    except ValueError as error:
        raise NotInstrumented(f"{url} has no metrics in Prometheus' text format: {error}") from error


def discovered(exposition: str) -> Discovery:
    """Return what a text in Prometheus' format says; raise `NotInstrumented` if no request metrics are in it."""
    samples = [one for family in text_string_to_metric_families(exposition) for one in family.samples]
    names = {one.name for one in samples}
    if not names & {f"{LATENCY}_count", "http_requests_inprogress"}:
        raise NotInstrumented("there are metrics, but none of HTTP requests: call observability.instrument(app)")
    return Discovery(routes=_routes(samples), parts=frozenset(_parts(names)))


def _parts(names: Iterable[str]) -> Iterable[Part]:
    return {part for name in names if (part := part_of(name)) and part not in SHARED}


def _routes(samples: Iterable[Sample]) -> dict[str, Route]:
    routes: dict[str, Route] = {}
    for one in samples:
        if not (handler := one.labels.get("handler")):
            continue
        route = routes.setdefault(handler, Route(handler=handler))
        if one.name == "http_requests_total":
            route.methods[one.labels["method"]] += one.value
            route.failures += one.value * one.labels["status"].startswith("5")
        elif one.name == f"{LATENCY}_bucket":
            route.buckets[float(one.labels["le"])] += one.value
    return routes


def quantile_bound(routes: Iterable[Route], share: float) -> float:
    """Return the lowest bucket bound within which this share of the requests was served; infinite without traffic."""
    total: dict[float, float] = defaultdict(float)
    for route in routes:
        for bound, count in route.buckets.items():
            total[bound] += count
    every = max(total.values(), default=0)
    return min((bound for bound, count in total.items() if every and count >= share * every), default=inf)
