"""The middleware of the service, and which answers it keeps."""

from typing import Final

from fastapi import FastAPI
from prometheus_client import CollectorRegistry

from observability.cache.compression import CompressionMetrics
from service.airlines import routes as airlines
from service.airports import routes as airports
from service.api.problem_middleware import ProblemMiddleware
from service.api.rate_limit import RateLimitHeadersMiddleware
from service.api.shutdown import ShutdownState
from service.cache.factory import lasting, policies_in_use
from service.cache.layered import LayeredCache
from service.cache.middleware import ResponseCacheMiddleware
from service.cache.null import NullCache
from service.compression.middleware import CompressionMiddleware
from service.delivery.conditional_requests import HttpCacheMiddleware
from service.delivery.hot_responses import HotResponseMiddleware
from service.http.admission.concurrency_limiter import Bounds, ConcurrencyLimiter
from service.http.admission.metrics import AdmissionMetrics
from service.http.admission.middleware import AdmissionMiddleware
from service.http.body_limit import BodyLimitMiddleware
from service.http.cache_model.policy import CachePolicy, PolicyTable
from service.http.default_headers import DefaultHeadersMiddleware
from service.http.head_requests import HeadMiddleware
from service.reports import routes as reports
from service.settings import Settings

POLICIES: Final[dict[str, CachePolicy]] = {**airlines.CACHED, **airports.CACHED, **reports.CACHED}
"""Which answers are kept where a technique asks for it, by path template."""


def add_middleware(
    app: FastAPI,
    settings: Settings,
    *,
    cache: LayeredCache | NullCache,
    shutdown: ShutdownState,
    registry: CollectorRegistry,
) -> None:
    """Add the middleware from the inside out: the last one added is the outermost."""
    compression = CompressionMetrics(registry)
    kept = lasting(settings, POLICIES)
    app.add_middleware(ProblemMiddleware)
    app.add_middleware(RateLimitHeadersMiddleware)
    if isinstance(cache, LayeredCache):
        policies = policies_in_use(settings, kept)
        app.add_middleware(ResponseCacheMiddleware, cache=cache, policies=policies)
    if settings.uses("http_cache"):
        app.add_middleware(HttpCacheMiddleware, policies=PolicyTable(kept))
    if settings.uses("compression"):
        app.add_middleware(CompressionMiddleware, meter=compression)
    app.add_middleware(BodyLimitMiddleware, limit_bytes=settings.max_body_bytes, limit_s=settings.body_timeout_s)
    app.add_middleware(HeadMiddleware)
    if settings.max_concurrent_requests:
        app.add_middleware(AdmissionMiddleware, limiter=_limiter(settings, registry))
    app.add_middleware(DefaultHeadersMiddleware, shutdown=shutdown)
    if isinstance(cache, LayeredCache):
        app.add_middleware(HotResponseMiddleware, levels=cache.levels, compression=compression, shutdown=shutdown)


def _limiter(settings: Settings, registry: CollectorRegistry) -> ConcurrencyLimiter:
    bounds = Bounds(
        slots=settings.max_concurrent_requests,
        queue=settings.max_queued_requests,
        timeout_s=settings.admission_timeout_s,
    )
    return ConcurrencyLimiter(bounds, AdmissionMetrics(registry))
