"""The subscription to the invalidations of other processes."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.cache.store import InvalidationListener
from service.core.task_set import TaskSet
from service.network.redis_pool import redis_pool

logger = logging.getLogger(__name__)

HEARTBEAT_S = 0.4
"""The silence after which Redis is pinged, and the timeout of the ping."""

RECONNECT_S = 0.2


class Subscription:
    """Passes invalidations to a listener, and drops everything there when some may have been missed."""

    def __init__(self, url: str, *, channel: str, origin: str, lost: Callable[[], None]) -> None:
        # No retry: a reconnect inside redis-py would hide that invalidations were missed.
        self._client = Redis.from_pool(
            redis_pool(
                url,
                ConnectionPool,
                retry=Retry(NoBackoff(), 0),
                socket_timeout=HEARTBEAT_S,
                socket_connect_timeout=HEARTBEAT_S,
            )
        )
        self._channel = channel
        self._origin = origin
        self._lost = lost
        self._tasks = TaskSet()
        self.is_connected = False

    def open(self, listener: InvalidationListener) -> None:
        self._tasks.start(self._listen(listener))

    async def close(self) -> None:
        await self._tasks.close()
        await self._client.aclose()

    async def _listen(self, listener: InvalidationListener) -> None:
        while True:
            try:
                await self._receive(listener)
            except Exception as error:  # noqa: BLE001 whatever it is: without invalidations, entries would be stale
                if self.is_connected:
                    self.is_connected = False
                    logger.warning("the subscription to invalidations is lost: %r", error)
                    listener.drop_all()
                    self._lost()
            await asyncio.sleep(RECONNECT_S)

    async def _receive(self, listener: InvalidationListener) -> None:
        """Pass invalidations on until the connection is lost."""
        subscription = self._client.pubsub()
        try:
            await subscription.subscribe(self._channel)
            is_pinged = False
            while True:
                message = await subscription.get_message(timeout=HEARTBEAT_S)
                if message is None:
                    if is_pinged:
                        raise TimeoutError(f"no message for {2 * HEARTBEAT_S:.1f} s")
                    is_pinged = True
                    await subscription.ping()
                    continue
                is_pinged = False
                if message["type"] == "subscribe":
                    # Invalidations before the subscription were missed.
                    listener.drop_all()
                    self.is_connected = True
                elif message["type"] == "message":
                    self._invalidate(listener, message["data"])
        finally:
            with suppress(RedisError, OSError):
                await subscription.aclose()  # type: ignore[no-untyped-call]  # redis-py does not annotate it

    def _invalidate(self, listener: InvalidationListener, data: bytes) -> None:
        origin, *tags = data.decode().split("\n")
        if " all" in tags:
            listener.drop_all()
        elif origin != self._origin:
            listener.drop(frozenset(tags))
