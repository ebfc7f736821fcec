"""Subscribers on every process: changes pass through Redis."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Final

from pydantic import TypeAdapter, ValidationError
from redis.asyncio import ConnectionPool, Redis
from redis.exceptions import RedisError

from service.errors import SubscribersUnreachable
from service.flights.subscribers import LocalSubscribers, StatusChanged
from service.network.redis_pool import redis_pool

logger = logging.getLogger("flightdeck.subscribers")

ANSWER_S: Final = 0.5
"""Longest wait for Redis."""
QUIET_S: Final = 5.0
"""After so much silence Redis is asked whether it is still there."""
RECONNECT_S: Final = 0.5

CHANGE: Final = TypeAdapter(StatusChanged)


class RedisSubscribers:
    """The subscribers of all processes. Each process subscribes, and tells the subscribers that are connected to it."""

    def __init__(self, url: str, local: LocalSubscribers, *, channel: str) -> None:
        self._local = local
        self._channel = channel
        self._publisher = Redis.from_pool(
            redis_pool(url, ConnectionPool, socket_timeout=ANSWER_S, socket_connect_timeout=ANSWER_S)
        )
        self._subscriber = Redis.from_pool(redis_pool(url, ConnectionPool, socket_connect_timeout=ANSWER_S))
        self._is_heard: bool | None = None
        """Whether changes arrive; None before the first attempt, which is not worth a line unless it fails."""

    async def notify(self, change: StatusChanged) -> None:
        """Tell every process; raise `SubscribersUnreachable` if only this one's subscribers could be told."""
        try:
            await self._publisher.publish(self._channel, CHANGE.dump_json(change))
        except (RedisError, OSError) as error:
            await self._local.notify(change)
            raise SubscribersUnreachable from error

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[None]:
        """Pass on what other processes publish, for as long as the block lasts."""
        task = asyncio.create_task(self._listen())
        try:
            yield
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            await self._publisher.aclose()
            await self._subscriber.aclose()

    async def _listen(self) -> None:
        while True:
            try:
                await self._pass_on()
            except (RedisError, OSError, TimeoutError) as error:
                if self._is_heard is not False:
                    logger.warning("status changes of other processes are not heard: %r", error)
                self._is_heard = False
            await asyncio.sleep(RECONNECT_S)

    async def _pass_on(self) -> None:
        async with self._subscriber.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            while True:
                message = await subscription.get_message(timeout=QUIET_S)
                if message is None:
                    async with asyncio.timeout(ANSWER_S):
                        await subscription.ping()
                elif message["type"] == "subscribe":
                    if self._is_heard is False:
                        logger.warning("status changes of other processes are heard again")
                    self._is_heard = True
                    self._local.resync_all()
                elif message["type"] == "message":
                    await self._tell(message["data"])

    async def _tell(self, data: bytes) -> None:
        try:
            change = CHANGE.validate_json(data)
        except ValidationError:
            logger.exception("a message of another version on %s", self._channel)
            return
        await self._local.notify(change)
