"""Invalidations of other processes, as they happen."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress

from redis.asyncio import ConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from service.cache.store import Listener
from service.network.redis_pool import redis_pool

logger = logging.getLogger(__name__)

HEARTBEAT_S = 0.4
"""How long nothing may be heard before Redis is asked for a sign of life, and how long that may take."""

RECONNECT_S = 0.2


class Subscription:
    """Tells a listener what other processes invalidate, or that it may have missed something."""

    def __init__(self, url: str, *, channel: str, origin: str, lost: Callable[[], None]) -> None:
        # No retry: a connection that is restored behind our back would hide what was missed meanwhile.
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
        self._task: asyncio.Task[None] | None = None
        self.is_heard = False
        """Whether invalidations arrive now."""

    def open(self, listener: Listener) -> None:
        """Start listening."""
        self._task = asyncio.create_task(self._listening(listener))

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._client.aclose()

    async def _listening(self, listener: Listener) -> None:
        while True:
            try:
                await self._heard(listener)
            except Exception as error:  # noqa: BLE001 whatever it is, a process that stops listening sends stale answers
                if self.is_heard:
                    self.is_heard = False
                    logger.warning("invalidations of other processes are not heard: %r", error)
                    listener.drop_all()
                    self._lost()
            await asyncio.sleep(RECONNECT_S)

    async def _heard(self, listener: Listener) -> None:
        """Pass on what is heard until the connection is lost."""
        subscription = self._client.pubsub()
        try:
            await subscription.subscribe(self._channel)
            is_asked = False
            while True:
                message = await subscription.get_message(timeout=HEARTBEAT_S)
                if message is None:
                    if is_asked:
                        raise TimeoutError(f"no sign of life for {2 * HEARTBEAT_S:.1f} s")
                    is_asked = True
                    await subscription.ping()
                    continue
                is_asked = False
                if message["type"] == "subscribe":
                    # What was invalidated before is unknown here.
                    listener.drop_all()
                    self.is_heard = True
                elif message["type"] == "message":
                    self._tell(listener, message["data"])
        finally:
            with suppress(RedisError, OSError):
                await subscription.aclose()  # type: ignore[no-untyped-call]  # redis-py forgot to annotate it

    def _tell(self, listener: Listener, data: bytes) -> None:
        origin, *tags = data.decode().split("\n")
        if " all" in tags:
            listener.drop_all()
        elif origin != self._origin:
            listener.drop(frozenset(tags))
