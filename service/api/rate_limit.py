"""Rate limits by token: counted in Redis for all processes together, or in the process without Redis."""

import logging
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.authorisation import owner_of
from service.core.quota import Quota
from service.errors import TooManyRequests
from service.network.redis_pool import redis_pool

logger = logging.getLogger(__name__)

RATE_LIMIT_RESULT: Final = "flightdeck.rate_limit_result"
"""The scope key of a request's `RateLimitResult`."""

RESPONSE_TIMEOUT_S: Final = 0.25
RETRY_AFTER_S: Final = 2.0
"""How long Redis is not tried after a failure, so that not every write waits for its timeout."""


@dataclass(frozen=True, kw_only=True)
class RateLimitResult:
    """Whether a request is within its quota, and what remains of it."""

    quota: Quota
    is_allowed: bool
    remaining: int
    reset_s: int
    """Seconds until part of the quota is available again."""

    @property
    def headers(self) -> dict[str, str]:
        """The fields of draft-ietf-httpapi-ratelimit-headers."""
        name = f'"{self.quota.policy}"'
        return {
            "RateLimit-Policy": f"{name};q={self.quota.item.amount};w={self.quota.window_s}",
            "RateLimit": f"{name};r={self.remaining};t={self.reset_s}",
        }


class RateLimiter:
    """Counts requests by quota and owner.

    While Redis is down, each process counts on its own: the limit is then higher, but no request within its quota is
    rejected because of the outage.
    """

    def __init__(
        self, redis_url: str, *, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._pool = _pool(redis_url) if redis_url else None
        self._shared = None if self._pool is None else _shared_limiter(self._pool)
        self._clock = clock
        self._retry_at = 0.0
        self._requests = Counter(
            "rate_limit_requests_total",
            "Requests that a rate limit applies to; `level` says whether the shared or the local count decided.",
            ("policy", "level", "outcome"),
            registry=registry,
        )

    async def hit(self, quota: Quota, owner: str) -> RateLimitResult:
        """Count one request of the owner and return the result."""
        if self._shared is not None and self._clock() >= self._retry_at:
            try:
                return await self._hit(self._shared, "shared", quota, owner)
            except (StorageError, OSError) as error:
                self._retry_at = self._clock() + RETRY_AFTER_S
                logger.warning("Redis is down; rate limits are counted in this process: %r", error)
        return await self._hit(self._local, "local", quota, owner)

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.disconnect()

    async def _hit(
        self, limiter: SlidingWindowCounterRateLimiter, level: str, quota: Quota, owner: str
    ) -> RateLimitResult:
        is_allowed = await limiter.hit(quota.item, quota.policy, owner)
        reset_at, remaining = await limiter.get_window_stats(quota.item, quota.policy, owner)
        self._requests.labels(quota.policy, level, "allowed" if is_allowed else "rejected").inc()
        return RateLimitResult(
            quota=quota,
            is_allowed=is_allowed,
            remaining=remaining if is_allowed else 0,
            reset_s=max(1, math.ceil(reset_at - time.time())),  # the library's `reset_at` is from the same clock
        )


def _pool(url: str) -> ConnectionPool:
    # A pooled connection that Redis closed while idle fails once; a second attempt gets a new one.
    retry = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return redis_pool(
        url,
        ConnectionPool,
        socket_timeout=RESPONSE_TIMEOUT_S,
        socket_connect_timeout=RESPONSE_TIMEOUT_S,
        retry=retry,
    )


def _shared_limiter(pool: ConnectionPool) -> SlidingWindowCounterRateLimiter:
    storage = RedisStorage(
        "redis://",  # ignored: the pool has the address
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="flightdeck:limits",
        connection_pool=pool,  # type: ignore[arg-type]  # annotated for scalar options only, but passed on to redis-py
    )
    return SlidingWindowCounterRateLimiter(storage)


class RateLimit:
    """A dependency, after the token's, that rejects a request whose owner has used up the quota."""

    def __init__(self, limiter: RateLimiter, quota: Quota | None) -> None:
        self._limiter = limiter
        self._quota = quota

    async def __call__(self, request: Request) -> None:
        """Raise `TooManyRequests` if the quota is used up; without a quota there is no limit."""
        if self._quota is None:
            return
        result = await self._limiter.hit(self._quota, owner_of(request)[:16])
        request.scope[RATE_LIMIT_RESULT] = result
        if not result.is_allowed:
            raise TooManyRequests(self._quota.policy, retry_after_s=result.reset_s)


class RateLimitHeadersMiddleware:
    """Adds `RateLimit` and `RateLimit-Policy` to responses to rate-limited requests, errors included."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in {"GET", "HEAD"}:
            await self.app(scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start" and RATE_LIMIT_RESULT in scope:
                MutableHeaders(raw=message["headers"]).update(scope[RATE_LIMIT_RESULT].headers)
            await send(message)

        await self.app(scope, receive, with_headers)
