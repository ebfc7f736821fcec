"""The middleware of the service, and which answers it keeps."""

from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from observability.cache.compression import CompressionMetrics
from service.airlines import routes as airlines
from service.airports import routes as airports
from service.api.problem_middleware import PlainErrorsAsProblems
from service.api.rate_limit.spending import AllowanceHeaders
from service.api.shutdown import Leaving
from service.cache.factory import lasting, policies_in_use
from service.cache.layered import LayeredCache
from service.cache.middleware import ResponseCacheMiddleware
from service.cache.null import NullCache
from service.compression.middleware import CompressionMiddleware
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.delivery.hot_responses import ReplayMiddleware
from service.http.admission.concurrency_limiter import Bounds, Turnstile
from service.http.admission.meter import AdmissionMetrics
from service.http.admission.middleware import AdmissionMiddleware
from service.http.body_limit import BodyLimit
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.default_headers import EveryAnswer
from service.http.head_requests import HeadOfGet
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
        waiting=settings.max_queued_requests,
        wait_s=settings.admission_timeout_s,
    )
    return Turnstile(bounds, AdmissionMetrics(registry))
