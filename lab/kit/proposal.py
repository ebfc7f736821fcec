"""Groups of routes with objectives, proposed from the traffic that a service has had, and written as `slo.toml`."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import inf
from typing import Final

from lab.kit.discovery import Discovery, Route, quantile_bound

ENOUGH: Final = 100
"""Requests of a group from which its own latency decides on the threshold."""
DEFAULT_THRESHOLD_S: Final = 0.5
SLOW_S: Final = 1.0
"""A route that serves 95 % of its requests no faster is slow."""
STREAM_S: Final = 10.0
"""A route that serves half of its requests no faster sends streams."""
PROBES: Final = re.compile(r"/(?:livez|readyz|healthz?|ping|status|metrics|openapi\.json|docs.*|redoc)/?")
STREAMS: Final = re.compile(r".*/(?:events|stream|sse|ws)/?")
UNMATCHED: Final = "unmatched"


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """One group of routes."""

    name: str
    title: str
    routes: Sequence[Route]
    availability: float
    latency: float
    threshold_s: float

    @property
    def requests(self) -> float:
        return sum(route.requests for route in self.routes)


def is_excluded(route: Route) -> bool:
    """Return whether no objective should cover the route: a probe, or a stream that stays open."""
    if PROBES.fullmatch(route.handler) or STREAMS.fullmatch(route.handler) or route.handler == UNMATCHED:
        return True
    return route.requests >= ENOUGH and quantile_bound([route], 0.5) > STREAM_S


def proposals(discovery: Discovery) -> list[Proposal]:
    """Return reads, writes and slow routes, as far as there are any."""
    covered = [route for route in discovery.routes.values() if not is_excluded(route) and route.requests]
    slow = [route for route in covered if SLOW_S <= quantile_bound([route], 0.95) < inf]
    reads = [route for route in covered if route not in slow and not route.is_write]
    writes = [route for route in covered if route not in slow and route.is_write]
    groups = [
        ("reads", "Reads", reads, 0.999, 0.99),
        ("writes", "Writes", writes, 0.999, 0.99),
        ("slow", "Slow routes", slow, 0.995, 0.95),
    ]
    bounds = sorted({bound for route in discovery.routes.values() for bound in route.buckets if bound < inf})
    return [
        Proposal(
            name=name,
            title=title,
            routes=routes,
            availability=availability,
            latency=latency,
            threshold_s=_threshold_s(routes, latency, bounds),
        )
        for name, title, routes, availability, latency in groups
        if routes
    ]


def _threshold_s(routes: Iterable[Route], latency: float, bounds: Sequence[float]) -> float:
    """Return a bucket that leaves the group twice the time that its objective's share of requests takes now."""
    routes = list(routes)
    wanted = DEFAULT_THRESHOLD_S
    if sum(route.requests for route in routes) >= ENOUGH:
        wanted = max(2 * quantile_bound(routes, latency), DEFAULT_THRESHOLD_S / 5)
    return next((bound for bound in bounds if bound >= wanted), bounds[-1] if bounds else DEFAULT_THRESHOLD_S)
