"""The connections to Redis: pooled, with short timeouts, left alone while it does not answer."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError

from service.cache.errors import StoreDown
from service.network.redis_pool import redis_pool

logger = logging.getLogger(__name__)

ANSWER_S = 0.5
"""Longest wait for a connection, and for an answer; a loaded event loop alone can take a good part of it."""

FAILURES = 3
"""Failures in a row after which Redis counts as down."""

PROBE_S = 0.25
"""How often it is then asked whether it is back; requests do not try."""


class Link:
    """Runs scripts on Redis and knows whether it is there."""

    def __init__(self, url: str, *, connections: int = 64, recover: Callable[[], Awaitable[None]]) -> None:
        self._client = Redis.from_pool(
            redis_pool(
                url,
                BlockingConnectionPool,
                max_connections=connections,
                timeout=ANSWER_S,
                socket_timeout=ANSWER_S,
                socket_connect_timeout=ANSWER_S,
                # A pooled connection that Redis closed while idle fails once; a second attempt gets a new one.
                retry=Retry(NoBackoff(), 1, supported_errors=(RedisConnectionError,)),
            )
        )
        self.is_down = False
        self._failures = 0
        self._recover = recover
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, text: str) -> Callable[[Sequence[str], Sequence[bytes | str | int]], Awaitable[Any]]:
        """Return what runs a script with keys and arguments; it raises `StoreDown` when Redis does not answer."""
        script = self._client.register_script(text)

        async def run(keys: Sequence[str], arguments: Sequence[bytes | str | int]) -> Any:
            try:
                async with asyncio.timeout(2 * ANSWER_S):
                    result = await script(keys, arguments)
            except (RedisError, OSError, TimeoutError) as error:
                self._failed(error)
                raise StoreDown(f"Redis does not answer: {error!r}") from error
            self._failures = 0
            return result

        return run

    def check(self) -> None:
        """Raise `StoreDown` at once while Redis is known to be down."""
        if self.is_down:
            raise StoreDown("Redis is left alone until it answers a probe")

    def go_down(self) -> None:
        """Leave Redis alone until `recover` succeeds."""
        if not self.is_down:
            self.is_down = True
            self.hold(self._probed())

    def hold(self, work: Coroutine[Any, Any, None]) -> None:
        """Run work beside the requests until it ends or `close` ends it."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        """End what runs and close the connections."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()
        await self._client.connection_pool.disconnect()

    def _failed(self, error: Exception) -> None:
        self._failures += 1
        if self._failures == FAILURES:
            logger.warning("the shared cache is down: %r; answers are computed until it is back", error)
            self.go_down()

    async def _probed(self) -> None:
        while self.is_down:
            await asyncio.sleep(PROBE_S)
            try:
                await self._recover()
            except StoreDown:
                continue
            self.is_down = False
            self._failures = 0
            logger.warning("the shared cache is back")
