"""The middleware of the service, and which answers it keeps."""

from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from observability.compression import CompressionMetrics
from service.admission.meter import AdmissionMetrics
from service.admission.middleware import AdmissionMiddleware
from service.admission.turnstile import Bounds, Turnstile
from service.airlines import routes as airlines
from service.airports import routes as airports
from service.body_limit import BodyLimit
from service.cache.compose import lasting, policies_in_use
from service.cache.layered import LayeredCache
from service.cache.middleware import ResponseCacheMiddleware
from service.cache.null import NullCache
from service.cache.policy import CachePolicy, PolicyTable
from service.cache.replay import ReplayMiddleware
from service.compression.middleware import CompressionMiddleware
from service.every_answer import EveryAnswer
from service.head import HeadOfGet
from service.http_cache import HttpCacheMiddleware
from service.leaving import Leaving
from service.plain_errors import PlainErrorsAsProblems
from service.rate_limit.spending import AllowanceHeaders
from service.reports import routes as reports
from service.settings import Settings

POLICIES: Final[dict[str, CachePolicy]] = {**airlines.CACHED, **airports.CACHED, **reports.CACHED}
"""Which answers are kept where a technique asks for it, by path template."""


def add_middleware(
    app: FastAPI,
    settings: Settings,
    *,
    cache: LayeredCache | NullCache,
    leaving: Leaving,
    registry: CollectorRegistry,
) -> None:
    """Add the middleware from the inside out: the last one added is the outermost."""
    compression = CompressionMetrics(registry)
    kept = lasting(settings, POLICIES)
    app.add_middleware(PlainErrorsAsProblems)
    app.add_middleware(AllowanceHeaders)
    if isinstance(cache, LayeredCache):
        policies = policies_in_use(settings, kept)
        app.add_middleware(ResponseCacheMiddleware, cache=cache, policies=policies)
    if settings.uses("http_cache"):
        app.add_middleware(HttpCacheMiddleware, policies=PolicyTable(kept))
    if settings.uses("compression"):
        app.add_middleware(CompressionMiddleware, meter=compression)
    app.add_middleware(BodyLimit, limit_bytes=settings.max_body_bytes, limit_s=settings.body_timeout_s)
    app.add_middleware(HeadOfGet)
    if settings.max_concurrent_requests:
        app.add_middleware(AdmissionMiddleware, turnstile=_turnstile(settings, registry))
    app.add_middleware(EveryAnswer, leaving=leaving)
    if isinstance(cache, LayeredCache):
        app.add_middleware(ReplayMiddleware, levels=cache.levels, compression=compression, leaving=leaving)


def _turnstile(settings: Settings, registry: CollectorRegistry) -> Turnstile:
    bounds = Bounds(
        running=settings.max_concurrent_requests,
        waiting=settings.max_waiting_requests,
        wait_s=settings.admission_timeout_s,
    )
    return Turnstile(bounds, AdmissionMetrics(registry))
