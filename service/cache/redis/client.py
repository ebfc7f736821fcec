"""A Redis client with short timeouts and a circuit breaker."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.cache.store import StoreDown
from service.core.task_set import TaskSet
from service.network.redis_pool import redis_pool

logger = logging.getLogger(__name__)

RESPONSE_TIMEOUT_S = 0.5
"""The timeout for a connection, and for a response; a loaded event loop alone can take a good part of it."""

FAILURES = 3
"""Consecutive failures after which Redis counts as down."""

PROBE_S = 0.25
"""The interval of probes while Redis is down; requests do not try it."""


class RedisClient:
    """Runs scripts on Redis, and fails fast while it is down."""

    def __init__(self, url: str, *, connections: int = 64, recover: Callable[[], Awaitable[None]]) -> None:
        self._client = Redis.from_pool(
            redis_pool(
                url,
                BlockingConnectionPool,
                max_connections=connections,
                timeout=RESPONSE_TIMEOUT_S,
                socket_timeout=RESPONSE_TIMEOUT_S,
                socket_connect_timeout=RESPONSE_TIMEOUT_S,
                # A pooled connection that Redis closed while idle fails once; a second attempt gets a new one.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            )
        )
        self.is_down = False
        self.tasks = TaskSet()
        self._failures = 0
        self._recover = recover

    def script(self, text: str) -> Callable[[Sequence[str], Sequence[bytes | str | int]], Awaitable[Any]]:
        """Return a function that runs the script with keys and arguments; it raises `StoreDown`."""
        script = self._client.register_script(text)

        async def run(keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
            try:
                async with asyncio.timeout(2 * RESPONSE_TIMEOUT_S):
                    result = await script(keys, arguments)
            except (RedisError, OSError, TimeoutError) as error:
                self._count_failure(error)
                raise StoreDown(f"Redis is down: {error!r}") from error
            self._failures = 0
            return result

        return run

    def check(self) -> None:
        """Raise `StoreDown` while Redis is known to be down."""
        if self.is_down:
            raise StoreDown("Redis is down and is not tried until a probe succeeds")

    def go_down(self) -> None:
        """Treat Redis as down until `recover` succeeds."""
        if not self.is_down:
            self.is_down = True
            self.tasks.start(self._probe())

    async def close(self) -> None:
        await self.tasks.close()
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    def _count_failure(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == FAILURES:
            logger.warning("the shared cache is down: %r; responses are computed until it is up", error)
            self.go_down()

    async def _probe(self) -> None:
        while self.is_down:
            await asyncio.sleep(PROBE_S)
            try:
                await self._recover()
            except StoreDown:
                continue
            self.is_down = False
            self._failures = 0
            logger.warning("the shared cache is up")
