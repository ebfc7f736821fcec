"""A name that can not be found costs one lookup, however many wait for it and give up."""

import asyncio
import gc
import logging
import socket
from typing import Any

import pytest
from redis.asyncio import BlockingConnectionPool, Connection, ConnectionPool, Redis, SSLConnection
from redis.exceptions import RedisError

from service.redis_pool import found, redis_pool
from tests.servers.redis import RedisServer

GONE = "gone.invalid"


class Resolver:
    """The loop's lookups of a name that is gone, which take as long as the test wants."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.asked: list[str] = []
        self.answers = asyncio.Event()
        loop = asyncio.get_running_loop()
        real = loop.getaddrinfo

        async def getaddrinfo(host: Any, port: Any, **options: Any) -> Any:
            if host != GONE:
                return await real(host, port, **options)
            self.asked.append(host)
            await self.answers.wait()
            raise socket.gaierror(-2, "Name or service not known")

        monkeypatch.setattr(loop, "getaddrinfo", getaddrinfo)


async def test_clients_that_give_up_leave_one_lookup_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    resolver = Resolver(monkeypatch)
    clients = [
        Redis.from_pool(redis_pool(f"redis://{GONE}", ConnectionPool, socket_connect_timeout=0.01)) for _ in "1234"
    ]

    for _ in range(5):
        answers = await asyncio.gather(*(client.ping() for client in clients), return_exceptions=True)
        assert all(isinstance(answer, RedisError) for answer in answers)

    assert resolver.asked == [GONE]
    for client in clients:
        await client.aclose()


async def test_after_a_denial_the_name_is_looked_up_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    resolver = Resolver(monkeypatch)
    with caplog.at_level(logging.ERROR):
        for asked in (1, 2):
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.01):
                    await found(GONE, 6379)
            resolver.answers.set()
            with pytest.raises(socket.gaierror):
                await found(GONE, 6379)
            resolver.answers.clear()
            assert len(resolver.asked) == asked
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await found(GONE, 6379)
        resolver.answers.set()
        await asyncio.sleep(0.01)
        gc.collect()
    assert not caplog.records, "nobody waited for the last one, and nobody is told that nobody did"


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
async def test_an_address_is_not_looked_up(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    async def getaddrinfo(*_: Any, **__: Any) -> Any:
        raise AssertionError

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", getaddrinfo)
    await found(host, 6379)


@pytest.mark.parametrize(("scheme", "kind"), [("redis", Connection), ("rediss", SSLConnection)])
def test_a_pool_keeps_what_the_url_says(scheme: str, kind: type[Connection]) -> None:
    pool = redis_pool(f"{scheme}://:secret@cache.example:6380/2", BlockingConnectionPool, max_connections=3)
    connection = pool.connection_class(**pool.connection_kwargs)
    assert isinstance(pool, BlockingConnectionPool)
    assert isinstance(connection, kind)
    assert (connection.host, connection.port, connection.db, pool.max_connections) == ("cache.example", 6380, 2, 3)


async def test_a_name_that_is_found_is_connected_to(shared_redis: RedisServer) -> None:
    url = shared_redis.url.replace("127.0.0.1", "localhost")
    assert url != shared_redis.url
    async with Redis.from_pool(redis_pool(url, ConnectionPool)) as client:
        assert await client.ping()
