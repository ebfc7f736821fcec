"""The subscribers of all processes: changes are published through Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from service.core.task_set import run_in_background
from service.errors import SubscribersUnreachable
from service.flights.subscribers import LocalSubscribers, StatusChanged
from service.network.redis_pool import redis_pool

logger = logging.getLogger("flightdeck.subscribers")

RESPONSE_TIMEOUT_S: Final = 0.5
PING_INTERVAL_S: Final = 5.0
"""After so long without a message the connection is checked."""
RECONNECT_S: Final = 0.5

CHANGE: Final = TypeAdapter(StatusChanged)


class RedisSubscribers:
    """Publish changes to a channel; each process delivers what it receives there to its own subscribers."""

    def __init__(self, url: str, local: LocalSubscribers, *, channel: str) -> None:
        self._local = local
        self._channel = channel
        pool = redis_pool(
            url, ConnectionPool, socket_timeout=RESPONSE_TIMEOUT_S, socket_connect_timeout=RESPONSE_TIMEOUT_S
        )
        self._publisher = Redis.from_pool(pool)
        self._subscriber = Redis.from_pool(redis_pool(url, ConnectionPool, socket_connect_timeout=RESPONSE_TIMEOUT_S))
        self._is_subscribed: bool | None = None
        """None before the first attempt: its success is not logged."""

    async def notify(self, change: StatusChanged) -> None:
        """Publish the change; if that fails, deliver it to this process alone and raise `SubscribersUnreachable`."""
        try:
            await self._publisher.publish(self._channel, CHANGE.dump_json(change))
        except (RedisError, OSError) as error:
            await self._local.notify(change)
            raise SubscribersUnreachable from error

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Deliver the changes that any process publishes, for as long as the block lasts."""
        async with aclosing(self._publisher), aclosing(self._subscriber), run_in_background(self._listen):
            yield

    async def _listen(self) -> None:
        while True:
            try:
                await self._receive()
            except (RedisError, OSError, TimeoutError) as error:
                if self._is_subscribed is not False:
                    logger.warning("not subscribed to the status changes of other processes: %r", error)
                self._is_subscribed = False
            await asyncio.sleep(RECONNECT_S)

    async def _receive(self) -> None:
        async with self._subscriber.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            while True:
                message = await subscription.get_message(timeout=PING_INTERVAL_S)
                if message is None:
                    async with asyncio.timeout(RESPONSE_TIMEOUT_S):
                        await subscription.ping()
                elif message["type"] == "subscribe":
                    if self._is_subscribed is False:
                        logger.warning("subscribed to the status changes of other processes again")
                    self._is_subscribed = True
                    self._local.resync_all()
                elif message["type"] == "message":
                    await self._deliver(message["data"])

    async def _deliver(self, data: bytes) -> None:
        try:
            change = CHANGE.validate_json(data)
        except ValidationError:
            logger.exception("a message of another version on %s", self._channel)
            return
        await self._local.notify(change)
