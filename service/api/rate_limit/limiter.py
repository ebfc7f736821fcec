"""Counting what owners spend: in Redis for all processes together, in the process where there is none."""

import logging
import math
import time
from collections.abc import Callable
from typing import Final

from limits.aio.storage import MemoryStorage, RedisStorage
from limits.aio.strategies import SlidingWindowCounterRateLimiter
from limits.errors import StorageError
from prometheus_client import CollectorRegistry, Counter
from redis.asyncio import ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError

from service.core.quota import Allowance, Quota
from service.network.redis_pool import redis_pool

logger = logging.getLogger(__name__)

ANSWER_S: Final = 0.25
LEFT_ALONE_S: Final = 2.0
"""After a failure Redis is not asked for this long, so that a write does not wait for it each time."""


class RateLimiter:
    """Grants or refuses requests by quota and owner.

    While Redis does not answer, each process counts on its own: a limit that several processes share is then higher,
    and nobody is refused for a fault that is not theirs.
    """

    def __init__(
        self, redis_url: str, *, registry: CollectorRegistry, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._local = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._pool = _pool(redis_url) if redis_url else None
        self._shared = None if self._pool is None else _counting_in(self._pool)
        self._clock = clock
        self._asked_again_at = 0.0
        self._requests = Counter(
            "rate_limit_requests_total",
            "Requests that a rate limit applies to; `level` says whose count decided.",
            ("policy", "level", "outcome"),
            registry=registry,
        )

    async def spend(self, quota: Quota, owner: str) -> Allowance:
        """Return what is left after one request of the owner, which may be one too many."""
        if self._shared is not None and self._clock() >= self._asked_again_at:
            try:
                return await self._spent(self._shared, "shared", quota, owner)
            except (StorageError, OSError) as error:
                self._asked_again_at = self._clock() + LEFT_ALONE_S
                logger.warning("rate limits are counted in this process, Redis does not answer: %r", error)
        return await self._spent(self._local, "local", quota, owner)

    async def close(self) -> None:
        """Close the connections."""
        if self._pool is not None:
            await self._pool.disconnect()

    async def _spent(self, limiter: SlidingWindowCounterRateLimiter, level: str, quota: Quota, owner: str) -> Allowance:
        is_granted = await limiter.hit(quota.item, quota.policy, owner)
        reset_at, remaining = await limiter.get_window_stats(quota.item, quota.policy, owner)
        self._requests.labels(quota.policy, level, "allowed" if is_granted else "rejected").inc()
        return Allowance(
            quota=quota,
            is_granted=is_granted,
            remaining=remaining if is_granted else 0,
            reset_s=max(1, math.ceil(reset_at - time.time())),  # the library tells when, by the same clock
        )


def _pool(url: str) -> ConnectionPool:
    # A pooled connection that Redis closed while idle fails once; a second attempt gets a new one.
    once_more = Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,))
    return redis_pool(url, ConnectionPool, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S, retry=once_more)


def _counting_in(pool: ConnectionPool) -> SlidingWindowCounterRateLimiter:
    storage = RedisStorage(
        "redis://",  # unread: the pool knows the address
        wrap_exceptions=True,
        implementation="redispy",
        key_prefix="flightdeck:limits",
        connection_pool=pool,  # type: ignore[arg-type]  # the library names simple options only, and takes this one
    )
    return SlidingWindowCounterRateLimiter(storage)
