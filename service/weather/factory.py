"""Which client and which policy the techniques ask for."""

from collections.abc import Callable
from typing import Final

import httpx
from prometheus_client import CollectorRegistry

from service.settings import Settings
from service.weather.breaker import Breaker
from service.weather.clients import (
    AsyncClientPerCall,
    AsyncUpstreamClient,
    BlockingClient,
    BlockingClientPerCall,
    ClientOptions,
    UpstreamClient,
)
from service.weather.metrics import UpstreamMetrics
from service.weather.source import DirectSource, ResiliencePolicy, ResilientSource, WeatherSource

UPSTREAM: Final = "weather"

Watch = Callable[[httpx.Client | httpx.AsyncClient], None]

# By `async_io` and `connection_reuse`.
CLIENTS: Final[
    dict[tuple[bool, bool], type[AsyncUpstreamClient | AsyncClientPerCall | BlockingClient | BlockingClientPerCall]]
] = {
    (True, True): AsyncUpstreamClient,
    (True, False): AsyncClientPerCall,
    (False, True): BlockingClient,
    (False, False): BlockingClientPerCall,
}


def weather_source(settings: Settings, registry: CollectorRegistry, *, watch: Watch) -> WeatherSource:
    """Return the source that `async_io`, `connection_reuse` and `timeouts` choose; the caller closes it.

    `watch` makes every client that is made observable.
    """
    metrics = UpstreamMetrics(registry, upstream=UPSTREAM)
    client = _client(settings, metrics, watch)
    if not settings.uses("timeouts"):
        return DirectSource(client, metrics)
    breaker = Breaker(
        UPSTREAM,
        threshold=settings.weather_breaker_failures,
        reset_s=settings.weather_breaker_reset_s,
        on_change=metrics.circuit,
    )
    policy = ResiliencePolicy(deadline_s=settings.weather_deadline_s, stale_s=settings.weather_stale_s)
    return ResilientSource(DirectSource(client, metrics), breaker=breaker, policy=policy, metrics=metrics)


def _client(settings: Settings, metrics: UpstreamMetrics, watch: Watch) -> UpstreamClient:
    without_timeouts = ClientOptions(
        base_url=settings.weather_url, max_connections=settings.weather_max_connections, watch=watch
    )
    deadline_s = settings.weather_deadline_s
    with_timeouts = ClientOptions(
        base_url=without_timeouts.base_url,
        max_connections=without_timeouts.max_connections,
        # A connection within the machine room takes milliseconds; what is left of the deadline is for the answer.
        timeout=httpx.Timeout(deadline_s, connect=deadline_s / 2),
        retries=2,
        watch=watch,
    )
    make = CLIENTS[settings.uses("async_io"), settings.uses("connection_reuse")]
    return make(with_timeouts if settings.uses("timeouts") else without_timeouts, metrics)
