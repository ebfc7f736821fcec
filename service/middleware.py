"""The middleware of the service in its order, and the cache policies of its routes."""

from typing import Final

from prometheus_client import CollectorRegistry
from starlette.middleware import Middleware

from observability.cache.compression import CompressionMetrics
from observability.saturation.threads import ThreadMetrics
from service.airlines import routes as airlines
from service.airports import routes as airports
from service.api.problem_middleware import ProblemMiddleware
from service.api.rate_limit import RateLimitHeadersMiddleware
from service.api.shutdown import ShutdownState
from service.cache.factory import enabled_policies, policies_with_ttl
from service.cache.layered import LayeredCache
from service.cache.middleware import ResponseCacheMiddleware
from service.compression.middleware import CompressionMiddleware
from service.database import Database
from service.database.read_your_writes import ReadYourWritesMiddleware
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

COMPRESSION_THREADS: Final = 2

POLICIES: Final[dict[str, CachePolicy]] = {**airlines.CACHED, **airports.CACHED, **reports.CACHED}
"""The cache policies by path template; each applies while its technique is on."""


def middleware_stack(
    settings: Settings,
    *,
    cache: LayeredCache | None,
    database: Database,
    shutdown: ShutdownState,
    registry: CollectorRegistry,
    threads: ThreadMetrics,
) -> list[Middleware]:
    """Return the middleware, outermost first."""
    compression = CompressionMetrics(registry)
    policies = policies_with_ttl(settings, POLICIES)
    stack: list[Middleware] = []
    if cache is not None:
        stack.append(Middleware(HotResponseMiddleware, levels=cache.levels, compression=compression, shutdown=shutdown))
    stack.append(Middleware(DefaultHeadersMiddleware, shutdown=shutdown))
    if settings.max_concurrent_requests:
        stack.append(Middleware(AdmissionMiddleware, limiter=_concurrency_limiter(settings, registry)))
    stack.append(Middleware(HeadMiddleware))
    stack.append(Middleware(BodyLimitMiddleware, max_bytes=settings.max_body_bytes, timeout_s=settings.body_timeout_s))
    if settings.uses("compression"):
        pool = threads.thread_pool("compress", threads=COMPRESSION_THREADS)
        stack.append(Middleware(CompressionMiddleware, meter=compression, threads=pool))
    if settings.uses("http_cache"):
        stack.append(Middleware(HttpCacheMiddleware, policies=PolicyTable(policies)))
    if cache is not None:
        stack.append(Middleware(ResponseCacheMiddleware, cache=cache, policies=enabled_policies(settings, policies)))
    stack.append(Middleware(RateLimitHeadersMiddleware))
    stack.append(Middleware(ProblemMiddleware))
    if database.has_replica:
        stack.append(Middleware(ReadYourWritesMiddleware))
    return stack


def _concurrency_limiter(settings: Settings, registry: CollectorRegistry) -> ConcurrencyLimiter:
    bounds = Bounds(
        slots=settings.max_concurrent_requests,
        queue=settings.max_queued_requests,
        timeout_s=settings.admission_timeout_s,
    )
    return ConcurrencyLimiter(bounds, AdmissionMetrics(registry))
