"""The weather source, by the techniques `async_io`, `connection_reuse` and `timeouts`."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Final

import httpx
from prometheus_client import CollectorRegistry

from service.settings import Settings
from service.weather.circuit_breaker import CircuitBreaker
from service.weather.clients import (
    AsyncUpstreamClient,
    BlockingUpstreamClient,
    ClientOptions,
    ClientPerCall,
    UpstreamClient,
)
from service.weather.metrics import UpstreamMetrics
from service.weather.source import DirectSource, ResiliencePolicy, ResilientSource, WeatherSource

UPSTREAM: Final = "weather"

Instrument = Callable[[httpx.Client | httpx.AsyncClient], None]


def weather_source(settings: Settings, registry: CollectorRegistry, *, instrument: Instrument) -> WeatherSource:
    """Return the source, which the caller closes; `instrument` is called with every new HTTP client."""
    metrics = UpstreamMetrics(registry, upstream=UPSTREAM)
    source = DirectSource(_client(settings, metrics, instrument), metrics)
    if not settings.uses("timeouts"):
        return source
    breaker = CircuitBreaker(
        UPSTREAM,
        threshold=settings.weather_breaker_failures,
        reset_s=settings.weather_breaker_reset_s,
        on_change=metrics.set_circuit_state,
    )
    policy = ResiliencePolicy(deadline_s=settings.weather_deadline_s, stale_s=settings.weather_stale_s)
    return ResilientSource(source, breaker=breaker, policy=policy, metrics=metrics)


def _client(settings: Settings, metrics: UpstreamMetrics, instrument: Instrument) -> UpstreamClient:
    options = ClientOptions(
        base_url=settings.weather_url, max_connections=settings.weather_max_connections, instrument=instrument
    )
    if settings.uses("timeouts"):
        options = with_timeouts(options, deadline_s=settings.weather_deadline_s)
    client_type = AsyncUpstreamClient if settings.uses("async_io") else BlockingUpstreamClient
    create: Callable[[], UpstreamClient] = partial(client_type, options, metrics)
    return create() if settings.uses("connection_reuse") else ClientPerCall(create)


def with_timeouts(options: ClientOptions, *, deadline_s: float) -> ClientOptions:
    """Return the options with timeouts and retries that leave time for a response within the deadline."""
    return replace(options, timeout=httpx.Timeout(deadline_s, connect=deadline_s / 2), retries=2)
