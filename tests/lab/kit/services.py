"""Descriptions of third-party services, as `flightdeck kit init` writes them from their metrics."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from lab.kit.discovery import discovered
from lab.kit.slo_file import slo_text
from prometheus.parts import PREFIXES, SHARED, Part
from prometheus.promql import LATENCY
from prometheus.slo import Objectives, parse

BOUNDS_S: Final = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0)
OPTIONAL: Final = frozenset(PREFIXES.values()) - SHARED


def exposition(requests: Mapping[tuple[str, str], tuple[int, float]], parts: frozenset[Part]) -> str:
    """Return the metrics after these requests: number and seconds of each, by method and route."""
    registry = CollectorRegistry()
    total = Counter("http_requests_total", "Requests.", ["method", "handler", "status"], registry=registry)
    latency = Histogram(LATENCY, "Latency.", ["method", "handler"], buckets=BOUNDS_S, registry=registry)
    Gauge("http_requests_inprogress", "In flight.", registry=registry)
    for prefix, part in PREFIXES.items():
        if part in parts:
            Gauge(f"{prefix}x" if prefix.endswith("_") else f"{prefix}_x", "One of a part.", registry=registry)
    for (method, handler), (count, seconds) in requests.items():
        total.labels(method, handler, "2xx").inc(count)
        for _ in range(count):
            latency.labels(method, handler).observe(seconds)
    return generate_latest(registry).decode()


ORDERS: Final = exposition(
    {
        ("GET", "/orders/{order_id}"): (400, 0.02),
        ("GET", "/orders"): (200, 0.2),
        ("POST", "/orders"): (20, 0.2),
        ("POST", "/orders/{order_id}/refund"): (30, 0.4),
        ("GET", "/statements/{year}"): (120, 2.0),
        ("GET", "/orders/events"): (10, 0.4),
        ("GET", "/healthz"): (900, 0.001),
        ("GET", "unmatched"): (3, 0.001),
    },
    frozenset({"pool", "database", "threads", "export"}),
)
"""A shop with a database, of which most is read."""

GATEWAY: Final = exposition(
    {("POST", "/v1/{tenant}/quote"): (5000, 0.03), ("GET", "/v1/{tenant}/{name:path}"): (1, 0.03)},
    frozenset({"cache", "clients", "tasks"}),
)
"""A gateway with a cache, HTTP clients and a task queue."""


def described(text: str, job: str) -> Objectives:
    return parse(slo_text(discovered(text), job=job, targets=["127.0.0.1:9464"]), name="slo.toml")
